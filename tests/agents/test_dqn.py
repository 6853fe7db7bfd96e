"""DQNAgent: its fast path against a plain eager implementation, what it learns, and every option it takes."""

import functools
import itertools
import random

import keras
import numpy as np
import pytest
import rl.agents
import rl.callbacks
import rl.core
import rl.memory
import rl.policy
import rl.processors
import tensorflow as tf
from keras import layers

from kerasrl import DQNAgent, SequentialMemory, UserError, environments


def build_model(nb_inputs=4, window_length=1, nb_actions=2, hidden=(8,)):
    model = keras.Sequential([keras.Input((window_length, nb_inputs)), layers.Flatten()])
    for nodes in hidden:
        model.add(layers.Dense(nodes, activation="relu"))
    model.add(layers.Dense(nb_actions))
    return model


def copy_of(model):
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def assert_close(actual, expected, tolerance=1e-5):
    assert len(actual) == len(expected)
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, tolerance, tolerance)


class Recorder(rl.callbacks.Callback):
    """What a step did: action and loss."""

    def __init__(self):
        super().__init__()
        self.actions, self.losses, self.rewards = [], [], []

    def on_step_end(self, step, logs):
        self.actions.append(logs["action"])
        self.losses.append(logs["metrics"][0])
        self.rewards.append(logs["reward"])


class LineEnv:
    """A walk on a line from 3 to 0 or 7; an observation has position and distance, made by `observe`."""

    def __init__(self, observe=lambda position: np.array([position, 7 - position], np.float32) / 7):
        self.observe = observe

    def reset(self):
        self.position, self.nb_steps = 3, 0
        return self.observe(self.position), {}

    def step(self, action):
        self.position += 1 if action == 1 else -1
        self.nb_steps += 1
        terminated, reward = self.position in (0, 7), float(self.position == 7) - 0.1
        return self.observe(self.position), reward, terminated, self.nb_steps == 15, {}


# The same as a plain implementation


class EagerDQN:
    """Keras-RL's DQNAgent and its `fit`, step by step in eager Keras; a time limit is no death."""

    def __init__(
        self, model, memory, policy, optimizer, batch_size, nb_steps_warmup, target_model_update, processor=None
    ):
        self.model, self.target = copy_of(model), copy_of(model)
        self.memory, self.policy, self.optimizer, self.processor = memory, policy, optimizer, processor
        self.batch_size, self.nb_steps_warmup, self.tau = batch_size, nb_steps_warmup, target_model_update
        self.training, self.step, self.actions, self.losses = True, 0, [], []
        policy._set_agent(self)

    def states(self, batch):
        batch = np.array(batch, np.float32)
        return batch if self.processor is None else self.processor.process_state_batch(batch)

    def forward(self, observation):
        q_values = self.model(self.states([self.memory.get_recent_state(observation)]), training=False)
        self.observation, self.action = observation, self.policy.select_action(q_values=q_values.numpy()[0])
        return self.action

    def backward(self, reward, terminal, truncated):
        known = {"truncated": truncated} if isinstance(self.memory, SequentialMemory) else {}
        self.memory.append(self.observation, self.action, reward, terminal, **known)
        loss = self.train() if self.step > self.nb_steps_warmup else np.nan
        if self.tau >= 1 and self.step % self.tau == 0:
            self.target.set_weights(self.model.get_weights())
        return loss

    def train(self):
        experiences = self.memory.sample(self.batch_size)
        states0, states1 = self.states([e.state0 for e in experiences]), self.states([e.state1 for e in experiences])
        next_values = np.max(self.target(states1, training=False), axis=1)
        continues = np.array([not e.terminal1 for e in experiences])
        targets = np.array([e.reward for e in experiences]) + 0.99 * continues * next_values
        with tf.GradientTape() as tape:
            q_values = self.model(states0, training=True)
            taken = tf.gather(q_values, [e.action for e in experiences], batch_dims=1)
            loss = tf.reduce_mean(0.5 * (targets.astype(np.float32) - taken) ** 2)
        variables = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        if self.tau < 1:
            for target, online in zip(self.target.weights, self.model.weights, strict=True):
                target.assign(self.tau * online.value + (1 - self.tau) * target.value)
        return float(loss)

    def fit(self, env, nb_steps, nb_max_episode_steps=None):
        while self.step < nb_steps:
            observation, _ = env.reset()
            for episode_step in itertools.count(1):
                observation, reward, terminated, truncated, _ = env.step(self.forward(observation))
                self.actions.append(self.action)
                truncated = not terminated and (truncated or episode_step == nb_max_episode_steps)
                self.losses.append(self.backward(reward, terminated or truncated, truncated))
                self.step += 1
                if terminated or truncated or self.step == nb_steps:
                    break
            if terminated or truncated:
                self.forward(observation)
                self.backward(0.0, False, False)


class LookAtModel(rl.callbacks.Callback):
    def on_step_end(self, step, logs):
        self.model.model  # noqa: B018


def assert_fit_equals_eager(
    env, model, build_memory, build_policy, nb_steps, options, build_processor=lambda: None, callbacks=(), **fit_options
):
    agent = DQNAgent(
        model=copy_of(model), nb_actions=2, memory=build_memory(), policy=build_policy(), processor=build_processor(),
        **options,
    )  # fmt: skip
    agent.compile(keras.optimizers.Adam(1e-3))
    eager = EagerDQN(
        model, build_memory(), build_policy(), keras.optimizers.Adam(1e-3), processor=build_processor(), **options
    )
    recorder = Recorder()
    for fit in (
        lambda: agent.fit(env, nb_steps, callbacks=[recorder, *callbacks], verbose=0, **fit_options),
        lambda: eager.fit(env, nb_steps, **fit_options),
    ):
        np.random.seed(4)
        random.seed(4)
        if hasattr(env, "unwrapped"):
            env.reset(seed=4)
        fit()
    assert recorder.actions == eager.actions
    assert len(set(recorder.actions)) == 2
    np.testing.assert_allclose(recorder.losses, eager.losses, 1e-4, 1e-4)
    assert_close(agent.model.get_weights(), eager.model.get_weights(), 1e-4)
    assert_close(agent.target_model.get_weights(), eager.target.get_weights(), 1e-4)


def annealed(nb_steps):
    return rl.policy.LinearAnnealedPolicy(
        rl.policy.EpsGreedyQPolicy(), attr="eps", value_max=1.0, value_min=0.1, value_test=0.05, nb_steps=nb_steps
    )


@pytest.mark.long
def test_tutorial_on_cartpole_equals_eager():
    assert_fit_equals_eager(
        environments.make("CartPole-v0"),
        build_model(hidden=(16, 16, 16)),
        lambda: SequentialMemory(limit=50000, window_length=1, seed=5),
        lambda: annealed(75),
        nb_steps=110,
        options={"nb_steps_warmup": 10, "target_model_update": 1e-2, "batch_size": 32},
        nb_max_episode_steps=25,  # some episodes are truncated, some are not
    )


def image(position):
    return np.eye(8, dtype=np.uint8)[[position] * 8] * 255


@pytest.mark.long
def test_stacked_images_equal_eager():
    model = keras.Sequential(
        [
            keras.Input((3, 8, 8)),
            layers.Rescaling(1 / 255),
            layers.Permute((2, 3, 1)),
            layers.Conv2D(4, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    assert_fit_equals_eager(
        LineEnv(image),
        model,
        lambda: SequentialMemory(limit=60, window_length=3, seed=5),
        lambda: rl.policy.EpsGreedyQPolicy(eps=0.3),
        nb_steps=80,
        options={"nb_steps_warmup": 20, "target_model_update": 7, "batch_size": 8},
    )


@pytest.mark.long
def test_keras_rls_own_memory_equals_eager():
    assert_fit_equals_eager(
        LineEnv(),
        build_model(2, window_length=2),
        lambda: rl.memory.SequentialMemory(limit=60, window_length=2),
        lambda: rl.policy.BoltzmannQPolicy(),
        nb_steps=80,
        options={"nb_steps_warmup": 20, "target_model_update": 0.1, "batch_size": 8},
    )


@pytest.mark.long
@pytest.mark.parametrize("callbacks", [[], [LookAtModel()]])
def test_whitening_processor_equals_eager(callbacks):
    assert_fit_equals_eager(
        LineEnv(lambda position: np.array([position, 100 * position])),
        build_model(2),
        lambda: SequentialMemory(limit=60, seed=5),
        lambda: rl.policy.EpsGreedyQPolicy(eps=0.3),
        nb_steps=80,
        options={"nb_steps_warmup": 20, "target_model_update": 0.1, "batch_size": 8},
        build_processor=rl.processors.WhiteningNormalizerProcessor,
        callbacks=callbacks,
    )


# Learning


class OneStateEnv:
    """Reward 1 for ever: worth 1 / (1 - gamma) unless death ends it."""

    def __init__(self, length, how):
        self.length, self.how = length, how

    def reset(self):
        self.nb_steps = 0
        return np.ones(1), {}

    def step(self, action):
        self.nb_steps += 1
        done = self.nb_steps == self.length
        return np.ones(1), 1.0, done and "terminated" in self.how, done and "truncated" in self.how, {}


class OldOneStateEnv(OneStateEnv):
    """The protocol of older gym, which tells a time limit in `info`."""

    def reset(self):
        return super().reset()[0]

    def step(self, action):
        observation, reward, terminated, truncated, _ = super().step(action)
        return observation, reward, terminated or truncated, {"TimeLimit.truncated": truncated} if truncated else {}


@pytest.mark.parametrize(
    ("env", "nb_max_episode_steps", "value"),
    [
        (OneStateEnv(5, "truncated"), None, 10.0),
        (OneStateEnv(1, "terminated"), None, 1.0),
        pytest.param(OneStateEnv(1, "terminated and truncated"), None, 1.0, marks=pytest.mark.long),
        (OneStateEnv(1000, "terminated"), 5, 10.0),
        (OldOneStateEnv(5, "truncated"), None, 10.0),
        pytest.param(OldOneStateEnv(1, "terminated"), None, 1.0, marks=pytest.mark.long),
    ],
)
def test_time_limits_bootstrap_and_deaths_do_not(env, nb_max_episode_steps, value):
    agent = DQNAgent(
        model=build_model(1, nb_actions=1, hidden=()), nb_actions=1, memory=SequentialMemory(limit=200, seed=1),
        nb_steps_warmup=10, target_model_update=1, gamma=0.9, batch_size=16,
    )  # fmt: skip
    agent.compile(keras.optimizers.SGD(0.5))
    agent.fit(env, nb_steps=400, verbose=0, nb_max_episode_steps=nb_max_episode_steps)
    assert agent.compute_q_values([np.ones(1)])[0] == pytest.approx(value, abs=1e-3)


class TwoRoundEnv:
    """Keras-RL's own test environment: reward 3 for action 0, then 1; less for anything else."""

    def reset(self):
        self.first = None
        return 2, {}

    def step(self, action):
        if self.first is None:
            self.first = action
            return action, 0.0, False, False, {}
        return self.first, float([[0, 3], [1, 2]][self.first][action]), True, False, {}


@pytest.mark.long
@pytest.mark.parametrize("enable_double_dqn", [False, True])
def test_learns_the_optimum(enable_double_dqn):
    keras.utils.set_random_seed(12)
    model = keras.Sequential([keras.Input((1,)), layers.Dense(16, activation="relu"), layers.Dense(2)])
    policy = rl.policy.EpsGreedyQPolicy(eps=0.1)
    agent = DQNAgent(
        model=model, nb_actions=2, memory=SequentialMemory(limit=1000), policy=policy, nb_steps_warmup=50,
        target_model_update=0.1, enable_double_dqn=enable_double_dqn,
    )  # fmt: skip
    agent.compile(keras.optimizers.Adam(1e-2))
    agent.fit(TwoRoundEnv(), nb_steps=2000, verbose=0, seed=12)
    history = agent.test(TwoRoundEnv(), nb_episodes=20, visualize=False, verbose=0)
    assert history.history["episode_reward"] == [3.0] * 20


def test_one_seed_one_result():
    def run(seed):
        keras.utils.set_random_seed(1)
        agent = DQNAgent(
            model=build_model(), nb_actions=2, memory=SequentialMemory(limit=100), nb_steps_warmup=5,
            target_model_update=1e-2, policy=rl.policy.EpsGreedyQPolicy(eps=0.5),
        )  # fmt: skip
        agent.compile(keras.optimizers.Adam(1e-2))
        recorder = Recorder()
        agent.fit(environments.make("CartPole-v0"), nb_steps=60, callbacks=[recorder], verbose=0, seed=seed)
        return recorder.actions, recorder.losses, np.concatenate([w.ravel() for w in agent.model.get_weights()])

    first, again, other = run(3), run(3), run(4)
    np.testing.assert_equal(first, again)
    assert not np.array_equal(first[2], other[2])


# Observations and processors


def fit_line(model, observe, processor=None, window_length=1, env=None, jit_compile=False):
    """Fit on LineEnv from fixed seeds; return what was done and learned."""
    agent = DQNAgent(
        model=model, nb_actions=2, memory=SequentialMemory(limit=50, window_length=window_length),
        nb_steps_warmup=15, target_model_update=0.1, batch_size=8, policy=rl.policy.EpsGreedyQPolicy(eps=0.4),
        processor=processor,
    )  # fmt: skip
    agent.compile(keras.optimizers.SGD(0.05), jit_compile=jit_compile)
    recorder = Recorder()
    agent.fit(env or LineEnv(observe), nb_steps=45, callbacks=[recorder], verbose=0, seed=2)
    assert np.isfinite(recorder.losses[-1])
    return recorder, agent


def assert_same_learning(one, other):
    (recorder1, agent1), (recorder2, agent2) = one, other
    assert recorder1.actions == recorder2.actions
    np.testing.assert_allclose(recorder1.losses, recorder2.losses, 1e-5, 1e-6)
    assert_close(agent1.model.get_weights(), agent2.model.get_weights())


def two_input_model(one_input_model, names, as_dict=False):
    """The same network with an input for each half of the observation."""
    window_length = one_input_model.input_shape[1]
    inputs = {name: keras.Input((window_length, 1), name=name) for name in names}
    x = layers.Flatten()(layers.Concatenate()([inputs["position"], inputs["rest"]]))
    for layer in one_input_model.layers[1:]:
        x = layers.Dense(layer.units, activation=layer.activation)(x)
    model = keras.Model(inputs if as_dict else list(inputs.values()), x)
    model.set_weights(one_input_model.get_weights())
    return model


def vector(position):
    return np.array([position, 7 - position], np.float32) / 7


def as_tuple(position):
    return tuple(vector(position).reshape(2, 1))


def as_dict(position):
    return {"position": vector(position)[:1], "rest": vector(position)[1:]}


@pytest.fixture(scope="module")
def one_input():
    """A function that returns, for a window length, a model and what it learns."""

    @functools.cache
    def learned(window_length):
        keras.utils.set_random_seed(6)
        model = build_model(2, window_length)
        return copy_of(model), fit_line(model, vector, window_length=window_length)

    return learned


@pytest.mark.long
@pytest.mark.parametrize(
    ("observe", "processor", "names", "window_length"),
    [
        (as_tuple, None, ["position", "rest"], 3),
        (as_tuple, rl.processors.MultiInputProcessor(2), ["position", "rest"], 1),
        (as_dict, None, ["rest", "position"], 1),  # found by name, not by order
        (as_dict, rl.processors.MultiInputProcessor(2), ["rest", "position"], 3),
    ],
)
def test_two_inputs_learn_what_one_learns(observe, processor, names, window_length, one_input):
    model, expected = one_input(window_length)
    assert_same_learning(fit_line(two_input_model(model, names), observe, processor, window_length), expected)


def test_observation_with_other_names_than_the_inputs_is_refused():
    with pytest.raises(UserError, match=r"position.*rest"):
        fit_line(two_input_model(build_model(2), ["position", "rest"]), lambda p: {"a": p, "b": p})


@pytest.mark.parametrize(
    ("observation", "shape"),
    [(np.zeros(3), "(1, 3)"), (np.zeros((2, 1)), "(1, 2, 1)"), ((np.zeros(2), np.zeros(1)), "(1, 2), (1, 1)")],
    ids=["numbers", "dimensions", "parts"],
)
def test_states_that_the_model_does_not_take_are_refused(observation, shape):
    agent = build_agent()
    agent.compile("sgd", jit_compile=False)
    with pytest.raises(UserError) as caught:
        agent.compute_q_values([observation])
    taken = "the model takes states of shape (1, 2)"
    assert str(caught.value) == f"{taken}, but window_length and observations give {shape}"


@pytest.mark.parametrize(
    ("shapes", "window_length", "cures"),
    [
        ([(24, 24, 3)], 1, "keras.Input((1, *observation.shape)), or set window_length=24"),
        ([(1, 4)], 2, "keras.Input((2, *observation.shape)), or set window_length=1"),
        ([(4,)], 1, "keras.Input((1, *observation.shape))"),
        ([()], 1, "keras.Input((1, *observation.shape))"),
        ([(1, 4), (4,)], 1, "keras.Input((1, *observation.shape))"),
    ],
    ids=["picture", "another window", "vector", "number", "second input"],
)
def test_a_model_without_the_windows_axis_is_told_so(shapes, window_length, cures, refused):
    inputs = [keras.Input(shape) for shape in shapes]
    flat = [layers.Flatten()(input) for input in inputs]
    model = keras.Model(inputs, layers.Dense(2)(layers.Concatenate()(flat) if len(flat) > 1 else flat[0]))
    with refused(f"of shape {shapes[-1]}", f"which is {window_length}: start it with {cures}"):
        DQNAgent(model, nb_actions=2, memory=SequentialMemory(9, window_length=window_length))


@pytest.mark.long
def test_inputs_given_as_dict():
    model = build_model(2)
    two_inputs = two_input_model(model, ["rest", "position"], as_dict=True)
    assert_same_learning(fit_line(two_inputs, as_dict), fit_line(model, vector))


class ChangingProcessor(rl.core.Processor):
    """Every hook that `rl.core.Processor` has."""

    def process_observation(self, observation):
        return observation * 2

    def process_reward(self, reward):
        return reward * 3

    def process_info(self, info):
        return {"processed": 1}

    def process_action(self, action):
        return 1 - action

    def process_state_batch(self, batch):
        assert batch.shape[1:] == (1, 2)
        return batch + 1

    @property
    def metrics_names(self):
        return ["two"]

    @property
    def metrics(self):
        return [2.0]


class ChangedEnv(LineEnv):
    """What ChangingProcessor makes of LineEnv."""

    def step(self, action):
        observation, reward, terminated, truncated, _ = super().step(1 - action)
        return observation, reward * 3, terminated, truncated, {"processed": 1}


@pytest.mark.long
def test_processor_hooks():
    model = build_model(2)
    other = copy_of(model)
    recorder, agent = fit_line(model, vector, ChangingProcessor())
    expected = fit_line(other, None, env=ChangedEnv(lambda position: vector(position) * 2 + 1))
    recorder.actions = [1 - action for action in recorder.actions]  # the log shows what the environment was given
    assert_same_learning((recorder, agent), expected)
    assert recorder.rewards == expected[0].rewards
    assert agent.metrics_names == ["loss", "mean_q", "two"]


@pytest.mark.long
def test_processor_may_end_an_episode():
    class Ending(rl.core.Processor):
        def process_step(self, observation, reward, done, info):
            return observation, reward, True, info

    recorder, _ = fit_line(build_model(2), vector, Ending())
    assert recorder.rewards == [-0.1] * 45  # the walk never gets beyond its first step


def test_processor_may_let_an_episode_continue():
    class Continuing(rl.core.Processor):
        def process_step(self, observation, reward, done, info):
            return observation, reward, False, info

    agent = build_agent(processor=Continuing())
    agent.compile("sgd", jit_compile=False)
    assert agent.fit(LineEnv(), 40, verbose=0).history == {}  # no episode has ended


@pytest.mark.long
@pytest.mark.parametrize(
    "observe",
    [
        lambda position: position,  # a number
        lambda position: [position, 0.5 * position],
        lambda position: np.array([[position], [1]], np.int64),
        lambda position: np.array([position > 3]),
        lambda position: np.array([position, 1], np.float16),
    ],
)
def test_any_numeric_observation(observe):
    shape = np.shape(observe(0))
    model = keras.Sequential([keras.Input((2, *shape)), layers.Flatten(), layers.Dense(2)])
    fit_line(model, observe, window_length=2)


def test_state_keeps_fractions_of_python_numbers():
    model = keras.Sequential([keras.Input((2, 1)), layers.Flatten(), layers.Dense(1, kernel_initializer="ones")])
    agent = DQNAgent(model=model, nb_actions=1, memory=SequentialMemory(limit=10, window_length=2))
    agent.compile("sgd")
    assert agent.compute_q_values([[0.5], [1]]) == pytest.approx([1.5])


@pytest.mark.long
@pytest.mark.xla
def test_recurrent_layers():
    model = keras.Sequential([keras.Input((3, 2)), layers.GRU(4), layers.Dense(2)])
    before = model.get_weights()
    _, agent = fit_line(model, vector, window_length=3, jit_compile="auto")
    assert all(np.any(old != new) for old, new in zip(before, agent.model.get_weights(), strict=True))


# Options


def build_agent(**options):
    options = {"model": build_model(2), "nb_actions": 2, "memory": SequentialMemory(limit=50)} | options
    return DQNAgent(**options)


def test_is_keras_rls_agent():
    agent = build_agent()
    assert isinstance(agent, rl.agents.DQNAgent)
    assert isinstance(agent.policy, rl.policy.EpsGreedyQPolicy)
    assert isinstance(agent.test_policy, rl.policy.GreedyQPolicy)
    assert agent.policy.agent is agent.test_policy.agent is agent
    agent.compile("sgd")
    config = agent.get_config()
    assert config["memory"]["config"]["limit"] == 50 and config["gamma"] == 0.99
    assert agent.layers == agent.model.layers
    assert agent.processor is None


def test_positional_arguments_as_in_keras_rl():
    memory, policy = SequentialMemory(limit=50), rl.policy.GreedyQPolicy()
    agent = DQNAgent(build_model(2), policy, policy, True, False, "avg", 2, memory, 0.9, 7, 3)
    assert (agent.enable_double_dqn, agent.nb_actions, agent.memory) == (True, 2, memory)
    assert (agent.gamma, agent.batch_size, agent.nb_steps_warmup) == (0.9, 7, 3)


def test_delta_range_is_deprecated():
    with pytest.warns(UserWarning, match="delta_range"):
        agent = build_agent(delta_range=(-2.0, 2.0))
    assert agent.delta_clip == 2.0


class ConstantPolicy(rl.policy.Policy):
    def __init__(self, action):
        self.action = action

    def select_action(self, q_values):
        return self.action


def test_policy_trains_and_test_policy_tests():
    agent = build_agent(policy=ConstantPolicy(1), test_policy=ConstantPolicy(0))
    agent.compile("sgd")
    fitted, tested = Recorder(), []

    class Actions(rl.callbacks.Callback):
        def on_action_end(self, action, logs):
            tested.append(action)

    agent.fit(LineEnv(), 10, callbacks=[fitted], verbose=0)
    agent.test(LineEnv(), 1, callbacks=[Actions()], visualize=False, verbose=0)
    assert set(fitted.actions) == {1} and tested == [0, 0, 0]


def test_custom_model_objects():
    class Scale(layers.Layer):
        def __init__(self, factor, **kwargs):
            super().__init__(**kwargs)
            self.factor = factor

        def call(self, inputs):
            return inputs * self.factor

        def get_config(self):
            return {**super().get_config(), "factor": self.factor}

    model = keras.Sequential([keras.Input((1, 2)), layers.Flatten(), Scale(3.0), layers.Dense(2)])
    agent = build_agent(model=model, custom_model_objects={"Scale": Scale}, target_model_update=0)
    agent.compile("sgd")
    states = np.ones((4, 1, 2), np.float32)
    np.testing.assert_allclose(agent.target_model(states), model(states), 1e-6)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["sequential", "functional", "input and output in lists", "nested"])
def test_kinds_of_models(kind):
    model = build_model(2)
    if kind == "functional":
        model = keras.Model(model.inputs[0], model.outputs[0])
    elif kind == "input and output in lists":
        model = keras.Model(model.inputs, model.outputs)
    elif kind == "nested":
        inputs = keras.Input((1, 2))
        model = keras.Model(inputs, layers.Dense(2)(model(inputs)))
    before = model.get_weights()
    _, agent = fit_line(model, vector)
    assert agent.model is model or kind == "input and output in lists"
    assert_close(agent.model.get_weights(), model.get_weights(), 0)
    assert all(np.any(old != new) for old, new in zip(before, model.get_weights(), strict=True))
    states = np.ones((1, 1, 2), np.float32)
    expected = np.reshape(model([states] if "lists" in kind else states), 2)
    np.testing.assert_allclose(agent.compute_q_values([np.ones(2, np.float32)]), expected, 1e-5)


# Looking at the networks, and changing them


class At(rl.callbacks.Callback):
    """Do something once, after step `nb_steps` of the training."""

    def __init__(self, nb_steps, action):
        super().__init__()
        self.nb_steps, self.action = nb_steps, action

    def on_step_end(self, step, logs):
        self.nb_steps -= 1
        if self.nb_steps == 0:
            self.action(self.model)


@pytest.mark.long
def test_model_is_true_at_each_look():
    """A run that is looked at in mid-episode shows what a run that ends there has learned."""
    model, seen = build_model(2), {}

    def look(agent):
        seen["online"] = agent.model.get_weights()
        seen["target"] = agent.target_model.get_weights()

    def run(nb_steps, callbacks):
        agent = build_agent(model=copy_of(model), nb_steps_warmup=10, batch_size=8, target_model_update=0.1)
        agent.compile("adam")
        agent.fit(LineEnv(), nb_steps, callbacks=callbacks, verbose=0, seed=8)
        return agent

    run(40, [At(27, look)])
    stopped = run(27, [])
    assert_close(seen["online"], stopped.model.get_weights(), 1e-6)
    assert_close(seen["target"], stopped.target_model.get_weights(), 1e-6)
    assert not np.allclose(seen["online"][0], seen["target"][0])


@pytest.mark.long
def test_model_held_since_before_is_true_after_each_episode():
    model, differences = build_model(2), []

    class Compare(rl.callbacks.Callback):
        def on_episode_end(self, episode, logs):
            held, true = model.get_weights(), self.model.model.get_weights()
            differences.append(max(np.abs(a - b).max() for a, b in zip(held, true, strict=True)))

    agent = build_agent(model=model, nb_steps_warmup=10)
    agent.compile("adam", jit_compile=False)
    agent.fit(LineEnv(), 60, callbacks=[Compare()], verbose=0)
    assert len(differences) > 3 and max(differences) == 0
    final = model.get_weights()
    assert_close(final, agent.model.get_weights(), 0)


class EndlessEnv:
    def reset(self):
        return np.ones(2), {}

    def step(self, action):
        return np.ones(2), 1.0, False, False, {}


def constant(agent_model, values):
    """Weights with which a network answers the same values to everything."""
    weights = [np.zeros_like(w) for w in agent_model.get_weights()]
    weights[-1][:] = values
    return weights


def mean_target(y_true, y_pred):
    return keras.ops.sum(y_true) / 8


@pytest.mark.parametrize("nb_steps", [5, 25])  # during the warm-up, while learning
def test_weights_set_in_a_callback_take_effect(nb_steps):
    def change(agent):
        agent.model.set_weights(constant(agent.model, [5.0, 1.0]))
        agent.target_model.set_weights(constant(agent.model, [7.0, 2.0]))

    class Log(rl.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.steps = []

        def on_step_end(self, step, logs):
            self.steps.append((logs["action"], *logs["metrics"]))

    log = Log()
    agent = build_agent(nb_steps_warmup=15, batch_size=8, target_model_update=0, policy=rl.policy.GreedyQPolicy())
    agent.compile(keras.optimizers.SGD(0.0), metrics=[mean_target], jit_compile=False)
    agent.fit(EndlessEnv(), 40, callbacks=[At(nb_steps, change), log], verbose=0)
    assert {action for action, *_ in log.steps[nb_steps:]} == {0}
    for _, _, target, mean_q in log.steps[max(nb_steps, 16) :]:
        assert mean_q == 5.0
        assert target == pytest.approx(1 + 0.99 * 7.0)


@pytest.mark.long
def test_hard_update_on_demand():
    agent = build_agent(nb_steps_warmup=5, batch_size=8, target_model_update=0)
    agent.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    agent.fit(LineEnv(), 20, verbose=0)
    assert not np.array_equal(agent.model.get_weights()[0], agent.target_model.get_weights()[0])
    agent.update_target_model_hard()
    assert_close(agent.target_model.get_weights(), agent.model.get_weights(), 0)


def test_the_target_network_has_statistics_of_its_own():
    model = keras.Sequential([keras.Input((1, 2)), layers.Flatten(), layers.BatchNormalization(), layers.Dense(2)])
    agent = build_agent(model=model, nb_steps_warmup=5, batch_size=8, target_model_update=0)
    agent.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    before = copy_of(model).get_weights()
    agent.fit(LineEnv(), 20, verbose=0)
    assert_close(agent.target_model.get_weights(), before, 0)
    assert all(np.any(old != new) for old, new in zip(before, agent.model.get_weights(), strict=True))
    agent.update_target_model_hard()
    assert_close(agent.target_model.get_weights(), agent.model.get_weights(), 0)
    agent.target_model.set_weights(before)
    assert_close(agent.target_model.get_weights(), before, 0)


class LimitedEnv(LineEnv):
    """Fails, instead of letting a test hang, where a training does not end."""

    nb_steps_in_all = 0

    def step(self, action):
        self.nb_steps_in_all += 1
        assert self.nb_steps_in_all <= 60, "the training does not end"
        return super().step(action)


@pytest.mark.long
@pytest.mark.parametrize("seed", [None, 3])
def test_testing_in_a_callback_leaves_the_training_unchanged(seed):
    class Evaluate(rl.callbacks.Callback):
        def evaluate(self):
            self.model.test(LineEnv(), nb_episodes=2, visualize=False, verbose=0, seed=seed)

        def on_episode_end(self, episode, logs):
            self.evaluate()

        def on_step_end(self, step, logs):
            if step == 1:
                self.evaluate()

    model = build_model(2, window_length=3)

    def run(callbacks):
        agent = build_agent(
            model=copy_of(model), memory=SequentialMemory(limit=50, window_length=3), nb_steps_warmup=10, batch_size=8,
            target_model_update=0.1, policy=annealed(60), test_policy=rl.policy.GreedyQPolicy(),
        )  # fmt: skip
        agent.compile("adam", jit_compile=False)
        recorder = Recorder()
        agent.fit(LimitedEnv(), 60, callbacks=[recorder, *callbacks], verbose=0, seed=8)
        return recorder, agent

    assert_same_learning(run([Evaluate()]), run([]))


def test_second_fit_goes_on():
    memory = SequentialMemory(limit=100, window_length=2)
    agent = build_agent(nb_steps_warmup=10, memory=memory, model=build_model(2, window_length=2))
    agent.compile("adam", jit_compile=False)
    agent.fit(LineEnv(), 16, verbose=0)  # stops within an episode
    weights = agent.model.get_weights()
    agent.fit(LineEnv(), 30, verbose=0)
    assert np.any(weights[0] != agent.model.get_weights()[0])
    for experience in memory.sample(300):
        before, after = experience.state0[-1][0] * 7, experience.state1[-1][0] * 7
        assert abs(before - after) == pytest.approx(1, abs=1e-5)  # no transition from one run into the next


def test_divergence_is_told():
    agent = build_agent(nb_steps_warmup=5, batch_size=8)
    agent.compile(keras.optimizers.SGD(1e30), jit_compile=False)
    with pytest.raises(ArithmeticError, match="learning rate"):
        agent.fit(LineEnv(), 100, verbose=0)


# What is refused


def stateful_model():
    return keras.Sequential(
        [keras.Input((1, 2), batch_size=1), layers.GRU(2, stateful=True), layers.Dense(2)]
    )  # fmt: skip


def two_outputs():
    inputs = keras.Input((1, 2))
    flat = layers.Flatten()(inputs)
    return keras.Model(inputs, [layers.Dense(2)(flat), layers.Dense(2)(flat)])


REFUSED = {
    "unbuilt": lambda: {"model": keras.Sequential([layers.Dense(2)])},
    "no model": lambda: {"model": lambda states: states},
    "two outputs": lambda: {"model": two_outputs()},
    "stateful": lambda: {"model": stateful_model()},
    "dueling_type": lambda: {"enable_dueling_network": True, "dueling_type": "median"},
    "nb_actions": lambda: {"nb_actions": 0},
    "batch_size": lambda: {"batch_size": 0},
    "train_interval": lambda: {"train_interval": 0},
    "memory_interval": lambda: {"memory_interval": 0},
    "gradient_steps": lambda: {"gradient_steps": 0},
    "delta_clip": lambda: {"delta_clip": 0.0},
    "no memory": lambda: {"memory": None},
    "episode memory": lambda: {"memory": rl.memory.EpisodeParameterMemory(limit=5, window_length=1)},
    "window of the memory": lambda: {"memory": SequentialMemory(limit=50, window_length=3)},
}


@pytest.mark.parametrize("name", REFUSED)
def test_unsupported_is_refused(name):
    with pytest.raises(ValueError, match=r"\w+ .{10,}") as error:
        build_agent(**REFUSED[name]())
    assert isinstance(error.value, UserError) or name in ("stateful", "nb_actions")  # Keras-RL's own check is first


def test_other_number_of_actions_is_refused():
    with pytest.raises(ValueError, match="one dimension for each action"):
        build_agent(nb_actions=3)


def test_uncompiled_agent_says_so():
    agent = build_agent()
    for use in (lambda: agent.fit(LineEnv(), 5), lambda: agent.test(LineEnv()), lambda: agent.forward(np.zeros(2))):
        with pytest.raises(RuntimeError, match="compile"):
            use()


def test_model_of_a_compiled_agent_is_not_replaced():
    agent = build_agent()
    agent.compile("sgd")
    with pytest.raises(UserError, match="new agent"):
        agent.model = build_model(2)


@pytest.mark.long
def test_a_memory_that_is_put_in_its_place_is_the_one_it_learns_from():
    env = environments.make("CartPole-v0")
    agent = DQNAgent(build_model(), nb_actions=2, memory=SequentialMemory(100), nb_steps_warmup=10, batch_size=4)
    agent.compile("adam")
    agent.fit(env, 30, verbose=0, seed=1)
    agent.memory, before = SequentialMemory(100), agent.memory
    agent.memory.draw, drawn = (lambda *sizes: drawn.append(sizes) or SequentialMemory.draw(agent.memory, *sizes)), []
    agent.fit(env, 30, verbose=0, seed=1)
    assert len(drawn) > 10 and agent.memory.nb_entries >= 30 and before.nb_entries < 60
