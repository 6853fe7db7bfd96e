"""Every setting once, with its default, unit and meaning; the command lines are made from them."""

import contextlib
import dataclasses
import io
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import tyro

from kerasrl.errors import UserError


@dataclass(frozen=True)
class Config:
    """Train Keras-RL's DQN agent. The defaults are the CartPole tutorial's."""

    # Environment
    env: str = "CartPole-v0"
    """Name of a registered gym environment."""

    # Network
    hidden_layers: tuple[int, ...] = (16, 16, 16)
    """Nodes of each hidden layer."""

    # Memory
    memory_limit: int = 50_000
    """Steps kept in the replay memory."""
    window_length: int = 1
    """Observations that make a state."""

    # Exploration
    eps_max: float = 1.0
    """Probability of a random action at the first step."""
    eps_min: float = 0.1
    """Probability of a random action after eps_nb_steps steps."""
    eps_test: float = 0.05
    """The same in a test with this policy (test.py acts greedily, as Keras-RL does by default)."""
    eps_nb_steps: int = 10_000
    """Steps over which it falls linearly from eps_max to eps_min."""

    # Learning
    gamma: float = 0.99
    """Discount factor."""
    learning_rate: float = 1e-3
    """Learning rate of Adam."""
    batch_size: int = 32
    """Transitions in an update."""
    train_interval: int = 1
    """Steps between training steps."""
    gradient_steps: int = 1
    """Updates in each training step. 8 and train_interval 8: as many updates in an eighth of the calls."""
    nb_steps_warmup: int = 10
    """Steps before the first update."""
    target_model_update: float = 1e-2
    """Below 1: mixing rate of the target network's soft update. From 1 on: steps between hard updates."""

    # Run
    nb_steps: int = 50_000
    """Steps to train."""
    seed: int | None = None
    """Start of every random draw; one is drawn and printed if not given."""
    verbose: Literal[0, 1, 2] = 1
    """0: errors only, 1: a summary every 10,000 steps, 2: a line each episode."""
    visualize: bool = False
    """Show the environment in a window, at natural speed."""
    threads: int = 0
    """Threads for TensorFlow. 0: one for vectors, all cores for images."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where to compute. auto: small networks on the CPU, others on a GPU if there is one."""
    checkpoint_dir: str = "checkpoints"
    """Folder for weights."""
    checkpoint_interval: int = 5_000
    """Steps between saved weights."""
    log_dir: str = "logs"
    """Folder for the log."""
    log_interval: int = 100
    """Episodes between writes of the log."""

    def __post_init__(self) -> None:
        whole = "memory_limit window_length eps_nb_steps batch_size train_interval gradient_steps nb_steps "
        for name in (whole + "checkpoint_interval log_interval").split():
            _require(name, getattr(self, name), "at least 1", getattr(self, name) >= 1)
        for name in ("eps_max", "eps_min", "eps_test", "gamma"):
            _require(name, getattr(self, name), "between 0 and 1", 0 <= getattr(self, name) <= 1)
        _require("nb_steps_warmup", self.nb_steps_warmup, "at least 0", self.nb_steps_warmup >= 0)
        _require("learning_rate", self.learning_rate, "positive", 0 < self.learning_rate < float("inf"))
        _require("target_model_update", self.target_model_update, "positive", self.target_model_update > 0)
        _require("hidden_layers", self.hidden_layers, "positive numbers", all(n >= 1 for n in self.hidden_layers))
        _require("threads", self.threads, "at least 0", self.threads >= 0)
        fits = self.memory_limit >= self.window_length + 2
        _require("memory_limit", self.memory_limit, "at least window_length + 2", fits)
        _require_seed(self.seed)

    def changes(self) -> dict[str, Any]:
        """Return the settings that differ from the defaults."""
        defaults = dataclasses.asdict(Config())
        return {name: value for name, value in dataclasses.asdict(self).items() if value != defaults[name]}

    @classmethod
    def from_metadata(cls, metadata: dict[str, Any] | None) -> "Config":
        """Rebuild the configuration that a weights file carries; the defaults if it carries none."""
        fields = {field.name for field in dataclasses.fields(cls)}
        known = {name: value for name, value in (metadata or {}).items() if name in fields}
        if "hidden_layers" in known:
            known["hidden_layers"] = tuple(known["hidden_layers"])
        return cls(**known)


@dataclass(frozen=True)
class TestConfig:
    """Play with saved weights. A weights file carries its settings, so that no other option is needed."""

    weights: Annotated[str, tyro.conf.arg(metavar="FILE")]
    """Weights that train.py saved, or that keras-rl or keras-rl2 saved for the tutorial's model."""
    episodes: int = 5
    """Episodes to play."""
    visualize: bool = False
    """Show the environment in a window, at natural speed."""
    env: str | None = None
    """Another environment than the one trained in."""
    seed: int | None = None
    """Start of the episodes; random if not given."""

    def __post_init__(self) -> None:
        _require("episodes", self.episodes, "at least 1", self.episodes >= 1)
        _require_seed(self.seed)


def _require(name: str, value: object, requirement: str, holds: bool) -> None:
    if not holds:
        raise UserError(f"{name} must be {requirement}, is {value}")


def _require_seed(seed: int | None) -> None:
    _require("seed", seed, "between 0 and 4294967295", seed is None or 0 <= seed < 2**32)


Settings = TypeVar("Settings", Config, TestConfig)


def parse(settings: type[Settings], argv: Sequence[str] | None = None) -> Settings:
    """Read settings from a command line; prints help and exits if asked to.

    Raises:
        UserError: An option is unknown, or its value is impossible.
    """
    panel = io.StringIO()
    try:
        with contextlib.redirect_stderr(panel):
            return tyro.cli(settings, args=argv)
    except SystemExit as stop:
        if stop.code == 0:
            raise
        raise UserError(_panel_text(panel.getvalue())) from None


# What tyro says -> what a person needs to know.
_PLAIN = (
    (r"Error parsing (Test)?Config: ", ""),
    (r"Error parsing (--\S+): ", r"\1: "),
    (r"invalid literal for int\(\) with base 10: (.*)", r"\1 is not a whole number"),
    (r"could not convert string to float: (.*)", r"\1 is not a number"),
    (r"Could not find valid parse for arguments: \[(.*)\]", r"\1 cannot be used"),
    (r"no type matching \{None\}\|INT could be instantiated from \[(.*?)\]\..*", r"\1 is not a whole number"),
    (r"no type matching \S+ could be instantiated from \[(.*?)\]\..*", r"\1 cannot be used"),
    (r"invalid choice (.*) for argument '(.*)'\. Expected one of \((.*)\) ?\.", r"\2: \1 is not one of \3"),
    (r"Missing value for argument '(.*)'\..*", r"\1 needs a value"),
    (r"Missing from .*?: (--\S+ \S+) (.*)\. \(required\)", r"\1 is missing: \2"),
    (r"Unrecognized options: (.*)", r"unknown option: \1"),
)


def _panel_text(panel: str) -> str:
    """Put tyro's panel, which says what is wrong in a box above its hints, on one line."""
    lines = [line.strip("│ ") for line in panel.splitlines() if not line.startswith(("╭", "╰"))]
    sections = [section.strip("─\n") for section in "\n".join(lines).split("─" * 8)]
    problems: list[str] = []
    meant: list[str] = []
    for section in sections:
        if section.startswith(("Perhaps you meant", "Arguments similar")):
            meant += [line.split()[0] for line in section.splitlines() if line.startswith("--")]
        elif section and not section.startswith(("Argument helptext", "For full helptext")):
            problems.append(" ".join(section.split()))
    for said, plain in _PLAIN:
        problems = [re.sub(said, plain, problem) for problem in problems]
    text = "; ".join(problems)
    if meant:
        return f"{text}; did you mean {' or '.join(meant)}?"
    says_enough = "unknown option" not in text and "cannot be used" not in text
    return text if says_enough else f"{text}; see --help"


@contextlib.contextmanager
def _errors_on_one_line() -> Iterator[None]:
    """End the program with a line on stderr: status 2 for a wrong call, 1 for a failure, 130 for Ctrl-C."""
    try:
        yield
        sys.stdout.flush()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # `| head` has read enough; without this Python complains once more when it exits
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        text = " ".join(str(error).split())
        print(f"error: {type(error).__name__}: {text}", file=sys.stderr)
        sys.exit(1)


def command_to_type(script: str, *arguments: str) -> str:
    """Return the line that runs a script beside this file, by this interpreter, from the current folder."""
    python = Path(sys.executable)
    if Path(shutil.which("python") or "").parent == python.parent:
        python = Path("python")
    elif python.is_relative_to(Path.cwd()):  # a virtual environment that is not activated
        python = python.relative_to(Path.cwd())
    return shlex.join([str(python), os.path.relpath(Path(__file__).with_name(script)), *arguments])


def command_line(settings: type[Settings], run: Callable[[Settings], int], argv: Sequence[str] | None) -> int:
    """Call `run` with the settings of a command line; return its exit status or exit with an error's."""
    with _errors_on_one_line():
        return run(parse(settings, argv))
