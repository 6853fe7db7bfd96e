"""The update of the Q-network, through `fit`, against plain NumPy and plain eager Keras."""

import itertools
from typing import NamedTuple

import keras
import numpy as np
import pytest
import rl.callbacks
import rl.policy
import tensorflow as tf
from keras import layers

from kerasrl import DQNAgent, SequentialMemory, UserError

NB_ACTIONS = 3


class Step(NamedTuple):
    observation: np.ndarray
    reward: float
    terminated: bool
    truncated: bool
    next_observation: np.ndarray


class ScriptedEnv:
    """Random observations and rewards, whatever is done; ends of episodes are (length, how) pairs, in turn."""

    def __init__(self, ends):
        self.ends = itertools.cycle(ends)
        self.rng = np.random.default_rng(1)
        self.trace = []

    def reset(self):
        self.length, self.how = next(self.ends)
        self.nb_steps, self.observation = 0, self.rng.normal(size=2).astype(np.float32)
        return self.observation, {}

    def step(self, action):
        self.nb_steps += 1
        before, self.observation = self.observation, self.rng.normal(size=2).astype(np.float32)
        ends = [self.nb_steps == self.length and self.how == how for how in ("terminated", "truncated")]
        self.trace.append(Step(before, self.rng.normal(), *ends, self.observation))
        return self.observation, self.trace[-1].reward, *ends, {}


class RandomPolicy(rl.policy.Policy):
    def __init__(self):
        self.rng, self.actions = np.random.default_rng(2), []

    def select_action(self, q_values):
        self.actions.append(int(self.rng.integers(len(q_values))))
        return self.actions[-1]


class Recorder(rl.callbacks.Callback):
    """Each step's metrics and, if asked to look, both networks after it."""

    def __init__(self, looks=False):
        super().__init__()
        self.looks, self.metrics, self.weights = looks, [], []

    def on_step_end(self, step, logs):
        self.metrics.append(logs["metrics"])
        if self.looks:
            self.weights.append([*self.model.model.get_weights(), *self.model.target_model.get_weights()])


def replay(
    trace, actions, network, memory, batch_size, nb_steps_warmup, target_model_update,
    train_interval=1, memory_interval=1, gradient_steps=1,
):  # fmt: skip
    """Keras-RL's `fit` over recorded steps and chosen actions; return each step's metrics and weights."""
    actions, has_ended = iter(actions), False

    def backward(step, observation, reward, terminal, truncated):
        nonlocal has_ended
        metrics, action = None, next(actions)
        if terminal or has_ended or step % memory_interval == 0:  # ends, too, which Keras-RL would lose
            memory.append(observation, action, reward, terminal, truncated=truncated)
        has_ended = terminal
        if step > nb_steps_warmup and step % train_interval == 0:
            metrics = np.mean([network.update(memory.sample(batch_size)) for _ in range(gradient_steps)], axis=0)
        if target_model_update >= 1 and step % target_model_update == 0:
            network.copy_target()
        return metrics

    history = []
    for step, (observation, reward, terminated, truncated, last) in enumerate(trace):
        metrics = backward(step, observation, reward, terminated or truncated, truncated)
        history.append((metrics, [np.array(w) for w in network.all_weights()]))
        if terminated or truncated:
            backward(step + 1, last, 0.0, False, False)
    return history


# NumPy


class NumpySGD:
    def __init__(self, rate, clipnorm=None):
        self.rate, self.clipnorm = rate, clipnorm

    def apply(self, gradients, weights):
        for gradient, weight in zip(gradients, weights, strict=True):
            norm = np.sqrt(np.sum(gradient**2))
            too_long = self.clipnorm is not None and norm > self.clipnorm
            weight -= self.rate * (gradient * self.clipnorm / norm if too_long else gradient)


class NumpyAdam:
    """Kingma & Ba 2015, algorithm 1 in the form of its section 2, as Keras has it."""

    def __init__(self, rate):
        self.rate, self.t, self.moments = rate, 0, None

    def apply(self, gradients, weights):
        self.moments = self.moments or [[np.zeros_like(w), np.zeros_like(w)] for w in weights]
        self.t += 1
        rate = self.rate * np.sqrt(1 - 0.999**self.t) / (1 - 0.9**self.t)
        for gradient, weight, (m, v) in zip(gradients, weights, self.moments, strict=True):
            m += 0.1 * (gradient - m)
            v += 0.001 * (gradient**2 - v)
            weight -= rate * m / (np.sqrt(v) + 1e-7)


class NumpyNetwork:
    """A Q-network with one tanh layer and its DQN update, forward and backward by hand, in float64."""

    def __init__(self, weights, optimizer, gamma=0.99, delta_clip=np.inf, double=False, tau=None):
        self.online = [np.array(w, np.float64) for w in weights]
        self.target = [w.copy() for w in self.online]
        self.optimizer, self.gamma, self.delta_clip, self.double, self.tau = optimizer, gamma, delta_clip, double, tau

    def all_weights(self):
        return [*self.online, *self.target]

    def copy_target(self):
        self.target = [w.copy() for w in self.online]

    @staticmethod
    def forward(weights, states):
        hidden = np.tanh(states @ weights[0] + weights[1])
        return hidden @ weights[2] + weights[3], hidden

    def update(self, experiences):
        size = len(experiences)
        rows, actions = np.arange(size), np.array([e.action for e in experiences])
        states0, states1 = (
            np.array([getattr(e, s) for e in experiences]).reshape(size, -1) for s in ("state0", "state1")
        )
        values = self.forward(self.target, states1)[0]
        best = np.argmax(self.forward(self.online, states1)[0] if self.double else values, axis=1)
        continues = np.array([not e.terminal1 for e in experiences])
        targets = np.array([e.reward for e in experiences]) + self.gamma * continues * values[rows, best]
        q_values, hidden = self.forward(self.online, states0)
        errors = targets - q_values[rows, actions]
        clip = self.delta_clip
        losses = np.where(np.abs(errors) < clip, errors**2 / 2, (np.abs(errors) - clip / 2) * min(clip, 1e9))
        masked = np.zeros_like(q_values)
        masked[rows, actions] = targets
        metrics = [losses.mean(), np.abs(masked - q_values).mean(), masked.mean(), q_values.max(axis=1).mean()]

        d_q = np.zeros_like(q_values)
        d_q[rows, actions] = -np.clip(errors, -clip, clip) / size
        d_hidden = d_q @ self.online[2].T * (1 - hidden**2)
        gradients = [states0.T @ d_hidden, d_hidden.sum(0), hidden.T @ d_q, d_q.sum(0)]
        self.optimizer.apply(gradients, self.online)
        if self.tau is not None:
            self.target = [self.tau * o + (1 - self.tau) * t for o, t in zip(self.online, self.target, strict=True)]
        return metrics


def mean_target(y_true, y_pred):
    return keras.ops.mean(y_true)


def build_model(window_length=1, *hidden):
    hidden = hidden or [layers.Dense(5, activation="tanh", bias_initializer="random_normal")]
    return keras.Sequential(
        [keras.Input((window_length, 2)), layers.Flatten(), *hidden, layers.Dense(NB_ACTIONS)]
    )  # fmt: skip


def build_memory(window_length=1):
    return SequentialMemory(limit=40, window_length=window_length, seed=3)


MIXED = [(7, "terminated"), (5, "truncated"), (1, "terminated"), (9, "truncated")]
ENDLESS = [(1000, "terminated")]
CASES = {
    "soft": {"target_model_update": 0.05},
    "soft, huber": {"target_model_update": 0.05, "delta_clip": 0.5},
    "soft, double": {"target_model_update": 0.05, "enable_double_dqn": True},
    "hard, period 3": {"target_model_update": 3},
    "hard, period 3, double, huber": {"target_model_update": 3, "enable_double_dqn": True, "delta_clip": 0.5},
    "hard, period 1": {"target_model_update": 1},
    "frozen on purpose": {"target_model_update": 0},
    "intervals": {"target_model_update": 0.05, "train_interval": 3, "memory_interval": 2, "gamma": 0.5},
    "window": {"target_model_update": 4, "window_length": 3, "batch_size": 5},
    "several updates": {"target_model_update": 0.05, "train_interval": 4, "gradient_steps": 4, "ends": ENDLESS},
    "several updates, hard, double": {
        **{"target_model_update": 5, "enable_double_dqn": True},
        **{"train_interval": 2, "gradient_steps": 3, "ends": ENDLESS},
    },
}


def assert_fit_equals_numpy(case, adam, looks):
    options = {"batch_size": 16, "nb_steps_warmup": 6} | CASES[case]
    window_length, ends = options.pop("window_length", 1), options.pop("ends", MIXED)
    env, policy, recorder = ScriptedEnv(ends), RandomPolicy(), Recorder(looks)
    agent = DQNAgent(
        model=build_model(window_length), nb_actions=NB_ACTIONS, memory=build_memory(window_length), policy=policy,
        **options,
    )  # fmt: skip
    agent.compile(keras.optimizers.Adam(0.01) if adam else keras.optimizers.SGD(0.1), metrics=["mae", mean_target])
    choices = {"tau": options["target_model_update"] if options["target_model_update"] < 1 else None}
    choices |= {"double": options.pop("enable_double_dqn", False)}
    choices |= {name: options.pop(name) for name in ("gamma", "delta_clip") if name in options}
    network = NumpyNetwork(agent.model.get_weights(), NumpyAdam(0.01) if adam else NumpySGD(0.1), **choices)

    agent.fit(env, nb_steps=45, callbacks=[recorder], verbose=0)

    history = replay(env.trace, policy.actions, network, build_memory(window_length), **options)
    assert sum(metrics is not None for metrics, _ in history) >= 10
    for step, (metrics, weights) in enumerate(history):
        expected = [np.nan] * 4 if metrics is None else metrics
        np.testing.assert_allclose(recorder.metrics[step], expected, 1e-5, 1e-5, err_msg=f"step {step}")
        if looks:
            assert_close(recorder.weights[step], weights)
    assert_close([*agent.model.get_weights(), *agent.target_model.get_weights()], network.all_weights())


def assert_close(actual, expected, tolerance=1e-5):
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, tolerance, tolerance)


QUICK = ("hard, period 3, double, huber", "window", "several updates")


@pytest.mark.xla
@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=() if case in QUICK else pytest.mark.long) for case in CASES]
)
def test_updates_equal_numpy(case):
    assert_fit_equals_numpy(case, adam="soft" in case or "several" in case, looks=False)


@pytest.mark.long
@pytest.mark.xla
@pytest.mark.parametrize(
    "case", ["soft", *(pytest.param(case, marks=pytest.mark.long) for case in ("hard, period 3", "window"))]
)
def test_both_networks_equal_numpy_after_each_step(case):
    assert_fit_equals_numpy(case, adam=True, looks=True)


@pytest.mark.parametrize("target_model_update", [0.3, 2])
def test_target_network_moves(target_model_update):
    agent = DQNAgent(
        model=build_model(), nb_actions=NB_ACTIONS, memory=build_memory(), nb_steps_warmup=5, policy=RandomPolicy(),
        target_model_update=target_model_update,
    )  # fmt: skip
    agent.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    before = agent.target_model.get_weights()
    agent.fit(ScriptedEnv(MIXED), nb_steps=20, verbose=0)
    for old, new in zip(before, agent.target_model.get_weights(), strict=True):
        assert np.all(old != new)


# Eager Keras


class KerasNetwork:
    """The DQN update step by step with Keras models, a gradient tape and any optimizer."""

    def __init__(self, model, optimizer, gamma=0.99, tau=0.05):
        self.online, self.target = (keras.models.clone_model(model) for _ in range(2))
        for copy in (self.online, self.target):
            copy.set_weights(model.get_weights())
        self.optimizer, self.gamma, self.tau = optimizer, gamma, tau

    def all_weights(self):
        return [*self.online.get_weights(), *self.target.get_weights()]

    def update(self, experiences):
        states0, states1 = (np.array([getattr(e, s) for e in experiences]) for s in ("state0", "state1"))
        continues = np.array([not e.terminal1 for e in experiences])
        rewards = np.array([e.reward for e in experiences])
        targets = rewards + self.gamma * continues * np.max(self.target(states1, training=False), axis=1)
        taken = np.eye(NB_ACTIONS, dtype=np.float32)[[e.action for e in experiences]]
        with tf.GradientTape() as tape:
            q_values = self.online(states0, training=True)
            errors = targets.astype(np.float32) - tf.reduce_sum(q_values * taken, 1)
            loss = tf.add_n([tf.reduce_mean(errors**2 / 2), *self.online.losses])
            scaled_loss = self.optimizer.scale_loss(loss)
        variables = self.online.trainable_variables
        self.optimizer.apply(tape.gradient(scaled_loss, variables), variables)
        for target, online in zip(self.target.weights, self.online.weights, strict=True):
            if target.dtype == "float32":
                target.assign(self.tau * online.value + (1 - self.tau) * target.value)
        return [float(loss)]


def assert_fit_equals_eager(model, optimizer, reference_optimizer, jit_compile="auto", ends=MIXED, **options):
    """Fit an agent and compare it with KerasNetwork; return the agent."""
    policy, env, recorder = RandomPolicy(), ScriptedEnv(ends), Recorder()
    agent = DQNAgent(
        model=model, nb_actions=NB_ACTIONS, memory=build_memory(), policy=policy, batch_size=8, nb_steps_warmup=8,
        target_model_update=0.05, **options,
    )  # fmt: skip
    network = KerasNetwork(model, reference_optimizer)
    agent.compile(optimizer, jit_compile=jit_compile)
    agent.fit(env, 22, callbacks=[recorder], verbose=0)
    history = replay(env.trace, policy.actions, network, build_memory(), 8, 8, 0.05, **options)
    losses = [np.nan if metrics is None else metrics[0] for metrics, _ in history]
    np.testing.assert_allclose([m[0] for m in recorder.metrics], losses, 2e-5, 2e-5)
    assert_close([*agent.model.get_weights(), *agent.target_model.get_weights()], network.all_weights(), 2e-5)
    return agent


def decay():
    return keras.optimizers.schedules.ExponentialDecay(0.05, decay_steps=5, decay_rate=0.5)


def sparing_biases(optimizer):
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


OPTIMIZERS = {
    "momentum": lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "amsgrad": lambda: keras.optimizers.Adam(0.01, amsgrad=True),
    "adamw": lambda: sparing_biases(keras.optimizers.AdamW(0.01, weight_decay=0.5)),
    "weight decay": lambda: sparing_biases(keras.optimizers.SGD(0.1, weight_decay=0.5)),
    "nadam": lambda: keras.optimizers.Nadam(0.01),
    "adagrad": lambda: keras.optimizers.Adagrad(0.1),
    "adadelta": lambda: keras.optimizers.Adadelta(1.0),
    "adamax": lambda: keras.optimizers.Adamax(0.01),
    "ftrl": lambda: keras.optimizers.Ftrl(0.1),
    "lion": lambda: keras.optimizers.Lion(0.001),
    "adafactor": lambda: keras.optimizers.Adafactor(0.01),
    "lamb": lambda: keras.optimizers.Lamb(0.01),
    "scaled loss": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.05), initial_scale=8.0),
    "schedule": lambda: keras.optimizers.SGD(decay()),
    "schedule, per weight": lambda: keras.optimizers.AdamW(decay()),
    "clipnorm": lambda: keras.optimizers.Adam(0.01, clipnorm=0.05),
    "global_clipnorm": lambda: keras.optimizers.SGD(0.1, global_clipnorm=0.1),
    "clipvalue": lambda: keras.optimizers.SGD(0.1, clipvalue=0.02),
    "accumulation": lambda: keras.optimizers.SGD(0.1, gradient_accumulation_steps=3),
}
if tuple(map(int, keras.__version__.split(".")[:2])) >= (3, 13):  # Muon of Keras 3.12 fails on TensorFlow
    OPTIMIZERS["muon"] = lambda: keras.optimizers.Muon(0.01)


# Those with branches, and those that take each variable for itself, are compiled as they are for people, too.
COMPILED = ("scaled loss", "accumulation", "adamw", "muon", "batch normalisation")


def some_compiled(names):
    return [pytest.param(name, marks=[pytest.mark.xla] * (name in COMPILED)) for name in names]


@pytest.mark.long
@pytest.mark.parametrize("name", some_compiled(OPTIMIZERS))
def test_optimizer_gives_what_it_gives_in_eager_keras(name):
    assert_fit_equals_eager(build_model(), OPTIMIZERS[name](), OPTIMIZERS[name]())


def test_clipnorm_is_the_norm_of_each_variable():
    policy, env = RandomPolicy(), ScriptedEnv(MIXED)
    agent = DQNAgent(
        model=build_model(), nb_actions=NB_ACTIONS, memory=build_memory(), policy=policy, batch_size=8,
        nb_steps_warmup=10, target_model_update=0.05,
    )  # fmt: skip
    network = NumpyNetwork(agent.model.get_weights(), NumpySGD(0.1, clipnorm=0.1), tau=0.05)
    agent.compile(keras.optimizers.SGD(0.1, clipnorm=0.1))
    agent.fit(env, 30, verbose=0)
    replay(env.trace, policy.actions, network, build_memory(), 8, 10, 0.05)
    assert_close(agent.model.get_weights(), network.online)


MODELS = {
    "batch normalisation": [layers.Dense(4), layers.BatchNormalization(momentum=0.7), layers.ReLU()],
    "layer normalisation": [layers.Dense(4), layers.LayerNormalization(), layers.ReLU()],
    "frozen layer": [layers.Dense(4, trainable=False), layers.Dense(4, activation="tanh")],
    "regularizers": [layers.Dense(4, kernel_regularizer="l2", bias_regularizer="l1", activity_regularizer="l2")],
    "constraint": [layers.Dense(4, kernel_constraint=keras.constraints.MaxNorm(0.3))],
}


@pytest.mark.long
@pytest.mark.parametrize("name", some_compiled(MODELS))
def test_layers_give_what_they_give_in_eager_keras(name):
    model = build_model(1, *[type(layer).from_config(layer.get_config()) for layer in MODELS[name]])
    before = model.get_weights()
    agent = assert_fit_equals_eager(model, keras.optimizers.SGD(0.05), keras.optimizers.SGD(0.05))
    moved = [not np.array_equal(old, new) for old, new in zip(before, agent.model.get_weights(), strict=True)]
    assert moved == [not (name == "frozen layer" and i < 2) for i in range(len(moved))]


@pytest.mark.long
def test_constraint_is_kept():
    model = build_model(1, layers.Dense(4, kernel_constraint="non_neg"))
    agent = DQNAgent(model=model, nb_actions=NB_ACTIONS, memory=build_memory(), nb_steps_warmup=5, batch_size=8)
    agent.compile(keras.optimizers.Adam(0.1), jit_compile=False)
    agent.fit(ScriptedEnv(MIXED), 15, verbose=0)
    assert np.min(agent.model.get_weights()[0]) == 0


@pytest.mark.xla
@pytest.mark.long
def test_dropout_drops_while_learning_only():
    model = build_model(1, layers.Dense(30), layers.Dropout(0.5, seed=1))
    agent = DQNAgent(
        model=model, nb_actions=NB_ACTIONS, memory=SequentialMemory(limit=4), batch_size=2, nb_steps_warmup=5,
        target_model_update=0, policy=RandomPolicy(),
    )  # fmt: skip
    agent.compile(keras.optimizers.SGD(0.0))
    recorder = Recorder()

    class SameEnv(ScriptedEnv):
        def step(self, action):
            return np.ones(2, np.float32), 1.0, False, False, {}

    agent.fit(SameEnv(ENDLESS), 30, callbacks=[recorder], verbose=0)
    losses = [metrics[0] for metrics in recorder.metrics[-20:]]
    assert len(set(losses)) == 20  # nothing but dropout differs
    states = [[np.ones(2)]]
    expected = keras.ops.convert_to_numpy(model(np.ones((1, 1, 2)), training=False))
    for _ in range(3):
        np.testing.assert_allclose(agent.compute_batch_q_values(states), expected, 1e-5)


@pytest.mark.long
def test_dropout_gives_what_it_gives_in_eager_keras():
    model = build_model(1, layers.Dense(8), layers.Dropout(0.5, seed=1))
    assert_fit_equals_eager(model, keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1), jit_compile=False)


@pytest.mark.xla
@pytest.mark.long
def test_with_and_without_xla_alike():
    results = []
    model = build_model()
    for jit_compile in (True, False, "auto"):
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        adam, reference = keras.optimizers.Adam(0.01), keras.optimizers.Adam(0.01)
        agent = assert_fit_equals_eager(copy, adam, reference, jit_compile=jit_compile)
        results.append(np.concatenate([w.ravel() for w in agent.model.get_weights()]))
    np.testing.assert_allclose(results[1:], results[:-1], 1e-5, 1e-6)


@pytest.mark.xla
def test_what_xla_cannot_compile_is_run_without_it():
    class Doubled(layers.Layer):
        def call(self, inputs):
            return tf.ensure_shape(tf.numpy_function(np.sign, [inputs], tf.float32), inputs.shape) + inputs

    model = build_model(1, layers.Dense(4, activation="tanh"), Doubled())
    agent = DQNAgent(
        model=model, nb_actions=NB_ACTIONS, memory=build_memory(), nb_steps_warmup=5, batch_size=8,
        custom_model_objects={"Doubled": Doubled},
    )  # fmt: skip
    agent.compile("sgd")
    recorder = Recorder()
    agent.fit(ScriptedEnv(MIXED), 15, callbacks=[recorder], verbose=0)
    assert np.isfinite(recorder.metrics[-1][0])


@pytest.mark.xla
@pytest.mark.long
def test_large_networks_learn_the_same():
    model = build_model(1, layers.Dense(600, activation="tanh"), layers.Dense(600, activation="tanh"))
    assert_fit_equals_eager(model, keras.optimizers.SGD(0.01), keras.optimizers.SGD(0.01))


def convolutional():
    return build_model(1, layers.Reshape((2, 1)), layers.Conv1D(4, 2, activation="tanh"), layers.Flatten())


@pytest.mark.xla
@pytest.mark.long
def test_several_updates_of_convolutions_are_no_loop_and_learn_the_same(monkeypatch):
    monkeypatch.setattr(tf, "while_loop", lambda *arguments: pytest.fail("convolutions are slow in a compiled loop"))
    adams = [keras.optimizers.Adam(0.01) for _ in range(2)]
    assert_fit_equals_eager(convolutional(), *adams, ends=ENDLESS, gradient_steps=3, train_interval=3)


@pytest.mark.xla
@pytest.mark.long
def test_so_many_updates_of_convolutions_that_they_are_a_loop_learn_the_same_and_are_noted(noted):
    adams = [keras.optimizers.Adam(0.01) for _ in range(2)]
    with noted("gradient_steps"):
        assert_fit_equals_eager(convolutional(), *adams, ends=ENDLESS, gradient_steps=17, train_interval=4)


# Metrics and settings


@pytest.mark.long
def test_metrics_by_name_object_and_function():
    agent = DQNAgent(
        model=build_model(), nb_actions=NB_ACTIONS, memory=build_memory(), batch_size=8, nb_steps_warmup=5,
        policy=RandomPolicy(),
    )  # fmt: skip
    wanted = ["mae", keras.metrics.MeanSquaredError(name="squared"), mean_target, keras.metrics.RootMeanSquaredError()]
    agent.compile("sgd", metrics=wanted)
    assert len(wanted) == 4  # Keras-RL appends to the caller's list
    assert agent.metrics_names == ["loss", "mae", "squared", "mean_target", "root_mean_squared_error", "mean_q"]
    recorder = Recorder()
    agent.fit(ScriptedEnv(MIXED), 20, callbacks=[recorder], verbose=0)
    for _, mae, mse, _, rmse, _ in recorder.metrics[10:]:
        np.testing.assert_allclose(rmse, np.sqrt(mse), 1e-5)
        assert 0 < mae <= rmse


def test_default_metrics():
    agent = DQNAgent(model=build_model(), nb_actions=NB_ACTIONS, memory=build_memory())
    for _ in range(2):
        agent.compile("sgd")
        assert agent.metrics_names == ["loss", "mean_q"]


@pytest.mark.parametrize(
    ("optimizer", "metrics"),
    [
        ("gradient descent", []),
        (None, []),
        (3, []),
        ("sgd", ["no such metric"]),
        ("sgd", [3]),
        (keras.optimizers.Adam(use_ema=True), []),
    ],
)
def test_unusable_settings_are_refused(optimizer, metrics):
    agent = DQNAgent(model=build_model(), nb_actions=NB_ACTIONS, memory=build_memory())
    with pytest.raises(UserError):
        agent.compile(optimizer, metrics=metrics)
    assert not agent.compiled


@pytest.mark.long
def test_learning_rate_can_be_changed_while_learning():
    class Stop(rl.callbacks.Callback):
        def on_step_end(self, step, logs):
            if len(recorder.metrics) == 12:
                self.model.optimizer.learning_rate = 0.0
                self.stopped_at = self.model.model.get_weights()

    recorder, stop = Recorder(), Stop()
    agent = DQNAgent(model=build_model(), nb_actions=NB_ACTIONS, memory=build_memory(), batch_size=8, nb_steps_warmup=5)
    agent.compile(keras.optimizers.SGD(0.1))
    before = agent.model.get_weights()
    agent.fit(ScriptedEnv(MIXED), 20, callbacks=[recorder, stop], verbose=0)
    assert not np.array_equal(before[0], stop.stopped_at[0])
    for actual, expected in zip(agent.model.get_weights(), stop.stopped_at, strict=True):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.long
def test_optimizer_of_an_earlier_agent_starts_anew():
    optimizer = keras.optimizers.Adam(0.01)
    assert_fit_equals_eager(build_model(), optimizer, keras.optimizers.Adam(0.01))
    assert_fit_equals_eager(build_model(), optimizer, keras.optimizers.Adam(0.01))
