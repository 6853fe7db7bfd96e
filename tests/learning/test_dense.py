"""Q-values of one state that NumPy computes, against those of the compiled call: the same, to the last bit."""

import keras
import numpy as np
import pytest
from keras import layers

from kerasrl import DQNAgent, SequentialMemory, environments
from kerasrl.learning import CompiledCalls, Trainable, fresh
from kerasrl.learning.dense import DenseNetwork

pytestmark = pytest.mark.xla


def dense(hidden=(16, 16, 16), activation="relu"):
    x = inputs = keras.Input((1, 4))
    x = layers.Flatten()(x)
    for nodes in hidden:
        x = layers.Dense(nodes, activation=activation)(x)
    return keras.Model(inputs, layers.Dense(2)(x))


def with_activation_layers():
    return keras.Sequential(
        [
            keras.Input((1, 4)), layers.Flatten(), layers.Dense(16), layers.Activation("relu"),
            layers.Dense(16, use_bias=False), layers.Activation("relu"), layers.Dense(2), layers.Activation("linear"),
        ]
    )  # fmt: skip


def with_one_layer_twice():
    twice = layers.Dense(4, activation="relu")
    inputs = keras.Input((1, 4))
    return keras.Model(inputs, layers.Dense(2)(twice(twice(layers.Flatten()(inputs)))))


def with_a_frozen_layer():
    model = dense()
    model.layers[2].trainable = False
    return model


MODELS = {
    "tutorial": dense,
    "activation layers": with_activation_layers,
    "wide": lambda: dense((64, 64)),
    "tanh": lambda: dense(activation="tanh"),
    "one layer twice": with_one_layer_twice,
    "a frozen layer": with_a_frozen_layer,
    "half precision": lambda: keras.Sequential(
        [keras.Input((1, 4)), layers.Flatten(), layers.Dense(16, dtype="mixed_float16"), layers.Dense(2)]
    ),
}


def build_agent(model, **options):
    agent = DQNAgent(model, memory=SequentialMemory(1_000, 1), nb_actions=2, **options)
    agent.compile(keras.optimizers.Adam(1e-2))
    return agent


@pytest.fixture
def uses(monkeypatch):
    """How many Q-values came from NumPy."""
    found = []
    original = DenseNetwork.output
    monkeypatch.setattr(DenseNetwork, "output", lambda self, state: found.append(1) or original(self, state))
    return found


@pytest.mark.long
@pytest.mark.parametrize("name", MODELS)
def test_the_same_bits_with_and_without_numpy(name, monkeypatch):
    env, weights, rewards = environments.make("CartPole-v1"), [], []
    for is_used in (True, False):
        if not is_used:
            monkeypatch.setattr(DenseNetwork, "of", classmethod(lambda cls, model, weights: None))
        keras.utils.set_random_seed(1)
        agent = build_agent(MODELS[name](), nb_steps_warmup=20, train_interval=4)
        agent.fit(env, 300, verbose=0, seed=1)
        weights.append(agent.model.get_weights())
        rewards.append(agent.test(env, 3, visualize=False, verbose=0, seed=1).history["episode_reward"])
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert rewards[0] == rewards[1]


@pytest.mark.long
def test_numpy_is_used_where_it_agrees(monkeypatch, uses):
    agreed, original = [], DenseNetwork.agrees
    monkeypatch.setattr(DenseNetwork, "agrees", lambda *args: agreed.append(original(*args)) or agreed[-1])
    agent = build_agent(dense())
    agent.test(environments.make("CartPole-v1"), 1, visualize=False, verbose=0, seed=1)
    nb_compared, nb_used = 64, len(uses)
    assert nb_used > nb_compared if agreed == [True] else nb_used <= nb_compared


def test_numpy_is_not_used_where_it_does_not_agree(monkeypatch, uses):
    original = CompiledCalls.__call__  # another order of additions, as other processors may have

    def differently(self, name, function, arrays):
        return np.nextafter(original(self, name, function, arrays), np.float32(np.inf))

    monkeypatch.setattr(CompiledCalls, "__call__", differently)
    agent = build_agent(dense())
    agent.test(environments.make("CartPole-v1"), 1, visualize=False, verbose=0, seed=1)
    assert len(uses) <= 1


def test_q_values_follow_the_weights(tmp_path):
    agent, env = build_agent(dense(), train_interval=4), environments.make("CartPole-v1")
    observation = np.array([0.1, -0.2, 0.03, 0.4], np.float32)

    def check():
        expected = agent.model(observation[None, None]).numpy()[0]
        np.testing.assert_allclose(agent.compute_q_values([observation]), expected, 1e-5, 1e-6)

    check()
    agent.save_weights(tmp_path / "first.h5f")
    agent.fit(env, 203, verbose=0, seed=1)
    check()
    agent.model.set_weights([np.ones_like(array) for array in agent.model.get_weights()])
    check()
    agent.load_weights(tmp_path / "first.h5f")
    check()


def test_a_layer_on_each_observation_of_a_window_is_left_to_tensorflow():
    window = keras.Input((3, 4))
    model = keras.Model(window, layers.Dense(2)(window))
    inputs = np.ones((1, 3, 4), np.float32)
    output = Trainable(model, fresh("sgd"), jit_compile=False).output([inputs])
    np.testing.assert_allclose(output, model(inputs), 1e-5)


@pytest.mark.long
@pytest.mark.parametrize("value", [np.inf, np.nan, 1e38])
def test_numbers_that_are_not_finite_warn_nobody(value):
    q_values = build_agent(dense()).compute_q_values([np.full(4, value, np.float32)])
    assert q_values.shape == (2,)
