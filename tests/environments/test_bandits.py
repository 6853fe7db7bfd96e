"""Episodes of a single step, where a replay memory may hold nothing to learn from: no update until it does."""

import gym
import keras
import numpy as np
import pytest
import rl.memory
import rl.policy
from keras import layers

from kerasrl import Config, DQNAgent, PrioritizedMemory, SequentialMemory, train


class Bandit(gym.Env):
    """Pays 1 for the action that it shows, -1 for the other; the first `nb_short` episodes are a single step long."""

    observation_space, action_space = gym.spaces.Box(0, 1, (1,), np.float32), gym.spaces.Discrete(2)
    nb_short = 10**9

    def __init__(self):
        self.nb_episodes = 0

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.shown, self.nb_steps = int(self.np_random.integers(2)), 0
        self.nb_episodes += 1
        return np.array([self.shown], np.float32), {}

    def step(self, action):
        self.nb_steps += 1
        is_over = self.nb_episodes <= self.nb_short or self.nb_steps == 10
        return np.array([self.shown], np.float32), 1.0 if action == self.shown else -1.0, is_over, False, {}


class Hasty(Bandit):
    """An ordinary environment whose first episodes happen to end at once."""

    nb_short = 5


def agent_with(memory, **options):
    shape = (memory.window_length, 1)
    model = keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(8, "relu"), layers.Dense(2)])
    options = {"policy": rl.policy.EpsGreedyQPolicy(0.5), "target_model_update": 0.1, **options}
    agent = DQNAgent(model, nb_actions=2, memory=memory, nb_steps_warmup=0, **options)
    agent.compile(keras.optimizers.Adam(0.03))
    return agent


@pytest.mark.parametrize(
    "memory, options",
    [
        (SequentialMemory(4, seed=0), {}),
        pytest.param(
            SequentialMemory(200, window_length=3, seed=0), {"enable_double_dqn": True}, marks=pytest.mark.long
        ),
        pytest.param(SequentialMemory(200, seed=0), {"n_step": 3, "gradient_steps": 2}, marks=pytest.mark.long),
        (PrioritizedMemory(200, seed=0), {"n_step": 3}),
        pytest.param(rl.memory.SequentialMemory(200, window_length=3), {}, marks=pytest.mark.long),
    ],
    ids=lambda part: f"{type(part).__module__.split('.')[0]}-{type(part).__name__}" if hasattr(part, "sample") else "",
)
def test_a_bandits_values_are_learned_exactly(memory, options):
    agent = agent_with(memory, **options)
    agent.fit(Bandit(), 250, verbose=0, seed=0)
    for shown in (0, 1):
        state = [np.zeros(1, np.float32)] * (memory.window_length - 1) + [np.array([shown], np.float32)]
        expected = [1.0, -1.0] if shown == 0 else [-1.0, 1.0]
        np.testing.assert_allclose(agent.compute_q_values(state), expected, atol=0.1)


@pytest.mark.long
@pytest.mark.parametrize("memory", [SequentialMemory(50), rl.memory.SequentialMemory(50, window_length=1)])
def test_nothing_is_learned_while_nothing_can_be_drawn(memory):
    agent = agent_with(memory)
    losses = []

    class Losses(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs):
            losses.append(logs["metrics"][0])

    before = [w.copy() for w in agent.get_weights()]
    agent.fit(Bandit(), 1, verbose=0, callbacks=[Losses()])
    assert all(map(np.array_equal, before, agent.get_weights()))
    agent.fit(Bandit(), 4, verbose=0, callbacks=[Losses()])
    assert np.isnan(losses[0]) and np.isfinite(losses[-1])


@pytest.mark.long
@pytest.mark.parametrize("kind", [Bandit, Hasty])
@pytest.mark.parametrize("memory", ["sequential", pytest.param("prioritized", marks=pytest.mark.long)])
def test_a_training_starts_whatever_its_seed(tmp_path, kind, memory):
    """The trial before a training, which draws from a memory of few steps, accepts it, too."""
    config = Config(
        memory=memory, nb_steps=30, nb_steps_warmup=0, hidden_layers=(4,), eval_interval=0, verbose=0, seed=0,
        checkpoint_dir=str(tmp_path), log_dir=str(tmp_path),
    )  # fmt: skip
    assert train(config, env=kind()).history["nb_steps"][-1] in range(20, 31)
