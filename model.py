"""The Q-network and the agent of the tutorial."""

from dataclasses import asdict

from kerasrl import DQNAgent, SequentialMemory, compat  # noqa: F401

# isort: split

from keras import Input, Model
from keras.layers import Dense, Flatten
from keras.optimizers import Adam
from keras.utils import set_random_seed as set_random_seed  # train.py calls it before it builds
from rl.policy import EpsGreedyQPolicy, LinearAnnealedPolicy

from config import Config


def build_model(
    state_size: int | tuple[int, ...],
    num_actions: int,
    hidden_layers: tuple[int, ...] = Config.hidden_layers,
    window_length: int = Config.window_length,
) -> Model:
    """Return the Q-network: states [B, window_length, state_size] to Q-values [B, num_actions].

    `state_size` is the length of an observation, or its shape if it has more than one dimension.
    """
    shape = (state_size,) if isinstance(state_size, int) else state_size
    input = Input(shape=(window_length, *shape))
    x = Flatten()(input)
    for nodes in hidden_layers:
        x = Dense(nodes, activation="relu")(x)
    output = Dense(num_actions, activation="linear")(x)
    return Model(inputs=input, outputs=output)


def build_agent(model: Model, num_actions: int, config: Config = Config()) -> DQNAgent:
    """Return the compiled agent: replay memory, exploration policy, DQN."""
    memory = SequentialMemory(limit=config.memory_limit, window_length=config.window_length)
    policy = LinearAnnealedPolicy(
        EpsGreedyQPolicy(),
        attr="eps",
        value_max=config.eps_max,
        value_min=config.eps_min,
        value_test=config.eps_test,
        nb_steps=config.eps_nb_steps,
    )
    dqn = DQNAgent(
        model=model,
        nb_actions=num_actions,
        memory=memory,
        gamma=config.gamma,
        batch_size=config.batch_size,
        nb_steps_warmup=config.nb_steps_warmup,
        train_interval=config.train_interval,
        gradient_steps=config.gradient_steps,
        target_model_update=config.target_model_update,
        policy=policy,
        metadata=asdict(config),
    )
    dqn.compile(Adam(learning_rate=config.learning_rate), metrics=["mae"])
    return dqn
