"""The settings of the other agents: DDPG, NAF, SARSA and CEM. What they share with DQN is in `settings`."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from kerasrl.config.declaring import settings_of
from kerasrl.config.settings import (
    ActionSettings,
    Activation,
    BatchSize,
    Count,
    CountOrZero,
    DeltaClip,
    Env,
    EnvironmentSettings,
    EvaluationSettings,
    ExplorationSettings,
    Finite,
    Gamma,
    GlobalClipnorm,
    GradientSteps,
    HiddenLayers,
    LayerNormalization,
    LearningRate,
    LearningRateEnd,
    LearningRateNbSteps,
    MemorySettings,
    ModuleName,
    Network,
    Nodes,
    NotNegative,
    NStep,
    Optimizer,
    Positive,
    Recipe,
    RunSettings,
    Settings,
    TargetModelUpdate,
    TrainInterval,
    WarmUp,
)

Clipnorm = Annotated[
    Positive, "Maximum norm of the gradient of each array of weights; a larger one is scaled down. inf: no limit."
]
RewardScale = Annotated[
    Positive, Finite, "Factor of the rewards that are learned from. Those that are reported keep their size."
]


# What several of them have


@dataclass(frozen=True)
class ModelSettings:
    """The network."""

    hidden_layers: HiddenLayers = (16, 16, 16)
    activation: Activation = "relu"
    layer_normalization: LayerNormalization = False
    network: Network = ""
    recipe: Recipe = ""


@dataclass(frozen=True)
class NoiseSettings:
    """Exploration: random actions at first, then noise that is added to the agent's actions."""

    nb_random_steps: Annotated[CountOrZero, "Steps at the beginning in which all actions are equally likely."] = 1_000
    random_process: Annotated[
        Literal["gaussian", "ornstein-uhlenbeck", "none"],
        "Noise: independent in each step, or drifting as in Lillicrap et al. 2015, or none.",
    ] = "gaussian"
    noise_sigma: Annotated[
        NotNegative, Finite, "Size of the noise, as a part of half the range that an action may have."
    ] = 0.2
    noise_sigma_min: Annotated[NotNegative, Finite, "Size of the noise after noise_nb_steps."] = 0.0
    noise_nb_steps: Annotated[
        CountOrZero, "Steps over which the noise falls linearly to noise_sigma_min. 0: it keeps its size."
    ] = 0
    noise_theta: Annotated[NotNegative, Finite, "ornstein-uhlenbeck: how strongly the noise is drawn back to 0."] = 0.15
    noise_dt: Annotated[
        Positive, Finite, "ornstein-uhlenbeck: time of a step. 0.01, as in Keras-RL, is nearly a constant offset."
    ] = 0.05


# DDPG


@dataclass(frozen=True)
class ActorCriticSettings:
    """Actor and critic."""

    hidden_layers: HiddenLayers = (64, 64)
    critic_hidden_layers: Annotated[Nodes, "Nodes of each hidden layer of the critic."] = (64, 64)
    activation: Activation = "relu"
    layer_normalization: LayerNormalization = False
    action_l2: Annotated[
        NotNegative,
        Finite,
        "Weight of the actions' squares in the actor's loss (Andrychowicz et al. 2017), bounds being -1 and 1: what "
        "hardly matters stays near the middle.",
    ] = 0.0
    network: Annotated[
        ModuleName,
        "module:function that builds actor, critic and the critic's action input instead, from state_size, "
        "num_actions and, optionally, config.",
    ] = ""
    recipe: Recipe = ""


@dataclass(frozen=True)
class ActorCriticLearningSettings:
    """The updates."""

    gamma: Gamma = 0.99
    n_step: NStep = 1
    reward_scale: RewardScale = 1.0
    optimizer: Optimizer = "adam"
    actor_learning_rate: Annotated[Positive, Finite, "Learning rate of the actor's optimizer."] = 1e-3
    critic_learning_rate: Annotated[Positive, Finite, "Learning rate of the critic's optimizer."] = 1e-3
    learning_rate_end: LearningRateEnd = 0.0
    learning_rate_nb_steps: LearningRateNbSteps = 0
    batch_size: BatchSize = 64
    train_interval: TrainInterval = 1
    gradient_steps: GradientSteps = 1
    nb_steps_warmup_actor: Annotated[CountOrZero, "Steps before the first update of the actor."] = 1_000
    nb_steps_warmup_critic: Annotated[CountOrZero, "Steps before the first update of the critic."] = 1_000
    target_model_update: TargetModelUpdate = 5e-3
    delta_clip: DeltaClip = float("inf")
    clipnorm: Clipnorm = float("inf")


@settings_of
@dataclass(frozen=True)
class DDPGConfig(
    Settings,
    RunSettings,
    EvaluationSettings,
    ActorCriticLearningSettings,
    MemorySettings,
    NoiseSettings,
    ActorCriticSettings,
    EnvironmentSettings,
):
    """Train Keras-RL's DDPG agent (Lillicrap et al. 2015), for continuous actions.

    Raises:
        UserError: There is no such setting, or its value has the wrong type or is impossible.
    """

    env: Env = "Pendulum-v1"
    agent: Literal["ddpg"] = "ddpg"
    groups: ClassVar[tuple[type, ...]] = (
        EnvironmentSettings,
        ActorCriticSettings,
        NoiseSettings,
        MemorySettings,
        ActorCriticLearningSettings,
        EvaluationSettings,
        RunSettings,
    )


# NAF


@dataclass(frozen=True)
class NafNetworkSettings:
    """The networks V, mu and L, which are alike."""

    hidden_layers: HiddenLayers = (64, 64)
    activation: Activation = "relu"
    layer_normalization: LayerNormalization = False
    covariance_mode: Annotated[
        Literal["full", "diag"], "Whether L, whose square says how fast the value falls away from mu, is triangular."
    ] = "full"
    network: Annotated[
        ModuleName,
        "module:function that builds the models V, L and mu instead, from state_size, num_actions and, optionally, "
        "config.",
    ] = ""
    recipe: Recipe = ""


@dataclass(frozen=True)
class NafLearningSettings:
    """The updates."""

    gamma: Gamma = 0.99
    n_step: NStep = 1
    reward_scale: RewardScale = 1.0
    optimizer: Optimizer = "adam"
    learning_rate: LearningRate = 1e-3
    learning_rate_end: LearningRateEnd = 0.0
    learning_rate_nb_steps: LearningRateNbSteps = 0
    batch_size: BatchSize = 64
    train_interval: TrainInterval = 1
    gradient_steps: GradientSteps = 1
    nb_steps_warmup: WarmUp = 1_000
    target_model_update: TargetModelUpdate = 5e-3
    delta_clip: DeltaClip = float("inf")
    clipnorm: Clipnorm = 1.0


@settings_of
@dataclass(frozen=True)
class NAFConfig(
    Settings,
    RunSettings,
    EvaluationSettings,
    NafLearningSettings,
    MemorySettings,
    NoiseSettings,
    NafNetworkSettings,
    EnvironmentSettings,
):
    """Train Keras-RL's NAF agent (Gu et al. 2016), continuous DQN, for continuous actions.

    Raises:
        UserError: There is no such setting, or its value has the wrong type or is impossible.
    """

    env: Env = "Pendulum-v1"
    agent: Literal["naf"] = "naf"
    groups: ClassVar[tuple[type, ...]] = (
        EnvironmentSettings,
        NafNetworkSettings,
        NoiseSettings,
        MemorySettings,
        NafLearningSettings,
        EvaluationSettings,
        RunSettings,
    )


# SARSA


@dataclass(frozen=True)
class PolicySettings:
    """How actions are chosen while learning."""

    policy: Annotated[
        Literal["boltzmann", "eps"],
        "boltzmann: the higher an action's Q-value, the likelier it is. eps: random with probability epsilon.",
    ] = "boltzmann"
    tau: Annotated[Positive, Finite, "boltzmann: temperature, by which Q-values are divided."] = 1.0


@dataclass(frozen=True)
class SarsaLearningSettings:
    """The updates."""

    gamma: Gamma = 0.99
    optimizer: Optimizer = "adam"
    learning_rate: LearningRate = 1e-3
    learning_rate_end: LearningRateEnd = 0.0
    learning_rate_nb_steps: LearningRateNbSteps = 0
    train_interval: TrainInterval = 1
    nb_steps_warmup: WarmUp = 10
    delta_clip: DeltaClip = float("inf")
    global_clipnorm: GlobalClipnorm = float("inf")


@settings_of
@dataclass(frozen=True)
class SARSAConfig(
    Settings,
    RunSettings,
    EvaluationSettings,
    SarsaLearningSettings,
    ExplorationSettings,
    PolicySettings,
    ModelSettings,
    ActionSettings,
    EnvironmentSettings,
):
    """Train Keras-RL's SARSA agent (Rummery and Niranjan 1994), which learns from each step once, as it acts.

    Raises:
        UserError: There is no such setting, or its value has the wrong type or is impossible.
    """

    agent: Literal["sarsa"] = "sarsa"
    groups: ClassVar[tuple[type, ...]] = (
        EnvironmentSettings,
        ActionSettings,
        ModelSettings,
        PolicySettings,
        ExplorationSettings,
        SarsaLearningSettings,
        EvaluationSettings,
        RunSettings,
    )


# CEM


@dataclass(frozen=True)
class PopulationSettings:
    """The weights that are tried, an episode each, and how the next ones follow from the best of them."""

    memory_limit: Annotated[Count, "Episodes kept in the memory."] = 50
    batch_size: Annotated[Count, "Episodes in an update."] = 50
    elite_frac: Annotated[
        float, Meta(gt=0, le=1, description="above 0 and at most 1"), "Fraction of these that the next ones follow."
    ] = 0.2
    train_interval: Annotated[Count, "Episodes between updates."] = 50
    nb_steps_warmup: WarmUp = 1_000
    noise_ampl: Annotated[NotNegative, Finite, "Noise that is added to the standard deviation of the weights."] = 0.5
    noise_decay_const: Annotated[NotNegative, Finite, "Rate per step at which that noise falls."] = 0.0


@settings_of
@dataclass(frozen=True)
class CEMConfig(
    Settings, RunSettings, EvaluationSettings, PopulationSettings, ModelSettings, ActionSettings, EnvironmentSettings
):
    """Train Keras-RL's CEM agent (Szita and Lorincz 2006), which searches for weights without gradients.

    Raises:
        UserError: There is no such setting, or its value has the wrong type or is impossible.
    """

    hidden_layers: HiddenLayers = ()
    agent: Literal["cem"] = "cem"
    groups: ClassVar[tuple[type, ...]] = (
        EnvironmentSettings,
        ActionSettings,
        ModelSettings,
        PopulationSettings,
        EvaluationSettings,
        RunSettings,
    )
