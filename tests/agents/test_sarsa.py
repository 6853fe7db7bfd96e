"""SARSAAgent: each update against plain NumPy, values that are known, and everything that agents have."""

import functools
import itertools
import types

import keras
import numpy as np
import pytest
import rl.agents
import rl.callbacks
import rl.core
import rl.policy
import rl.processors
from keras import layers

import kerasrl
from kerasrl import SARSAAgent, SequentialMemory
from kerasrl.errors import DivergenceError
from kerasrl.storage import TrainingState


def build_model(nb_inputs=2, nb_actions=3, hidden=(5,), **options):
    hidden = [layers.Dense(nodes, "tanh", bias_initializer="random_normal") for nodes in hidden]
    output = layers.Dense(nb_actions, **options)
    return keras.Sequential([keras.Input((1, nb_inputs)), layers.Flatten(), *hidden, output])


def build_agent(model=None, nb_actions=3, optimizer="sgd", kind=SARSAAgent, metrics=(), **options):
    agent = kind(build_model(nb_actions=nb_actions) if model is None else model, nb_actions, **options)
    agent.compile(optimizer, metrics=metrics, jit_compile=False)
    return agent


class ScriptedEnv:
    """Random observations and rewards, whatever is done; ends of episodes are (length, how) pairs, in turn."""

    def __init__(self, ends):
        self.ends, self.rng, self.trace = itertools.cycle(ends), np.random.default_rng(1), []

    def reset(self):
        self.length, self.how = next(self.ends)
        self.nb_steps, self.observation = 0, self.rng.normal(size=2).astype(np.float32)
        return self.observation, {}

    def step(self, action):
        self.nb_steps += 1
        before, self.observation = self.observation, self.rng.normal(size=2).astype(np.float32)
        terminated, truncated = (self.nb_steps == self.length and self.how == how for how in ("death", "limit"))
        self.trace.append((before, self.rng.normal(), terminated, truncated, self.observation))
        return self.observation, self.trace[-1][1], terminated, truncated, {}


MIXED = [(7, "death"), (5, "limit"), (1, "death"), (1, "limit"), (4, "death")]


class RandomPolicy(rl.policy.Policy):
    def __init__(self, nb_actions=3):
        self.rng, self.actions, self.nb_actions = np.random.default_rng(2), [], nb_actions

    def select_action(self, q_values):
        self.actions.append(int(self.rng.integers(self.nb_actions)))
        return self.actions[-1]


class Recorder(rl.callbacks.Callback):
    """Each step's metrics and action, and after it, if asked to look, the weights; `after` steps something is done."""

    def __init__(self, looks=False, after=None):
        super().__init__()
        self.looks, self.after, self.metrics, self.weights, self.actions = looks, after or {}, [], [], []

    def on_step_end(self, step, logs):
        self.metrics.append(logs["metrics"])
        self.actions.append(int(logs["action"]))
        if self.looks:
            self.weights.append(self.model.model.get_weights())
        self.after.get(len(self.metrics), lambda agent: None)(self.model)


# NumPy


class NumpySARSA:
    """A Q-network with one tanh layer and SARSA's update of it (Sutton & Barto 2018, section 6.4), by hand."""

    def __init__(self, weights, adam, gamma=0.99, nb_steps_warmup=10, train_interval=1, delta_clip=np.inf):
        self.weights = [np.array(w, np.float64) for w in weights]
        self.adam, self.gamma, self.delta_clip, self.t = adam, gamma, delta_clip, 0
        self.nb_steps_warmup, self.train_interval = nb_steps_warmup, train_interval
        self.moments = [np.zeros((2, *w.shape)) for w in self.weights]

    def forward(self, observation):
        hidden = np.tanh(observation @ self.weights[0] + self.weights[1])
        return hidden @ self.weights[2] + self.weights[3], hidden

    def update(self, observation, action, target):
        q_values, hidden = self.forward(observation)
        error, clip = target - q_values[action], self.delta_clip
        loss = error**2 / 2 if abs(error) < clip else clip * (abs(error) - clip / 2)
        targets = target * np.eye(3)[action]
        d_q = -np.clip(error, -clip, clip) * np.eye(3)[action]
        d_hidden = self.weights[2] @ d_q * (1 - hidden**2)
        self.descend([np.outer(observation, d_hidden), d_hidden, np.outer(hidden, d_q), d_q])
        return [loss, np.abs(targets - q_values).mean(), q_values.max()]

    def descend(self, gradients):
        self.t += 1
        for weight, gradient, (m, v) in zip(self.weights, gradients, self.moments, strict=True):
            m += 0.1 * (gradient - m)
            v += 0.001 * (gradient**2 - v)
            rate = 0.01 * np.sqrt(1 - 0.999**self.t) / (1 - 0.9**self.t)
            weight -= rate * m / (np.sqrt(v) + 1e-7) if self.adam else 0.1 * gradient

    def learn(self, trace, actions):
        """Return each step's metrics and the weights after it; a step is learned from at the next one."""
        actions, before, history = iter(actions), None, []

        def at_step(number, observation):
            nonlocal before
            action, metrics = next(actions), [np.nan] * 3
            if before and number > self.nb_steps_warmup and number % self.train_interval == 0:
                state, taken, reward, terminated = before
                value = 0.0 if terminated else self.forward(observation)[0][action]
                metrics = self.update(state, taken, reward + self.gamma * value)
            return action, metrics

        for number, (observation, reward, terminated, truncated, last) in enumerate(trace):
            action, metrics = at_step(number, observation)
            before = observation, action, reward, terminated
            history.append((metrics, [w.copy() for w in self.weights]))
            if terminated or truncated:
                at_step(number + 1, last)
                before = None
        return history


ALL = [
    pytest.param(
        {"delta_clip": delta_clip, "train_interval": interval, "nb_steps_warmup": warmup, "gamma": gamma},
        adam,
        marks=()
        if (np.isinf(delta_clip), interval == 1, warmup == 0, adam).count(True) in (0, 3)
        else pytest.mark.long,
    )
    for (delta_clip, interval), (warmup, gamma), adam in itertools.product(
        itertools.product([np.inf, 0.5], [1, 3]), [(0, 0.5), (9, 0.99)], [False, True]
    )
]


@pytest.mark.parametrize(("options", "adam"), ALL, ids=str)
def test_updates_equal_numpy(options, adam):
    looks = options["train_interval"] == 1
    env, policy, recorder = ScriptedEnv(MIXED), RandomPolicy(), Recorder(looks)
    optimizer = keras.optimizers.Adam(0.01) if adam else keras.optimizers.SGD(0.1)
    agent = build_agent(policy=policy, optimizer=optimizer, metrics=["mae"], **options)
    assert agent.metrics_names == ["loss", "mae", "mean_q"]
    numpy = NumpySARSA(agent.get_weights(), adam, **options)
    agent.fit(env, 50, callbacks=[recorder], verbose=0)
    history = numpy.learn(env.trace, policy.actions)
    np.testing.assert_allclose(recorder.metrics, [metrics for metrics, _ in history], 1e-4, 1e-5)
    assert np.isfinite(recorder.metrics).any()
    for (_, expected), actual in zip(history, recorder.weights, strict=looks):
        for one, other in zip(actual, expected, strict=True):
            np.testing.assert_allclose(one, other, 1e-4, 1e-5)
    for one, other in zip(agent.get_weights(), numpy.weights, strict=True):
        np.testing.assert_allclose(one, other, 1e-4, 1e-5)


# Values that are known


class Chain:
    """States 0, 1, ..., each of them `width` wide, with reward 1 + action for each step; ends after `length` steps."""

    def __init__(self, length, how, width=4):
        self.length, self.how, self.states = length, how, np.eye(width, dtype=np.float32)

    def reset(self):
        self.nb_steps = 0
        return self.states[0], {}

    def step(self, action):
        self.nb_steps += 1
        done = self.nb_steps == self.length
        state = self.states[self.nb_steps % len(self.states)]
        return state, 1.0 + action, done and self.how == "death", done and self.how == "limit", {}


class Fixed(rl.policy.Policy):
    """One action after the other, over and over."""

    def __init__(self, *actions):
        self.actions = itertools.cycle(actions)

    def select_action(self, q_values):
        return next(self.actions)


def table(nb_states=4):
    """A model whose Q-values are its weights."""
    return build_model(nb_states, 2, (), use_bias=False)


@functools.cache
def build_tabular():
    return build_agent(table(), 2, keras.optimizers.SGD())


def tabular(policy, rate=0.5, start=((0, 0),) * 4, nb_steps_warmup=-1):
    """An agent whose Q-values of four states are those of `start`; one for all, as tracing takes longest."""
    agent = build_tabular()
    agent.model.set_weights([np.array(start)])
    agent.optimizer.learning_rate = rate
    agent.policy, agent.gamma, agent.nb_steps_warmup = policy, 0.5, nb_steps_warmup
    return agent


def learned(env, policy, nb_steps, **options):
    agent = tabular(policy, **options)
    agent.fit(env, nb_steps, verbose=0)
    return agent.get_weights()[0]


def test_values_are_those_of_the_policy_that_acts():
    """State 2 has an action that seems to be worth 10, but is not taken: only a greedy agent would count on it."""
    start = [[0, 0], [0, 0], [0, 10], [0, 0]]
    values = learned(
        Chain(3, "death"), Fixed(0, 1, 0, 0), 100, start=start
    )  # the fourth is chosen at the end, not taken
    np.testing.assert_allclose(values, [[1 + 0.5 * 2.5, 0], [0, 2 + 0.5 * 1], [1, 10], [0, 0]], atol=1e-5)


@pytest.mark.parametrize(("how", "value"), [("death", [1.75, 1.5, 1]), ("limit", [2.5, 3, 4])])
def test_a_time_limit_keeps_the_value_of_the_last_state_and_death_does_not(how, value):
    start = [[0, 0], [0, 0], [0, 0], [6, 0]]  # what the last state is believed to be worth
    values = learned(Chain(3, how), Fixed(0), 100, start=start)
    np.testing.assert_allclose(values[:3, 0], value, atol=1e-5)
    assert values[3].tolist() == [6, 0]  # nothing is learned about what comes after the end


@pytest.mark.parametrize(("how", "value"), [("death", 1), ("limit", 2)])
def test_episodes_of_one_step(how, value):
    class Standing(Chain):
        def step(self, action):
            return self.states[0], *super().step(action)[1:]

    np.testing.assert_allclose(learned(Standing(1, how), Fixed(0), 60)[0], [value, 0], atol=1e-5)


def test_after_the_warm_up_rewards_belong_to_their_steps():
    """The reward of the step before is learned, not of the one at which learning begins, as in Keras-RL."""
    values = learned(Chain(9, "death"), Fixed(0, 1), 4, rate=1.0, nb_steps_warmup=2)  # once, at step 3, from step 2
    np.testing.assert_array_equal(values, [[0, 0], [0, 0], [1, 0], [0, 0]])


@pytest.mark.parametrize("has_last_call", [True, False])
def test_a_loop_of_ones_own_learns_the_same(has_last_call):
    """Without the call after an episode's end the end is learned at the next step, and no step into a new episode."""
    env = Chain(3, "death")
    agent = tabular(Fixed(0))
    agent.reset_states()
    agent.training, agent.step = True, 0
    for _ in range(60):
        observation, done = env.reset()[0], False
        while not done:
            observation, reward, done, _, _ = env.step(agent.forward(observation))
            agent.backward(reward, terminal=done)
            agent.step += 1
        if has_last_call:
            agent.forward(observation)
            agent.backward(0.0, terminal=False)
    first = 1.75 if has_last_call else 0.5  # learned from once; later ones are taken for the call after the end
    expected = [first, 1.5, 1]
    np.testing.assert_allclose(agent.get_weights()[0][:3, 0], expected, atol=1e-4)


def test_a_step_is_learned_from_even_if_the_environment_uses_its_array_again():
    class Reusing(Chain):
        def step(self, action):
            observation, *rest = super().step(action)
            self.array[:] = observation
            return self.array, *rest

        def reset(self):
            self.array = super().reset()[0].copy()
            return self.array, {}

    values = learned(Reusing(3, "death"), Fixed(0), 100)
    np.testing.assert_allclose(values[:3, 0], [1.75, 1.5, 1], atol=1e-4)


def test_random_actions_at_first_are_the_ones_learned_and_rewards_may_be_scaled():
    agent = tabular(Fixed(0))
    agent.nb_random_steps, agent.reward_scale = 30, 2.0
    agent.fit(Chain(1, "death"), 60, verbose=0, seed=1)
    agent.nb_random_steps, agent.reward_scale = 0, 1.0
    np.testing.assert_allclose(agent.get_weights()[0][0], [2, 4], atol=1e-2)


def test_it_finds_the_best_way():
    class TwoRounds(Chain):
        """The second action counts, and which one is right depends on the first."""

        def step(self, action):
            observation, _, *rest = super().step(action)
            if self.nb_steps == 1:
                self.first = action
                return self.states[1 + action], 0.0, *rest
            return observation, [[2.0, 0.0], [0.0, 3.0]][self.first][action], *rest

    agent = tabular(rl.policy.EpsGreedyQPolicy(0.5), rate=0.1)
    agent.fit(TwoRounds(2, "death"), 4e2, verbose=0, seed=1)
    agent.test_policy = rl.policy.GreedyQPolicy()
    assert agent.test(TwoRounds(2, "death"), 2, verbose=0, visualize=False).history["episode_reward"] == [3.0, 3.0]


# What all agents have


def small(**options):
    """An agent whose weights are the same each time."""
    keras.utils.set_random_seed(3)
    policy = rl.policy.LinearAnnealedPolicy(rl.policy.EpsGreedyQPolicy(), "eps", 1.0, 0.1, 0.0, 60)
    options = {"policy": policy, "nb_steps_warmup": 4} | options
    return build_agent(optimizer="adam", **options)


def train(agent, nb_steps=60, callbacks=(), **options):
    recorder = Recorder()
    agent.fit(ScriptedEnv(MIXED), nb_steps, callbacks=[recorder, *callbacks], verbose=0, **{"seed": 5, **options})
    return recorder


def assert_same(one, other):
    for a, b in zip(one.trainables["learner"].get_state(), other.trainables["learner"].get_state(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def trained():
    """An agent, and what it did in a training of 60 steps."""
    agent = small()
    return agent, train(agent)


@pytest.fixture(scope="module")
def another():
    """One for what leaves no traces."""
    return small()


@pytest.mark.long
def test_one_seed_one_result(trained):
    agent, expected = trained
    other = small()
    assert train(other).actions == expected.actions
    assert_same(agent, other)
    assert train(other, seed=6).actions != expected.actions


@pytest.mark.long
def test_tests_and_looks_in_callbacks_leave_the_training_unchanged(trained):
    class Meddling(rl.callbacks.Callback):
        def test(self):
            self.model.test(ScriptedEnv(MIXED), 1, visualize=False, verbose=0)
            self.model.act(np.ones(2))

        def on_action_end(self, action, logs=None):
            if self.model.step % 5 == 0:
                self.test()

        def on_step_end(self, step, logs):
            if self.model.step % 5 == 1:
                self.test()

        def on_episode_end(self, episode, logs):
            self.test()

    agent = small()
    assert train(agent, callbacks=[Meddling()]).actions == trained[1].actions
    assert_same(agent, trained[0])


@pytest.mark.parametrize("killed", [pytest.param(False, marks=pytest.mark.long), True])
def test_a_resume_is_exact(tmp_path, killed, trained):
    class Killed(Exception):
        pass

    def kill(agent):
        raise Killed

    state = TrainingState(tmp_path / "state", interval=9)
    if killed:
        with pytest.raises(Killed):
            train(small(), 60, [Recorder(after={44: kill})], state=state)
    else:
        train(small(), 31, state=state)
    nb_played = state.load()["agent"]["step"]
    assert 20 < nb_played < 45
    env = ScriptedEnv(MIXED)  # a script, which no seed can bring to where it was
    while len(env.trace) < nb_played:
        env.reset()
        for _ in range(env.length):
            env.step(0)
    resumed = small()
    resumed.fit(env, 60, verbose=0, seed=5, state=TrainingState(tmp_path / "state", interval=9), resume=True)
    assert_same(resumed, trained[0])


def test_weights_that_somebody_writes_count_at_once():
    """Also for the value of an action that has been chosen with the weights before."""
    after, targets = [np.zeros((4, 2)), np.array([4.0, 8.0])], []

    def mean_target(y_true, y_pred):
        return keras.ops.sum(y_true)

    class Write(rl.callbacks.Callback):
        def on_action_end(self, action, logs=None):
            if self.model.step == 5:
                model.set_weights(after)
                self.model.compute_q_values([np.zeros(4)])  # which notices

    model = build_model(4, 2, ())
    agent = build_agent(
        model, 2, keras.optimizers.SGD(0.0), metrics=[mean_target], policy=rl.policy.GreedyQPolicy(), gamma=0.5
    )
    model.set_weights([np.zeros((4, 2)), np.array([1.0, 0.0])])
    agent.nb_steps_warmup = 0
    recorder = Recorder()
    agent.fit(Chain(99, "death"), 9, callbacks=[recorder, Write()], verbose=0)
    targets = [target for _, target, _ in recorder.metrics[1:]]
    assert recorder.actions == [0] * 6 + [1] * 3
    assert targets == [1.5] * 4 + [1 + 0.5 * 4, 1 + 0.5 * 8, 2 + 0.5 * 8, 2 + 0.5 * 8]


@pytest.mark.long
def test_settings_that_are_changed_count_from_the_next_step():
    def setting(**values):
        return lambda agent: [setattr(agent, name, value) for name, value in values.items()]

    changes = {
        **{10: setting(gamma=0.5), 16: setting(delta_clip=0.2), 20: setting(train_interval=2)},
        **{28: setting(train_interval=1, policy=Fixed(1)), 34: setting(nb_steps_warmup=99)},
    }
    env, policy, recorder = ScriptedEnv(MIXED), RandomPolicy(), Recorder(after=changes)
    agent = build_agent(policy=policy, optimizer=keras.optimizers.SGD(0.1), metrics=["mae"])
    numpy = NumpySARSA(agent.get_weights(), False)
    agent.fit(env, 38, callbacks=[recorder], verbose=0)
    assert recorder.actions[28:] == [1] * 10
    values = {10: {"gamma": 0.5}, 16: {"delta_clip": 0.2}, 20: {"train_interval": 2}}
    values |= {28: {"train_interval": 1}, 34: {"nb_steps_warmup": 99}}

    class Following(list):
        """The trace, at whose steps the settings change."""

        def __iter__(self):
            for number, step in enumerate(super().__iter__()):
                vars(numpy).update(values.get(number, {}))
                yield step

    history = numpy.learn(Following(env.trace), [*policy.actions, *[1] * 20])
    np.testing.assert_allclose(recorder.metrics, [metrics for metrics, _ in history], 1e-4, 1e-5)
    agent.delta_clip = 0
    with pytest.raises(kerasrl.UserError, match="delta_clip"):
        agent.fit(env, 3, verbose=0)


def test_test_policy_and_act():
    agent = tabular(Fixed(0), nb_steps_warmup=99, start=[[1, 2], [2, 1], [0, 0], [0, 0]])
    agent.test_policy = Fixed(1)
    env = Chain(3, "death")
    rewards = [agent.fit(env, 6, verbose=0), agent.test(env, 1, verbose=0, visualize=False)]
    assert [history.history["episode_reward"][0] for history in rewards] == [3, 6]
    agent.test_policy = rl.policy.GreedyQPolicy()
    assert [agent.act(state) for state in np.eye(4)[:2]] == [1, 0]


def test_weights_files_are_the_models(tmp_path):
    agent, other = small(metadata={"made": "here"}), build_agent()
    agent.save_weights(tmp_path / "sarsa_Chain_weights.h5f")
    other.load_weights(tmp_path / "sarsa_Chain_weights.h5f")
    for one, another in zip(agent.model.get_weights(), other.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, another)
    with pytest.raises(FileExistsError):
        agent.save_weights(tmp_path / "sarsa_Chain_weights.h5f")


# Observations and processors


@pytest.mark.long
@pytest.mark.parametrize("kind", [pytest.param("tuple", marks=pytest.mark.long), "processor"])
def test_several_inputs_learn_what_one_learns(kind):
    class Two(Chain):
        def reset(self):
            return self.split(super().reset()[0]), {}

        def step(self, action):
            observation, *rest = super().step(action)
            return self.split(observation), *rest

        def split(self, state):
            return (state[:2], state[2:]) if kind == "tuple" else [state[:2], state[2:]]

    inputs = [keras.Input((1, 2)), keras.Input((1, 2))]
    output = layers.Dense(2, use_bias=False, kernel_initializer="zeros")(layers.Flatten()(layers.Concatenate()(inputs)))
    processor = rl.processors.MultiInputProcessor(nb_inputs=2) if kind == "processor" else None
    agent = build_agent(
        keras.Model(inputs, output), 2, keras.optimizers.SGD(0.5), policy=Fixed(0), nb_steps_warmup=-1, gamma=0.5,
        processor=processor,
    )  # fmt: skip
    agent.fit(Two(3, "death"), 60, verbose=0)
    np.testing.assert_allclose(agent.get_weights()[0][:3, 0], [1.75, 1.5, 1], atol=1e-3)


def test_processors_metrics_and_actions():
    class Processor(rl.core.Processor):
        metrics_names, metrics = ("one",), [1.0]

        def process_observation(self, observation):
            return observation / 2

        def process_reward(self, reward):
            return reward * 10

        def process_action(self, action):
            return 1 - action

    class Seen(Chain):
        actions = []  # noqa: RUF012

        def step(self, action):
            self.actions.append(action)
            return super().step(action)

    recorder, env = Recorder(), Seen(3, "death")
    agent = tabular(Fixed(0))
    agent.processor = Processor()
    agent.fit(env, 3, callbacks=[recorder], verbose=0)
    assert agent.metrics_names == ["loss", "mean_q", "one"] and env.actions == [1, 1, 1]
    agent.processor = None
    assert recorder.metrics[2][0] == 20**2 / 2 and recorder.metrics[2][2] == 1


@pytest.mark.long
@pytest.mark.parametrize(
    "policy",
    [
        rl.policy.EpsGreedyQPolicy(), rl.policy.GreedyQPolicy(), rl.policy.BoltzmannQPolicy(),
        rl.policy.MaxBoltzmannQPolicy(), rl.policy.BoltzmannGumbelQPolicy(),
    ],
    ids=lambda policy: type(policy).__name__,
)  # fmt: skip
def test_keras_rls_policies(policy, another):
    agent = another
    agent.policy = policy
    assert np.isfinite(train(agent, 12).metrics[-1]).all()


def test_a_policy_may_return_an_array_of_one_number():
    class Arrays(Fixed):
        def select_action(self, q_values):
            return np.array([super().select_action(q_values)])

    values = learned(Chain(3, "death"), Arrays(1), 9)
    assert values[:3, 1].all() and not values[:, 0].any()


# As in Keras-RL


def test_is_keras_rls_agent():
    agent = kerasrl.SarsaAgent(build_model(), 3, rl.policy.GreedyQPolicy(), None, 0.9, 7, 2, 1.0, rl.core.Processor())
    assert kerasrl.SarsaAgent is SARSAAgent is kerasrl.agents.SARSAAgent
    assert isinstance(agent, rl.agents.SARSAAgent) and isinstance(agent.test_policy, rl.policy.GreedyQPolicy)
    assert (agent.gamma, agent.nb_steps_warmup, agent.train_interval, agent.delta_clip) == (0.9, 7, 2, 1.0)
    assert type(agent.processor) is rl.core.Processor and agent.policy.agent is agent
    names = ("nb_actions", "gamma", "nb_steps_warmup", "train_interval", "delta_clip", "model", "policy", "test_policy")
    assert set(agent.get_config()) == set(names)
    assert agent.layers == agent.model.layers
    default = SARSAAgent(build_model(), 3)
    assert (default.gamma, default.nb_steps_warmup, default.train_interval, default.delta_clip) == (0.99, 10, 1, np.inf)
    assert isinstance(default.policy, rl.policy.EpsGreedyQPolicy)
    with pytest.raises(RuntimeError, match="compile"):
        default.fit(Chain(3, "death"), 3)


def own(function):
    """A copy of Keras-RL's code as somebody has it in a script."""
    names = {**vars(rl.agents.sarsa), "__name__": "script"}
    return types.FunctionType(function.__code__, names, function.__name__, function.__defaults__)


@pytest.mark.long
def test_keras_rls_own_forward_and_backward_run():
    """A copy of its code, which learns the same until the first episode's end."""

    class Literal(SARSAAgent):
        forward, backward = own(rl.agents.SARSAAgent.forward), own(rl.agents.SARSAAgent.backward)

    options = {"policy": rl.policy.EpsGreedyQPolicy(0.5), "nb_steps_warmup": -1}
    (expected, ours), (actual, literal) = ((train(a, 6), a) for a in (small(**options), small(**options, kind=Literal)))
    assert actual.actions == expected.actions
    np.testing.assert_allclose(actual.metrics, expected.metrics, 1e-5)
    for one, other in zip(ours.get_weights(), literal.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, 1e-5)


def test_states_that_somebody_has_overridden_are_what_the_network_is_shown():
    class Doubled(SARSAAgent):
        def process_state_batch(self, batch):
            return 2 * np.asarray(batch, np.float32)

    agent, state = build_agent(kind=Doubled), [np.ones(2, np.float32)]
    np.testing.assert_array_equal(agent.states([state])[0], [[[2.0, 2.0]]])
    np.testing.assert_array_equal(agent.output(state), agent.compute_q_values(state))


def test_values_that_somebody_has_overridden_are_learned_from():
    class Tens(SARSAAgent):
        def compute_q_values(self, state):
            return np.array([10.0, 0.0])

    agent = build_agent(table(), 2, keras.optimizers.SGD(1.0), kind=Tens, policy=Fixed(0), nb_steps_warmup=0, gamma=0.5)
    agent.model.set_weights([np.zeros((4, 2))])
    agent.fit(Chain(9, "death"), 3, verbose=0)
    assert agent.get_weights()[0][:, 0].tolist() == [6, 6, 0, 0]


def test_a_compile_without_ours_is_refused_by_name(refused):
    class Own(SARSAAgent):
        def compile(self, optimizer, metrics=()):
            self.trainable_model, self.compiled = None, True

    agent = Own(build_model(), 3)
    agent.compile("sgd")
    with refused("Own.compile", "super().compile"):
        agent.fit(Chain(3, "death"), 3)


@pytest.mark.parametrize(
    "options",
    [
        {"memory": SequentialMemory(10)}, {"gradient_steps": 2}, {"n_step": 3}, {"target_model_update": 0.1},
        {"train_interval": 0}, {"delta_clip": 0.0}, {"nb_actions": 4}, {"model": build_model}, {"nb_actions": 0},
    ],
    ids=lambda options: next(iter(options)),
)  # fmt: skip
def test_unsupported_is_refused(options, refused):
    with refused():
        SARSAAgent(**{"model": build_model(), "nb_actions": 3, **options})


def test_a_memory_given_later_is_refused(refused):
    agent = small()
    agent.memory = SequentialMemory(10)
    with refused("no memory"):
        train(agent)


def test_values_that_are_too_large_are_unsound():
    agent = tabular(Fixed(0), rate=0.0, start=[[1e10, 1]] * 4)
    env = Chain(3, "death")
    env.states = env.states * np.float32(1e6)
    agent.fit(env, 3, verbose=0)
    assert agent.excess_step is not None and "loss" in agent.why_unsound()
    agent.excess_step = None
    assert "Q-values" in agent.why_unsound()


@pytest.mark.parametrize(
    ("nb_steps", "words"), [(2.5, "a whole number"), (0, "at least 1"), (np.inf, "a whole number")]
)
def test_a_number_of_steps_is_whole(nb_steps, words, refused):
    with refused(words):
        train(small(), nb_steps)


def test_divergence_is_told(refused):
    env = Chain(9, "death")
    env.states = env.states * np.float32(1e30)
    agent = tabular(Fixed(0), rate=1.0, start=[[1, 1]] * 4)
    with refused("learning rate", error=DivergenceError):
        agent.fit(env, 30, verbose=0)
