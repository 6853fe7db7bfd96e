"""Every setting once, with its default, unit and meaning; `command_line` makes the command lines from them."""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import tyro

from kerasrl.errors import UserError


@dataclass(frozen=True)
class Config:
    """Train Keras-RL's DQN agent. The defaults are the CartPole tutorial's."""

    # Environment
    env: str = "CartPole-v0"
    """Name of a registered gym environment, or module:Name for one that a module of yours registers."""

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
    resume: bool = False
    """Go on with the run that was stopped or killed in checkpoint_dir, given its other settings."""
    state_interval: int = 5_000
    """Steps between saved training states, from which --resume goes on."""
    save_memory: bool = True
    """Keep the replay memory in them. Without it a resumed run is no longer exactly the same."""
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
        for name in (whole + "state_interval checkpoint_interval log_interval").split():
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
        for name in ("checkpoint_dir", "log_dir"):
            _require(name, "empty", "the name of a folder", bool(getattr(self, name)))
        _require_seed(self.seed)

    def changes(self) -> dict[str, Any]:
        """Return the settings that differ from the defaults."""
        defaults = dataclasses.asdict(Config())
        return {name: value for name, value in dataclasses.asdict(self).items() if value != defaults[name]}

    def resumed(self, metadata: dict[str, Any] | None) -> "Config":
        """Return the configuration with which a run with `metadata` goes on: its seed, all else as it was there.

        Raises:
            UserError: Another setting than the length and the output of the run differs.
        """
        before = Config.from_metadata(metadata)
        wanted = dataclasses.replace(self, seed=before.seed) if self.seed is None else self
        free = {"nb_steps", "resume", "verbose", "visualize", "checkpoint_dir", "log_dir"}
        differences = [
            f"{name} is {value} here and was {getattr(before, name)} there"
            for name, value in dataclasses.asdict(wanted).items()
            if name not in free and value != getattr(before, name)
        ]
        if differences:
            raise UserError(f"cannot resume with other settings: {'; '.join(differences)}")
        if self.nb_steps < before.nb_steps:
            raise UserError(f"cannot resume with fewer steps: nb_steps is {self.nb_steps} and was {before.nb_steps}")
        return dataclasses.replace(wanted, resume=False)  # from here on it is the run that it was

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
