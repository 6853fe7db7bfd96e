"""Every setting, once, with its bounds, default, unit and meaning; the command line is made from them.

`Config()` is the CartPole tutorial; `Config(env="CartPole-v1", gamma=0.9)` changes two of its settings;
`Config.load(preset="acrobot")` takes the differences from presets/acrobot.toml. What several agents have is here, and
what only DQN has; the others' own settings are in `kerasrl.config.other_agents`.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from msgspec import Meta

from kerasrl.config.checks import check, check_together
from kerasrl.config.declaring import settings_of

if TYPE_CHECKING:
    from kerasrl.config.agents import AnyConfig

# What a setting may be. --help shows the title; the description says what it must be, where numbers cannot.
_INT32 = Meta(le=2**31 - 1, description="at most 2147483647")
Finite = Meta(ge=-sys.float_info.max, le=sys.float_info.max, description="a finite number")
Count = Annotated[int, Meta(ge=1), _INT32]
CountOrZero = Annotated[int, Meta(ge=0), _INT32]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0, description="positive")]
NotNegative = Annotated[float, Meta(ge=0)]
Reward = Annotated[float, Meta(title="REWARD"), Finite]
Nodes = tuple[Annotated[int, Meta(ge=1, le=2**16)], ...]
Seed = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Name = Annotated[str, Meta(min_length=1, title="NAME", description="a name")]
Folder = Annotated[str, Meta(min_length=1, title="FOLDER", description="a name")]
File = Annotated[str, Meta(title="FILE")]
OwnName = Annotated[str, Meta(pattern="^[^:]+:.", title="MODULE:NAME", description="module:name")]
ModuleName = Annotated[str, Meta(pattern="^$|^[^:]+:.", title="MODULE:NAME", description="module:name")]

Arguments = Annotated[dict[str, Any], Meta(title="NAME=VALUE")]

# Settings that several groups have, with their own defaults.
Env = Annotated[
    Name,
    "An environment of gym or Gymnasium (gymnasium:Name if both have it), or module:Name for one of your own.",
]
HiddenLayers = Annotated[Nodes, "Nodes of each hidden layer."]
Activation = Annotated[Name, "Activation of the hidden layers, by its Keras name."]
LayerNormalization = Annotated[
    bool, "Normalise each hidden layer before its activation (Ba et al. 2016): slower, but steadier."
]
Network = Annotated[
    ModuleName,
    "module:function that builds the network instead, from state_size, num_actions and, optionally, config.",
]
Recipe = Annotated[File, "Your own train.py to build and train the agent. By default the project's."]
Gamma = Annotated[Fraction, "Discount factor."]
NStep = Annotated[
    int,
    Meta(ge=1, le=100),
    "Steps whose rewards are summed before the value of the next state is estimated.",
]
Optimizer = Annotated[Literal["adam", "nadam", "rmsprop", "sgd"], "Keras optimizer."]
LearningRate = Annotated[Positive, Finite, "Learning rate of the optimizer."]
LearningRateEnd = Annotated[NotNegative, Finite, "Learning rate after learning_rate_nb_steps."]
LearningRateNbSteps = Annotated[
    CountOrZero,
    "Steps, or a few less, over which the learning rate falls linearly to learning_rate_end. 0: it stays constant.",
]
BatchSize = Annotated[Count, "Transitions in an update."]
TrainInterval = Annotated[Count, "Steps between training steps."]
GradientSteps = Annotated[
    Count, "Updates per training step. 8 with train_interval 8: as many updates in an eighth of the calls."
]
WarmUp = Annotated[CountOrZero, "Steps before the first update."]
TargetModelUpdate = Annotated[
    Positive,
    _INT32,
    "Below 1: mixing rate of the target network's soft updates. From 1 up: steps between hard updates.",
]
DeltaClip = Annotated[Positive, "Error above which the loss is linear instead of quadratic. inf: always quadratic."]
GlobalClipnorm = Annotated[
    Positive, "Maximum norm of all gradients together; larger ones are scaled down to it. inf: no limit."
]


@dataclass(frozen=True)
class EnvironmentSettings:
    """The task."""

    env: Env = "CartPole-v0"
    env_arg: Annotated[
        Arguments, "Argument for what makes the environment, such as is_slippery=false; may be given several times."
    ] = field(default_factory=dict)
    processor: Annotated[ModuleName, "module:Class of an rl.core.Processor between environment and agent."] = ""
    normalize_observations: Annotated[
        bool,
        "Let networks see each number of an observation less its mean so far, in standard deviations up to 10. Not for "
        "pictures.",
    ] = False
    action_repetition: Annotated[Count, "How many times each action is taken within a step."] = 1
    nb_max_start_steps: Annotated[
        CountOrZero, "Maximum number of random steps at the start of an episode. Nothing is learned from them."
    ] = 0
    nb_max_episode_steps: Annotated[CountOrZero, "Time limit of an episode in steps. 0: the environment's own."] = 0


@dataclass(frozen=True)
class ActionSettings:
    """Which actions may be taken."""

    action_masks: Annotated[
        bool,
        'Take and value only actions that the environment says are legal, if it does: in info["action_mask"] or by a '
        "method action_masks().",
    ] = True


@dataclass(frozen=True)
class NetworkSettings:
    """The Q-network."""

    hidden_layers: HiddenLayers = (16, 16, 16)
    activation: Activation = "relu"
    layer_normalization: LayerNormalization = False
    enable_double_dqn: Annotated[
        bool, "Double DQN: the online network chooses the action, the target network estimates its value."
    ] = False
    enable_dueling_network: Annotated[
        bool, "Dueling DQN: the network ends in the state's value and the actions' advantages."
    ] = False
    dueling_type: Annotated[Literal["avg", "max", "naive"], "How a dueling network combines value and advantages."] = (
        "avg"
    )
    network: Network = ""
    recipe: Recipe = ""


@dataclass(frozen=True)
class ExplorationSettings:
    """How often actions are random (epsilon)."""

    eps_max: Annotated[Fraction, "Probability of a random action at the first step."] = 1.0
    eps_min: Annotated[Fraction, "Probability of a random action at the end."] = 0.1
    eps_test: Annotated[
        Fraction,
        "Probability of a random action in tests with this policy. test.py acts greedily, as Keras-RL does by default.",
    ] = 0.05
    eps_schedule: Annotated[Literal["linear", "exponential"], "How the probability falls from eps_max to eps_min."] = (
        "linear"
    )
    eps_nb_steps: Annotated[Count, "linear: steps until eps_min is reached."] = 10_000
    eps_rate: Annotated[Positive, Finite, "exponential: decay per step."] = 5e-4


@dataclass(frozen=True)
class MemorySettings:
    """The replay memory."""

    memory: Annotated[
        Literal["sequential", "prioritized"],
        "sequential: all transitions are equally likely. prioritized: those with large errors are more likely.",
    ] = "sequential"
    memory_limit: Annotated[Count, "Steps kept in the replay memory."] = 50_000
    window_length: Annotated[int, Meta(ge=1, le=1_000), "Number of recent observations that make up a state."] = 1
    priority_alpha: Annotated[Fraction, "prioritized: how much errors matter. 0: not at all."] = 0.6
    priority_beta: Annotated[Fraction, "prioritized: how much of the bias the weights remove at the beginning."] = 0.4
    priority_beta_end: Annotated[Fraction, "prioritized: how much of it they remove at the end."] = 1.0
    priority_nb_steps: Annotated[Count, "prioritized: steps until that end is reached."] = 50_000
    priority_epsilon: Annotated[
        float,
        Meta(ge=1e-30, le=1e30),
        "prioritized: added to the size of each error, so that every transition can be drawn again.",
    ] = 1e-6


@dataclass(frozen=True)
class LearningSettings:
    """The updates."""

    gamma: Gamma = 0.99
    n_step: NStep = 1
    optimizer: Optimizer = "adam"
    learning_rate: LearningRate = 1e-3
    learning_rate_end: LearningRateEnd = 0.0
    learning_rate_nb_steps: LearningRateNbSteps = 0
    batch_size: BatchSize = 32
    train_interval: TrainInterval = 1
    gradient_steps: GradientSteps = 1
    nb_steps_warmup: WarmUp = 10
    target_model_update: TargetModelUpdate = 1e-2
    delta_clip: DeltaClip = float("inf")
    global_clipnorm: GlobalClipnorm = float("inf")


@dataclass(frozen=True)
class EvaluationSettings:
    """Greedy episodes during training that find the best weights."""

    eval_interval: Annotated[
        CountOrZero, "Steps between evaluations, which keep the best weights. 0: no evaluations."
    ] = 5_000
    eval_episodes: Annotated[Count, "Greedy episodes in an evaluation."] = 5
    eval_env: Annotated[
        Name | None, "Environment to evaluate in, and whose threshold counts. By default the one trained in."
    ] = None
    eval_env_arg: Annotated[
        Arguments, "Argument for what makes that environment; without eval_env, in addition to those of env_arg."
    ] = field(default_factory=dict)
    stop_when_solved: Annotated[
        bool, "Stop once the mean of 100 greedy episodes reaches the environment's own threshold."
    ] = False
    stop_at: Annotated[Reward | None, "Stop once the mean of 100 greedy episodes reaches this reward."] = None
    playoff: Annotated[
        int,
        Meta(ge=0, le=20),
        "How many of the best evaluated weights play 100 fresh episodes each at the end, which decide what the best "
        "weights are. 0: none, the evaluations decide.",
    ] = 0
    play: Annotated[Literal["best", "last"], "Weights in the test.py command printed at the end."] = "best"
    record_every: Annotated[
        CountOrZero, "Steps between films of an evaluation's first episode, in log_dir. 0: no films."
    ] = 0


@dataclass(frozen=True)
class RunSettings:
    """Length, output and machine."""

    nb_steps: Annotated[Count, "Steps to train."] = 50_000
    max_time: Annotated[
        str | float | None,
        Meta(title="TIME"),
        "Time from the program's start after which the run ends with the episode that is under way, to be continued "
        "with --resume: 2h30m, 90m, 45s, 1d, or seconds.",
    ] = None
    seed: Annotated[Seed | None, "Seed of all random numbers. Without it, one is drawn and printed."] = None
    verbose: Annotated[
        Literal[0, 1, 2],
        "0: errors only. 1: a live line, or in a file a line every 10000 steps. 2: a line for each episode.",
    ] = 1
    visualize: Annotated[bool, "Show the environment in a window, at natural speed."] = False
    callback: Annotated[
        tuple[OwnName, ...],
        "module:Class of each callback of your own, created without arguments or, optionally, from config.",
    ] = ()
    tensorboard: Annotated[bool, "Write curves and settings for TensorBoard to a folder in log_dir."] = False
    threads: Annotated[
        int,
        Meta(ge=0, le=1_024),
        "Threads for TensorFlow. 0: one for vectors and small networks, all cores for images and large networks.",
    ] = 0
    device: Annotated[
        Literal["auto", "cpu", "gpu"],
        "Where to compute. auto: small networks on the CPU, others on a GPU if there is one.",
    ] = "auto"
    jit_compile: Annotated[
        bool, "Compile updates with XLA where possible: costs seconds at the start, is faster afterwards."
    ] = True
    start_from: Annotated[
        File, "Weights of an earlier run, in this environment or another, that a new run begins with."
    ] = ""
    skip_mismatch: Annotated[bool, "start_from: leave out layers of other shapes, which are refused otherwise."] = False
    resume: Annotated[
        bool,
        "Continue the run in checkpoint_dir with its settings. Length, output, learning rate, exploration, "
        "evaluations, callbacks, threads and device may be changed.",
    ] = False
    overwrite: Annotated[
        bool, "Replace an unfinished run in checkpoint_dir, which a new run otherwise refuses to do; it is kept, too."
    ] = False
    trust: Annotated[
        bool, "Import the modules that a resumed run or a --config file names, even if no option does."
    ] = False
    state_interval: Annotated[Count, "Steps between saved training states, from which --resume continues."] = 5_000
    save_memory: Annotated[
        bool, "Keep the replay memory in training states. Without it, a resumed run is not exactly the same."
    ] = True
    checkpoint_dir: Annotated[Folder, "Folder for weights."] = "checkpoints"
    checkpoint_interval: Annotated[Count, "Steps between saved weights."] = 5_000
    log_dir: Annotated[Folder, "Folder for log, curve and configuration."] = "logs"
    log_interval: Annotated[Count, "Episodes between writes of the log."] = 100


GROUPS = (
    EnvironmentSettings,
    ActionSettings,
    NetworkSettings,
    ExplorationSettings,
    MemorySettings,
    LearningSettings,
    EvaluationSettings,
    RunSettings,
)


class Settings:
    """What the settings of each agent can do.

    Attributes:
        given: Names of those that the call which made them gave; None if it gave all, as `dataclasses.replace` does.
    """

    __slots__ = ("given",)  # beside the fields, which are in `vars`

    def __post_init__(self) -> None:
        check(self)
        check_together(self)

    def __getstate__(self) -> dict[str, Any]:
        return dict(vars(self))

    @classmethod
    def load(cls, preset: str | None = None, file: str | Path | None = None, **settings: Any) -> "AnyConfig":
        """Return the defaults, changed by a preset, then by a TOML file, then by `settings`.

        `Config.load` returns the settings of the agent that one of these names by the key `agent`.

        Raises:
            UserError: The preset or file does not exist, or has an unknown key, a wrong type or an impossible value.
        """
        from kerasrl.config.files import load  # which knows all agents

        return load(None if cls is Config else cls.agent, preset, file, settings)  # type: ignore[attr-defined]


@settings_of
@dataclass(frozen=True)
class Config(
    Settings,
    RunSettings,
    EvaluationSettings,
    LearningSettings,
    MemorySettings,
    ExplorationSettings,
    NetworkSettings,
    ActionSettings,
    EnvironmentSettings,
):
    """Train Keras-RL's DQN agent. The defaults are the CartPole tutorial's.

    Raises:
        UserError: There is no such setting, or its value has the wrong type or is impossible.
    """

    agent: ClassVar[Literal["dqn"]] = "dqn"  # which files need not name
    groups: ClassVar[tuple[type, ...]] = GROUPS
