"""Exploration: Keras-RL's policies with our agent, and the exponential schedule."""

import math

import keras
import numpy as np
import pytest
import rl.callbacks
import rl.policy
from keras import layers
from rl.policy import (
    BoltzmannGumbelQPolicy,
    BoltzmannQPolicy,
    EpsGreedyQPolicy,
    GreedyQPolicy,
    LinearAnnealedPolicy,
    MaxBoltzmannQPolicy,
)

from kerasrl import DQNAgent, ExponentialAnnealedPolicy, SequentialMemory, UserError


class Env:
    def reset(self):
        self.nb_steps = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.nb_steps += 1
        return np.array([action, self.nb_steps], np.float32), float(action), self.nb_steps == 7, False, {}


class Log(rl.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.actions, self.metrics = [], []

    def on_step_end(self, step, logs):
        self.actions.append(logs["action"])
        self.metrics.append(logs.get("metrics"))


class Spy(rl.policy.Policy):
    """Watches what another policy is given and does."""

    def __init__(self, policy):
        self.policy, self.seen = policy, []

    def _set_agent(self, agent):
        super()._set_agent(agent)
        self.policy._set_agent(agent)

    def select_action(self, q_values):
        action = self.policy.select_action(q_values=q_values)
        self.seen.append((q_values.copy(), action))
        return action


def build_agent(policy, **options):
    model = keras.Sequential([keras.Input((1, 2)), layers.Flatten(), layers.Dense(3)])
    options = {"nb_steps_warmup": 9, "batch_size": 4} | options
    agent = DQNAgent(model=model, nb_actions=3, memory=SequentialMemory(limit=50), policy=policy, **options)
    agent.compile(keras.optimizers.SGD(0.01), jit_compile=False)
    return agent


POLICIES = {
    "eps greedy": lambda: EpsGreedyQPolicy(eps=0.5),
    "greedy": lambda: GreedyQPolicy(),
    "boltzmann": lambda: BoltzmannQPolicy(tau=0.5),
    "max boltzmann": lambda: MaxBoltzmannQPolicy(eps=0.7),
    "boltzmann gumbel": lambda: BoltzmannGumbelQPolicy(C=2.0),
    "linear, eps": lambda: LinearAnnealedPolicy(EpsGreedyQPolicy(), "eps", 1.0, 0.1, 0.05, 30),
    "linear, tau": lambda: LinearAnnealedPolicy(BoltzmannQPolicy(), "tau", 2.0, 0.5, 0.1, 30),
    "exponential": lambda: ExponentialAnnealedPolicy(EpsGreedyQPolicy(), "eps", 1.0, 0.1, 0.05, 0.05),
    "exponential, max boltzmann": lambda: ExponentialAnnealedPolicy(MaxBoltzmannQPolicy(), "eps", 1.0, 0.1, 0.0, 0.1),
}


@pytest.mark.long
@pytest.mark.parametrize("name", POLICIES)
def test_policy_acts_while_the_agent_learns(name):
    spy, log = Spy(POLICIES[name]()), Log()
    agent = build_agent(spy)
    agent.fit(Env(), 40, callbacks=[log], verbose=0, seed=1)
    assert all(q_values.shape == (3,) and np.isfinite(q_values).all() for q_values, _ in spy.seen)
    assert len(spy.seen) == 40 + 40 // 7  # a choice more at each episode's end, as in Keras-RL
    assert [action for i, (_, action) in enumerate(spy.seen) if i % 8 != 7] == log.actions
    if name == "greedy":
        assert all(action == np.argmax(q_values) for q_values, action in spy.seen)
    else:
        assert set(log.actions) == {0, 1, 2}


@pytest.mark.long
@pytest.mark.parametrize("name", ["eps greedy", "greedy", "linear, eps", "linear, tau"])
def test_keras_rls_own_policies_choose_as_their_methods_do(name):
    plain, log = POLICIES[name](), Log()
    build_agent(plain).fit(Env(), 30, callbacks=[log], verbose=0, seed=1)
    keras.utils.set_random_seed(0)
    spy, expected = Spy(POLICIES[name]()), Log()
    build_agent(spy).fit(Env(), 30, callbacks=[expected], verbose=0, seed=1)
    assert [(type(action), action) for action in log.actions] == [(type(action), action) for action in expected.actions]
    assert plain.get_config() == spy.policy.get_config()  # with the rate of exploration as it became


@pytest.mark.long
def test_policy_sees_the_q_values_of_the_network_as_it_is():
    class Checking(GreedyQPolicy):
        def select_action(self, q_values):
            weights = self.agent.model.get_weights()
            observations.append(1)
            observation = self.agent_observation()
            np.testing.assert_allclose(q_values, observation @ weights[0] + weights[1], 1e-5, 1e-6)
            return super().select_action(q_values)

        def agent_observation(self):
            return env.observation

    class Watched(Env):
        def reset(self):
            self.observation, info = super().reset()
            return self.observation, info

        def step(self, action):
            self.observation, *rest = super().step(action)
            return self.observation, *rest

    env, observations = Watched(), []
    build_agent(Checking()).fit(env, 40, verbose=0)
    assert len(observations) == 45


def test_linear_annealing_is_logged_and_ends():
    policy, log = POLICIES["linear, eps"](), Log()
    agent = build_agent(policy)
    assert agent.metrics_names == ["loss", "mean_q", "mean_eps"]
    agent.fit(Env(), 40, callbacks=[log], verbose=0)
    assert np.isnan(log.metrics[9][2])
    for step in range(10, 40):
        assert log.metrics[step][2] == pytest.approx(max(0.1, 1.0 - 0.9 * step / 30))


def test_value_test_counts_where_the_policy_tests_too():
    policy = POLICIES["linear, eps"]()
    agent = build_agent(policy, test_policy=policy)
    agent.fit(Env(), 5, verbose=0)
    agent.test(Env(), 1, visualize=False, verbose=0)
    assert policy.inner_policy.eps == 0.05


@pytest.mark.long
def test_gumbel_counts_actions_and_begins_anew_with_each_training():
    policy = POLICIES["boltzmann gumbel"]()
    agent = build_agent(policy)
    for _ in range(2):
        agent.fit(Env(), 20, verbose=0)
        assert policy.action_counts.sum() == 3 + 20 + 2
    agent.test_policy = policy
    with pytest.raises(AssertionError, match="training"):
        agent.test(Env(), 1, visualize=False, verbose=0)


# The exponential schedule


class Clock:
    training, step = True, 0


def exponential(**options):
    options = {"value_max": 1.0, "value_min": 0.1, "value_test": 0.05, "rate": 0.01} | options
    policy = ExponentialAnnealedPolicy(EpsGreedyQPolicy(), attr="eps", **options)
    policy._set_agent(Clock())
    return policy


@pytest.mark.parametrize("step", [0, 1, 10, 1000, 10**6])
def test_exponential_values(step):
    policy = exponential()
    policy.agent.step = step
    assert policy.get_current_value() == pytest.approx(0.1 + 0.9 * math.exp(-0.01 * step), abs=1e-12)
    policy.select_action(q_values=np.zeros(3))
    assert policy.inner_policy.eps == policy.metrics[0] == policy.get_current_value()
    policy.agent.training = False
    assert policy.get_current_value() == 0.05


@pytest.mark.long
def test_exponential_annealing_is_logged():
    log = Log()
    policy = ExponentialAnnealedPolicy(EpsGreedyQPolicy(), "eps", 1.0, 0.1, 0.05, 0.05)
    agent = build_agent(policy, test_policy=policy)
    assert agent.metrics_names[-1] == "mean_eps"
    agent.fit(Env(), 30, callbacks=[log], verbose=0)
    for step in range(10, 30):
        assert log.metrics[step][-1] == pytest.approx(0.1 + 0.9 * math.exp(-0.05 * step))
    agent.test(Env(), 1, visualize=False, verbose=0)
    assert policy.inner_policy.eps == 0.05


def test_exponential_is_a_policy_of_keras_rl():
    policy = exponential()
    assert isinstance(policy, rl.policy.Policy)
    assert policy.get_config() == {
        "attr": "eps",
        "value_max": 1.0,
        "value_min": 0.1,
        "value_test": 0.05,
        "rate": 0.01,
        "inner_policy": {"class_name": "EpsGreedyQPolicy", "config": {"eps": 0.1}},
    }
    assert build_agent(policy).get_config()["policy"]["class_name"] == "ExponentialAnnealedPolicy"


@pytest.mark.parametrize("rate", [0, -0.1, float("nan")])
def test_rates_that_do_not_anneal_are_refused(rate):
    with pytest.raises(UserError, match="rate must be positive"):
        exponential(rate=rate)


def test_unknown_attribute_is_refused():
    with pytest.raises(ValueError, match="tau"):
        ExponentialAnnealedPolicy(EpsGreedyQPolicy(), "tau", 1.0, 0.1, 0.05, 0.01)
