"""Every setting once, with its bounds, default, unit and meaning; `command_line` makes the command lines from them.

`Config()` is the CartPole tutorial; `Config(env="CartPole-v1", gamma=0.9)` changes two settings of it;
`Config.load(preset="acrobot")` takes what differs from presets/acrobot.toml.
"""

import dataclasses
import difflib
import itertools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from bounds import check, shown
from kerasrl import commands
from kerasrl.errors import UserError, to_type
from kerasrl.reading import read_file
from trust import require_trust

_MOST_TOML = 2**20  # bytes
PRESETS = Path(__file__).with_name("presets")

# Settings may come from strangers: beyond these, a computer has not the memory.
_MOST_LAYERS, _MOST_WEIGHTS, _MOST_TRANSITIONS = 100, 2**27, 2**20

# What a setting may be. A title stands for it in --help; a description says what it must be, where numbers do not.
_INT32 = Meta(le=2**31 - 1, description="at most 2147483647")
_FINITE = Meta(ge=-sys.float_info.max, le=sys.float_info.max, description="a finite number")
Count = Annotated[int, Meta(ge=1), _INT32]
CountOrZero = Annotated[int, Meta(ge=0), _INT32]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0, description="positive")]
Reward = Annotated[float, Meta(title="REWARD"), _FINITE]
Seed = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Name = Annotated[str, Meta(min_length=1, title="NAME", description="a name")]
Folder = Annotated[str, Meta(min_length=1, title="FOLDER", description="a name")]
File = Annotated[str, Meta(title="FILE")]
OwnName = Annotated[str, Meta(pattern="^[^:]+:.", title="MODULE:NAME", description="module:name")]
ModuleName = Annotated[str, Meta(pattern="^$|^[^:]+:.", title="MODULE:NAME", description="module:name")]


@dataclass(frozen=True)
class Environment:
    """The task."""

    env: Name = "CartPole-v0"
    """Environment of gym or else Gymnasium (gymnasium:Name if both have it), or module:Name for one of your own."""
    processor: ModuleName = ""
    """module:Class of an rl.core.Processor between environment and agent."""
    action_repetition: Count = 1
    """Times each action is repeated within a step."""
    nb_max_start_steps: CountOrZero = 0
    """Largest number of random steps that begin an episode. Nothing is learned from them."""
    nb_max_episode_steps: CountOrZero = 0
    """Time limit of an episode in steps. 0: the environment's own."""


@dataclass(frozen=True)
class Network:
    """The Q-network."""

    hidden_layers: tuple[Annotated[int, Meta(ge=1, le=2**16)], ...] = (16, 16, 16)
    """Nodes of each hidden layer."""
    activation: Name = "relu"
    """Activation of the hidden layers, a name that Keras knows."""
    layer_normalization: bool = False
    """Normalise each hidden layer before its activation (Ba et al. 2016): slower, but steadier."""
    enable_double_dqn: bool = False
    """Double DQN: the online network chooses the action, the target network values it."""
    enable_dueling_network: bool = False
    """Dueling DQN: the network ends in a value of the state and the advantages of the actions."""
    dueling_type: Literal["avg", "max", "naive"] = "avg"
    """How a dueling network combines value and advantages."""
    network: ModuleName = ""
    """module:function that builds the network instead, from state_size, num_actions and, if it takes it, config."""


@dataclass(frozen=True)
class Exploration:
    """How often actions are random: epsilon."""

    eps_max: Fraction = 1.0
    """Probability of a random action at the first step."""
    eps_min: Fraction = 0.1
    """Probability of a random action at the end."""
    eps_test: Fraction = 0.05
    """Probability of a random action in tests with this policy. test.py acts greedily, as Keras-RL does by default."""
    eps_schedule: Literal["linear", "exponential"] = "linear"
    """How the probability falls from eps_max to eps_min."""
    eps_nb_steps: Count = 10_000
    """linear: steps until eps_min is reached."""
    eps_rate: Annotated[Positive, _FINITE] = 5e-4
    """exponential: decay per step."""


@dataclass(frozen=True)
class Memory:
    """The replay memory."""

    memory: Literal["sequential", "prioritized"] = "sequential"
    """sequential: all transitions are equally likely. prioritized: those with large errors are more likely."""
    memory_limit: Count = 50_000
    """Steps kept in the replay memory."""
    window_length: Annotated[int, Meta(ge=1, le=1_000)] = 1
    """Number of latest observations that make up a state."""
    priority_alpha: Fraction = 0.6
    """prioritized: how much errors count. 0: not at all."""
    priority_beta: Fraction = 0.4
    """prioritized: how much of the bias is taken away by weights at the beginning."""
    priority_beta_end: Fraction = 1.0
    """prioritized: how much of it at the end."""
    priority_nb_steps: Count = 50_000
    """prioritized: steps until the end is reached."""
    priority_epsilon: Annotated[float, Meta(ge=1e-30, le=1e30)] = 1e-6
    """prioritized: what is added to the size of an error, so that none is never drawn again."""


@dataclass(frozen=True)
class Learning:
    """The updates."""

    gamma: Fraction = 0.99
    """Discount factor."""
    n_step: Annotated[int, Meta(ge=1, le=100)] = 1
    """Steps whose rewards are added up before the value of the state after them is estimated."""
    optimizer: Literal["adam", "nadam", "rmsprop", "sgd"] = "adam"
    """Keras optimizer."""
    learning_rate: Annotated[Positive, _FINITE] = 1e-3
    """Learning rate of the optimizer."""
    learning_rate_end: Annotated[float, Meta(ge=0), _FINITE] = 0.0
    """Learning rate that is left after learning_rate_nb_steps."""
    learning_rate_nb_steps: CountOrZero = 0
    """Steps, or a few less, in which the learning rate falls linearly to learning_rate_end. 0: it does not fall."""
    batch_size: Count = 32
    """Transitions in an update."""
    train_interval: Count = 1
    """Steps between training steps."""
    gradient_steps: Count = 1
    """Updates in each training step. 8 with train_interval 8: as many updates, in an eighth of the calls."""
    nb_steps_warmup: CountOrZero = 10
    """Steps before the first update."""
    target_model_update: Annotated[Positive, _INT32] = 1e-2
    """Below 1: mixing rate of the target network's soft update. From 1 on: steps between hard updates."""
    delta_clip: Positive = float("inf")
    """Error above which the loss is linear instead of quadratic. inf: it never is."""
    global_clipnorm: Positive = float("inf")
    """Largest norm of all gradients together; larger ones are scaled down to it. inf: no limit."""


@dataclass(frozen=True)
class Evaluation:
    """Greedy episodes during training, which find the best weights."""

    eval_interval: CountOrZero = 5_000
    """Steps between evaluations, which keep the best weights. 0: no evaluations."""
    eval_episodes: Count = 5
    """Greedy episodes in an evaluation."""
    stop_when_solved: bool = False
    """Stop once the mean of 100 greedy episodes reaches the environment's own threshold."""
    stop_at: Reward | None = None
    """Stop once the mean of 100 greedy episodes reaches this reward."""
    play: Literal["best", "last"] = "best"
    """Weights in the test.py command that is printed at the end."""
    record_every: CountOrZero = 0
    """Steps between films of an evaluation's first episode, in log_dir. 0: no films."""


@dataclass(frozen=True)
class Run:
    """Length, output and machine."""

    nb_steps: Count = 50_000
    """Steps to train."""
    seed: Seed | None = None
    """Seed of all random numbers. Without it, one is drawn and printed."""
    verbose: Literal[0, 1, 2] = 1
    """0: errors only. 1: a live line; in a file, a line every 10000 steps. 2: a line for each episode."""
    visualize: bool = False
    """Show the environment in a window, at natural speed."""
    callback: tuple[OwnName, ...] = ()
    """module:Class of each callback of your own; made without arguments or, if it takes it, from config."""
    tensorboard: bool = False
    """Write curves and settings for TensorBoard to a folder in log_dir."""
    threads: Annotated[int, Meta(ge=0, le=1_024)] = 0
    """Threads for TensorFlow. 0: one if observations are vectors, all cores if they are images."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where to compute. auto: small networks on the CPU, others on a GPU if there is one."""
    resume: bool = False
    """Continue the run in checkpoint_dir, with its settings; only length and output may be given anew."""
    overwrite: bool = False
    """Replace the unfinished run in checkpoint_dir, which a new run otherwise leaves alone."""
    trust: bool = False
    """Import the modules that a resumed run or a --config file names, even if no option does."""
    state_interval: Count = 5_000
    """Steps between saved training states, from which --resume goes on."""
    save_memory: bool = True
    """Keep the replay memory in training states. Without it, a resumed run is not exactly the same."""
    checkpoint_dir: Folder = "checkpoints"
    """Folder for weights."""
    checkpoint_interval: Count = 5_000
    """Steps between saved weights."""
    log_dir: Folder = "logs"
    """Folder for log, curve and configuration."""
    log_interval: Count = 100
    """Episodes between writes of the log."""


GROUPS = (Environment, Network, Exploration, Memory, Learning, Evaluation, Run)


@dataclass(frozen=True)
class Config(Run, Evaluation, Learning, Memory, Exploration, Network, Environment):
    """Train Keras-RL's DQN agent. The defaults are the CartPole tutorial's.

    Raises:
        UserError: A setting has a value of a wrong type or an impossible one.
    """

    given = frozenset[str]()  # names of the settings that a command line gave; no setting itself

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, str) and value.encode(errors="replace").decode() != value:
                raise UserError(f"{name} has characters that are not UTF-8: {value!a}; in a C locale set LANG=C.UTF-8")
        check(self)
        fewest = self.window_length + self.n_step + 2  # of which one is never the beginning of an episode
        if self.memory_limit < fewest:
            raise UserError(
                f"memory_limit must be at least window_length + n_step + 2 = {fewest}, so that there is always a step "
                f"to draw; it is {self.memory_limit}"
            )
        priorities = [name for name in vars(self) if name.startswith("priority_")]
        unused = [name for name in priorities if getattr(self, name) != getattr(Config, name)]
        if self.memory != "prioritized" and unused:
            raise UserError(f"{', '.join(unused)} need{'s' if len(unused) == 1 else ''} memory to be 'prioritized'")
        if self.priority_beta > self.priority_beta_end:
            raise UserError(
                f"priority_beta must be at most priority_beta_end, which is {self.priority_beta_end}; "
                f"it is {self.priority_beta}"
            )
        if self.learning_rate_end and not self.learning_rate_nb_steps:
            raise UserError("learning_rate_end needs learning_rate_nb_steps, the steps until it is reached")
        if self.eps_min > self.eps_max:
            raise UserError(f"eps_min must be at most eps_max, which is {self.eps_max}; it is {self.eps_min}")
        nb_weights = sum(nodes * following for nodes, following in itertools.pairwise(self.hidden_layers))
        if len(self.hidden_layers) > _MOST_LAYERS or nb_weights > _MOST_WEIGHTS:
            raise UserError(
                f"hidden_layers must be at most {_MOST_LAYERS} with {_MOST_WEIGHTS:,} weights between them, "
                f"are {len(self.hidden_layers):,} with {nb_weights:,}"
            )
        if self.batch_size * self.gradient_steps > _MOST_TRANSITIONS:
            raise UserError(
                f"batch_size * gradient_steps must be at most {_MOST_TRANSITIONS:,}, is "
                f"{self.batch_size * self.gradient_steps:,}"
            )
        if self.eval_interval == 0 and (self.stop_when_solved or self.stop_at is not None or self.record_every):
            raise UserError("stop_when_solved, stop_at and record_every need evaluations: eval_interval must not be 0")
        if self.resume and self.overwrite:
            raise UserError("resume and overwrite cannot be used together: a run is continued or replaced")

    @classmethod
    def load(cls, preset: str | None = None, file: str | Path | None = None, **settings: Any) -> "Config":
        """Return the defaults, changed by a preset, then by a TOML file, then by `settings`.

        Raises:
            UserError: There is no such preset or file, or it has an unknown key, a wrong type or an impossible value.
        """
        config = cls()
        if preset is not None:
            config = config.changed_by(preset_file(preset))
        for name in settings:
            require_known(name)
        if file is not None:
            config = config.changed_by(Path(file))
            if not settings.get("trust"):
                require_trust(shown_path(Path(file)), read(Path(file)), settings)
        return dataclasses.replace(config, **settings)

    def changed_by(self, file: Path) -> "Config":
        """Return this configuration with the settings of a TOML file; raises as `load`."""
        settings = read(file)
        try:
            return dataclasses.replace(self, **settings)
        except UserError as error:
            raise UserError(f"{shown_path(file)}: {error}") from None

    def changes(self, before: "Config") -> dict[str, Any]:
        """Return the settings that differ from those of another configuration."""
        then = dataclasses.asdict(before)
        return {name: value for name, value in dataclasses.asdict(self).items() if value != then[name]}

    def to_toml(self, run: dict[str, str | float]) -> str:
        """Return all settings as TOML that `load` reads, and after them the table [run], which it does not read."""
        import tomli_w  # here, so that --help does not wait for it

        values = dataclasses.asdict(self)
        parts = []
        for group in GROUPS:
            names = [field.name for field in dataclasses.fields(group)]
            known = {name: values[name] for name in names if values[name] is not None}  # TOML has no word for None
            parts.append(f"# {group.__name__}\n{tomli_w.dumps(known)}")
        return "\n".join([*parts, tomli_w.dumps({"run": run})])

    def resumed(self, metadata: dict[str, Any] | None, source: str | Path | None = None) -> "Config":
        """Return the configuration with which a run with `metadata` goes on: as it was there, except what is given.

        What a command line names is given; without one, as in Python, what differs from the defaults. `source` names
        the file that the metadata is from.

        Raises:
            UserError: Another setting than the length and the output of the run is given and differs.
        """
        before = Config.from_metadata(metadata, source)
        given = {name: getattr(self, name) for name in self.given or self.changes(Config())}
        free = {"nb_steps", "resume", "overwrite", "trust", "verbose", "visualize", "checkpoint_dir", "log_dir", "play"}
        free |= {"record_every", "stop_when_solved", "stop_at", "tensorboard"}
        differences = [
            f"{name} is {value} here and was {getattr(before, name)!s:.200} there"
            for name, value in given.items()
            if name not in free and value != getattr(before, name)
        ]
        if differences:
            raise UserError(f"cannot resume with other settings: {'; '.join(differences)}")
        if given.get("nb_steps", before.nb_steps) < before.nb_steps:
            raise UserError(f"cannot resume with fewer steps: nb_steps is {self.nb_steps} and was {before.nb_steps}")
        # From here on it is the run that it was, in the folder where it was found.
        return dataclasses.replace(
            before, **{**given, "resume": False, "trust": False, "checkpoint_dir": self.checkpoint_dir}
        )

    @classmethod
    def from_metadata(cls, metadata: dict[str, Any] | None, source: str | Path | None = None) -> "Config":
        """Rebuild the configuration that a file carries; the defaults if it carries none.

        Raises:
            UserError: Its settings cannot be used; the message begins with `source`.
        """
        fields = {field.name for field in dataclasses.fields(cls)}
        try:
            if not isinstance(metadata, dict | None):
                raise UserError("the settings are no table")
            return cls(**{name: value for name, value in (metadata or {}).items() if name in fields})
        except UserError as error:
            raise UserError(f"{source}: {error}" if source else str(error)) from None


def preset_file(name: str) -> Path:
    """Return the file of a preset; raises `UserError` naming the nearest ones if there is none."""
    names = sorted(file.stem for file in PRESETS.glob("*.toml"))
    if name not in names:
        nearest = difflib.get_close_matches(name, names, n=3)
        hint = f"did you mean {' or '.join(nearest)}?" if nearest else f"there are {', '.join(names)}"
        raise UserError(f"no preset is called {name!r}; {hint}")
    return PRESETS / f"{name}.toml"


def read_toml(file: Path, what: str = "configuration file") -> dict[str, Any]:
    """Return what a TOML file says; raises `UserError` that says so if it cannot be read, or there is no such file."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        settings: dict[str, Any] = tomllib.loads(read_file(file, _MOST_TOML).decode("utf-8-sig"))
        return settings
    except FileNotFoundError:
        raise UserError(f"there is no {what} {shown_path(file)}") from None
    except OSError as error:
        raise UserError(f"{shown_path(file)} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{shown_path(file)} is not TOML: {' '.join(str(error).split()):.200}") from None


def read(file: Path) -> dict[str, Any]:
    """Return the settings in a TOML file, without its table [run].

    Raises:
        UserError: It cannot be read, or has an unknown key.
    """
    content = read_toml(file)
    try:
        if "run" in content and isinstance(content["run"], dict):
            del content["run"]
        for name, value in content.items():
            if isinstance(value, dict):
                raise UserError(f"there is no table {shown(name)}; settings stand above and outside all tables")
            require_known(name)
        if content.get("trust"):
            raise UserError("a file cannot ask for trust; give --trust yourself")
    except UserError as error:
        raise UserError(f"{shown_path(file)}: {error}") from None
    return content


def require_known(name: str) -> None:
    """Raise `UserError` naming the nearest ones if there is no such setting."""
    known = [field.name for field in dataclasses.fields(Config)]
    if name not in known:
        nearest = difflib.get_close_matches(name, known, n=3)
        command = "python -m kerasrl train" if commands.IS_INSTALLED else "python train.py"
        known_by = to_type(f"{command} --help", "help(Config)")
        hint = f"did you mean {' or '.join(nearest)}?" if nearest else f"{known_by} lists them all"
        raise UserError(f"there is no setting {shown(name)}; {hint}")


def shown_path(file: Path) -> str:
    """Name a file from the current folder if it is below it."""
    return str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)


@dataclass(frozen=True)
class TestConfig:
    """Play with saved weights. A weights file carries its settings, so no other option is needed."""

    weights: File
    """Weights that train.py saved, or that keras-rl or keras-rl2 saved for the tutorial's model."""
    episodes: Count = 5
    """Episodes to play."""
    visualize: bool = False
    """Show the environment in a window, at natural speed."""
    record: File = ""
    """Film the episodes to a .gif or .mp4 file. Needs no screen."""
    env: Name | None = None
    """Environment to play in. Without it, the one trained in."""
    network: ModuleName = ""
    """module:function that builds the network of weights that do not say."""
    processor: ModuleName = ""
    """module:Class of the processor, likewise."""
    seed: Seed | None = None
    """Seed of the episodes. Without it, they are random."""
    trust: bool = False
    """Import the modules that the weights file names, even if no option does."""

    def __post_init__(self) -> None:
        check(self)
        if self.record and self.visualize:
            raise UserError("record and visualize cannot be used together: a film needs no window")
