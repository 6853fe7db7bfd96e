"""The dueling architecture against NumPy and against the same network built by hand."""

import keras
import numpy as np
import pytest
import rl.policy
from keras import layers

from kerasrl import DQNAgent, SequentialMemory, UserError

NB_ACTIONS = 3

BASELINES = {
    "avg": lambda advantages: advantages.mean(axis=1, keepdims=True),
    "max": lambda advantages: advantages.max(axis=1, keepdims=True),
    "naive": lambda advantages: 0.0,
}


def build_model(kind="sequential"):
    layers_ = [layers.Flatten(), layers.Dense(6, activation="tanh"), layers.Dense(NB_ACTIONS, activation="linear")]
    if kind == "sequential":
        return keras.Sequential([keras.Input((2, 2)), *layers_])
    x = inputs = keras.Input((2, 2))
    for layer in layers_:
        x = layer(x)
    return keras.Model(inputs, x)


def build_agent(model, **options):
    agent = DQNAgent(
        model=model, nb_actions=NB_ACTIONS, memory=SequentialMemory(limit=60, window_length=2), nb_steps_warmup=10,
        target_model_update=0.1, batch_size=8, policy=rl.policy.EpsGreedyQPolicy(eps=0.4), **options,
    )  # fmt: skip
    agent.compile(keras.optimizers.SGD(0.05))
    return agent


class RandomEnv:
    def reset(self):
        self.rng, self.nb_steps = np.random.default_rng(1), 0
        return self.rng.normal(size=2).astype(np.float32), {}

    def step(self, action):
        self.nb_steps += 1
        observation = self.rng.normal(size=2).astype(np.float32)
        return observation, float(action == self.nb_steps % 3), self.nb_steps == 9, False, {}


def streams(weights, states):
    """Value [B, 1] and advantages [B, nb_actions]: the first output is the value, as in Keras-RL."""
    hidden = np.tanh(states.reshape(len(states), -1) @ weights[0] + weights[1])
    outputs = hidden @ weights[2] + weights[3]
    return outputs[:, :1], outputs[:, 1:]


@pytest.mark.parametrize("kind", ["sequential", "functional"])
@pytest.mark.parametrize("dueling_type", BASELINES)
def test_values_equal_numpy(dueling_type, kind):
    agent = build_agent(build_model(kind), enable_dueling_network=True, dueling_type=dueling_type)
    weights = agent.model.get_weights()
    assert [w.shape for w in weights] == [
        (4, 6),
        (6,),
        (6, NB_ACTIONS + 1),
        (NB_ACTIONS + 1,),
    ]  # Keras-RL's
    agent.model.set_weights([*weights[:3], np.array([0.5, -1.0, 2.0, 0.25])])
    states = np.random.default_rng(0).normal(size=(5, 2, 2)).astype(np.float32)
    value, advantages = streams(agent.model.get_weights(), states)
    expected = value + advantages - BASELINES[dueling_type](advantages)
    np.testing.assert_allclose(agent.compute_batch_q_values([list(state) for state in states]), expected, 1e-5, 1e-6)


def by_hand(dueling_type):
    inputs = keras.Input((2, 2))
    outputs = layers.Dense(NB_ACTIONS + 1)(layers.Dense(6, activation="tanh")(layers.Flatten()(inputs)))
    value, advantages = outputs[:, :1], outputs[:, 1:]
    if dueling_type == "avg":
        advantages = advantages - keras.ops.mean(advantages, axis=1, keepdims=True)
    elif dueling_type == "max":
        advantages = advantages - keras.ops.max(advantages, axis=1, keepdims=True)
    return keras.Model(inputs, value + advantages)


@pytest.mark.long
@pytest.mark.parametrize("enable_double_dqn", [False, True])
@pytest.mark.parametrize("dueling_type", BASELINES)
def test_learns_what_a_network_built_by_hand_learns(dueling_type, enable_double_dqn):
    options = {"enable_double_dqn": enable_double_dqn}
    dueling = build_agent(build_model(), enable_dueling_network=True, dueling_type=dueling_type, **options)
    plain = build_agent(by_hand(dueling_type), **options)
    before = dueling.model.get_weights()
    plain.model.set_weights(before)
    plain.update_target_model_hard()
    for agent in (dueling, plain):
        agent.fit(RandomEnv(), 40, verbose=0, seed=1)
    for networks in (("model", "model"), ("target_model", "target_model")):
        actual, expected = (getattr(a, n).get_weights() for a, n in zip((dueling, plain), networks, strict=True))
        for one, other, old in zip(actual, expected, before, strict=True):
            np.testing.assert_allclose(one, other, 1e-4, 1e-5)
            assert np.any(one != old)


def test_average_is_the_default():
    agent = build_agent(build_model(), enable_dueling_network=True)
    assert agent.enable_dueling_network and agent.dueling_type == "avg"
    states = np.random.default_rng(0).normal(size=(5, 2, 2)).astype(np.float32)
    value, _ = streams(agent.model.get_weights(), states)
    q_values = agent.compute_batch_q_values([list(state) for state in states])
    np.testing.assert_allclose(q_values.mean(axis=1, keepdims=True), value, 1e-5, 1e-6)


def test_hidden_layers_are_the_models_own():
    model = build_model()
    hidden = model.get_weights()[:2]
    agent = build_agent(model, enable_dueling_network=True)
    for actual, expected in zip(agent.model.get_weights()[:2], hidden, strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_several_inputs():
    inputs = [keras.Input((1, 2), name=name) for name in ("a", "b")]
    x = layers.Dense(4, activation="relu")(layers.Flatten()(layers.Concatenate()(inputs)))
    model = keras.Model(inputs, layers.Dense(NB_ACTIONS)(x))
    agent = DQNAgent(
        model=model, nb_actions=NB_ACTIONS, memory=SequentialMemory(limit=60), enable_dueling_network=True,
    )  # fmt: skip
    agent.compile("sgd", jit_compile=False)
    observation = {"a": np.ones(2, np.float32), "b": np.zeros(2, np.float32)}
    expected = agent.model([np.ones((1, 1, 2)), np.zeros((1, 1, 2))])[0]
    np.testing.assert_allclose(agent.compute_q_values([observation]), expected, 1e-5)


@pytest.mark.parametrize("dueling_type", ["median", "", None, "AVG"])
def test_other_types_are_refused(dueling_type):
    with pytest.raises(UserError, match="avg, max, naive"):
        build_agent(build_model(), enable_dueling_network=True, dueling_type=dueling_type)


def test_other_number_of_actions_is_refused():
    with pytest.raises(ValueError, match="4"):
        DQNAgent(model=build_model(), nb_actions=4, memory=SequentialMemory(limit=60), enable_dueling_network=True)
