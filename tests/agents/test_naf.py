"""NAFAgent and NAFLayer beside plain NumPy, and everything that surrounds a training with them."""

import shutil
import types

import keras
import numpy as np
import pytest
import rl.agents
import rl.callbacks
import rl.core
import rl.memory
import rl.processors
import tensorflow as tf
from continuous_agents import Env, Optimizer, combinations, recording, train
from keras import layers
from rl.random import GaussianWhiteNoiseProcess, OrnsteinUhlenbeckProcess

import kerasrl
from kerasrl import NAFAgent, NAFLayer, PrioritizedMemory, SequentialMemory, UserError, WeightsError
from kerasrl.agents import Agent
from kerasrl.learning.compiled_call import CompiledCalls
from kerasrl.storage import TrainingState, weights


def build_models(nb_actions=2, mode="full", window_length=1):
    """V, L and mu, each of one layer."""
    nb_elements = nb_actions if mode == "diag" else nb_actions * (nb_actions + 1) // 2

    def of_state(nb_outputs):
        output = layers.Dense(nb_outputs, bias_initializer="random_normal")
        return keras.Sequential([keras.Input((window_length, 2)), layers.Flatten(), output])

    action, state = keras.Input((nb_actions,)), keras.Input((window_length, 2))
    joined = layers.Concatenate()([action, layers.Flatten()(state)])
    lower = keras.Model([action, state], layers.Dense(nb_elements, bias_initializer="random_normal")(joined))
    return of_state(1), lower, of_state(nb_actions)


def build_agent(
    memory=None, optimizer="sgd", metrics=(), kind=NAFAgent, nb_actions=2, mode="full", window=1, **options
):
    keras.utils.set_random_seed(1)
    memory = SequentialMemory(200, window_length=window, seed=2) if memory is None else memory
    options = {"nb_steps_warmup": 8, "batch_size": 6, "target_model_update": 0.1, **options}
    models = options.pop("models", None) or build_models(nb_actions, mode, memory.window_length)
    agent = kind(*models, covariance_mode=mode, nb_actions=nb_actions, memory=memory, **options)
    agent.compile(optimizer, list(metrics), jit_compile=False)
    return agent


def assert_same(one, other):
    for a, b in zip(one.trainables["learner"].get_state(), other.trainables["learner"].get_state(), strict=True):
        np.testing.assert_array_equal(a, b)
    for name in ("observations", "actions", "rewards", "terminals"):
        np.testing.assert_array_equal(getattr(one.memory, name), getattr(other.memory, name))


# The layer


def lower_triangular(elements, nb_actions):
    lower = np.zeros((len(elements), nb_actions, nb_actions))
    rows, columns = np.tril_indices(nb_actions)
    lower[:, rows, columns] = elements
    diagonal = np.arange(nb_actions)
    lower[:, diagonal, diagonal] = np.exp(lower[:, diagonal, diagonal]) + 1e-7
    return lower


def advantages(elements, mu, action, mode):
    n = mu.shape[1]
    lower = lower_triangular(elements, n) if mode == "full" else None
    covariance = lower @ lower.transpose(0, 2, 1) if mode == "full" else np.eye(n) * elements[:, None]
    away = (action - mu)[:, :, None]
    return -0.5 * (away.transpose(0, 2, 1) @ covariance @ away)[:, 0]


@pytest.mark.parametrize("mode", ["full", "diag"])
@pytest.mark.parametrize("nb_actions", [1, 2, 3, 17])
def test_the_layer_is_the_advantage(nb_actions, mode):
    layer, rng = NAFLayer(nb_actions, mode=mode), np.random.RandomState(nb_actions)
    inputs = [rng.normal(size=(5, size)).astype("float32") for size in (layer.nb_elements, nb_actions, nb_actions)]
    actual = layer(inputs).numpy()
    np.testing.assert_allclose(actual, advantages(*np.float64(inputs[0:1]), *inputs[1:], mode), 1e-4, 1e-5)
    assert layer.compute_output_shape([array.shape for array in inputs]) == actual.shape == (5, 1)


@pytest.mark.long
def test_the_layer_is_keras_rls_and_part_of_any_model(tmp_path):
    inputs = [keras.Input((size,)) for size in (3, 2, 2)]
    layer = NAFLayer(2)
    assert isinstance(layer, rl.agents.dqn.NAFLayer) and layer.mode == "full"
    model = keras.Model(inputs, layer(inputs))
    assert model.output.shape == (None, 1) and kerasrl.agents.NAFLayer is NAFLayer
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    arrays = [np.ones((4, 3)), np.zeros((4, 2)), np.ones((4, 2))]
    np.testing.assert_allclose(model.predict(arrays, verbose=0), again.predict(arrays, verbose=0))


def test_elements_off_the_diagonal_may_be_large():
    """They never reach exp(), whose gradient would not be a number."""
    elements = tf.constant([[0.0, 200.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(elements)
        value = NAFLayer(2)([elements, tf.zeros([1, 2]), tf.ones([1, 2])])
    assert np.isfinite(value).all() and np.isfinite(tape.gradient(value, elements)).all()


@pytest.mark.parametrize("sizes", [(4, 2, 2), (3, 3, 2), (3, 2, 3), (3, 2)])
def test_what_the_layer_cannot_take_is_refused(sizes, refused):
    with refused():
        NAFLayer(2).compute_output_shape([(None, size) for size in sizes])


def test_an_unknown_mode_is_refused(refused):
    with refused("diag"):
        NAFLayer(2, mode="half")


# The reference


class Reference:
    """NAF in NumPy, for batches that were drawn by somebody else."""

    def __init__(self, agent, optimizer, mode, delta_clip, tau):
        models = (agent.V_model, agent.L_model, agent.mu_model)
        self.weights = [w.astype(float) for model in models for w in model.get_weights()]  # kernels and biases
        self.target = [w.copy() for w in self.weights[:2]]
        self.optimizer, self.mode, self.delta_clip, self.tau = optimizer, mode, delta_clip, tau

    def mu(self, states):
        return states @ self.weights[4] + self.weights[5]

    def update(self, states0, states1, actions, rewards, discounts, importance):
        targets = rewards + discounts * (states1 @ self.target[0] + self.target[1])[:, 0]
        joined, mu, n = np.hstack([actions, states0]), self.mu(states0), actions.shape[1]
        elements = joined @ self.weights[2] + self.weights[3]
        values = (states0 @ self.weights[0] + self.weights[1] + advantages(elements, mu, actions, self.mode))[:, 0]
        errors = targets - values
        clipped = np.clip(errors, -self.delta_clip, self.delta_clip)
        loss = (importance * clipped * (errors - clipped / 2)).mean()

        of_values = -(importance * clipped)[:, None] / len(errors)
        away = actions - mu
        if self.mode == "full":
            lower = lower_triangular(elements, n)
            projected = np.einsum("bij,bi->bj", lower, away)  # L' (a - mu)
            of_lower = -away[:, :, None] * projected[:, None]
            diagonal = np.arange(n)
            of_lower[:, diagonal, diagonal] *= lower[:, diagonal, diagonal] - 1e-7
            rows, columns = np.tril_indices(n)
            of_elements, of_mu = of_lower[:, rows, columns], np.einsum("bij,bj->bi", lower, projected)
        else:
            of_elements, of_mu = -0.5 * away**2, elements * away
        gradients = []
        for inputs, of_outputs in (
            (states0, of_values),
            (joined, of_values * of_elements),
            (states0, of_values * of_mu),
        ):
            gradients += [inputs.T @ of_outputs, of_outputs.sum(0)]
        self.optimizer.apply(self.weights, gradients)
        if self.tau:
            self.target = [
                self.tau * w + (1 - self.tau) * t for w, t in zip(self.weights[:2], self.target, strict=True)
            ]
        return [loss, np.abs(errors).mean(), values.mean()], errors

    def learn(self, sample, told, nb_batches):
        """Learn from what was drawn, compare the errors that the memory was told, and return the mean metrics."""
        metrics, window = [], (sample.frames[0].shape[1] + 1) // 2
        for i in range(nb_batches):
            rows = slice(6 * i, 6 * i + 6)
            frames = sample.frames[0][rows].astype(float)
            states = frames[:, :window].reshape(6, -1), frames[:, -window:].reshape(6, -1)
            importance = 1.0 if sample.weights is None else sample.weights[rows]
            others = sample.actions[rows].astype(float), sample.rewards[rows], sample.discounts[rows]
            values, errors = self.update(*states, *others, importance)
            metrics.append(values)
            if told is not None:
                np.testing.assert_allclose(told[rows], errors, 1e-3, 1e-5)
        return np.mean(metrics, 0)

    def assert_equal(self, agent):
        models = (agent.V_model, agent.L_model, agent.mu_model, agent.target_V_model)
        actual = [w for model in models for w in model.get_weights()]
        for one, other in zip(actual, [*self.weights, *self.target], strict=True):
            np.testing.assert_allclose(one, other, 1e-3, 1e-5)


class Noise:
    """A random process that remembers what it gave."""

    def __init__(self, size):
        self.size = size

    def reset_states(self):
        self.rng = np.random.RandomState(0)

    def sample(self):
        self.last = self.rng.normal(size=self.size)
        return self.last


class Watched(NAFAgent):
    """Compares each step with a reference."""

    def backward(self, reward, terminal):
        state = np.reshape(self.memory.get_recent_state(self.recent_observation), (1, -1)).astype(float)
        chosen = self.reference.mu(state)[0] + self.random_process.last
        np.testing.assert_allclose(self.recent_action, chosen, 1e-3, 1e-5)
        metrics = super().backward(reward, terminal)
        expected = [np.nan] * 3
        if self.step > self.nb_steps_warmup and self.step % self.train_interval == 0:
            told = self.memory.errors.pop() if self.memory.errors else None
            expected = self.reference.learn(self.memory.drawn.pop(), told, self.gradient_steps)
            self.nb_trained += 1
        np.testing.assert_allclose(metrics, expected, 1e-3, 1e-5)
        if self.target_model_update >= 1 and self.step % self.target_model_update == 0:
            self.reference.target = [w.copy() for w in self.reference.weights[:2]]
        return metrics


CHOICES = {
    "mode": ["full", "diag"],
    "nb_actions": [2, 1, 3],
    "target_model_update": [0.1, 3, 1],
    "delta_clip": [np.inf, 0.3],
    "n_step": [1, 3],
    "weighted": [False, True],
    "gradient_steps": [1, 2],
    "clipnorm": [None, 0.05],
    "is_adam": [False, True],
    "window": [1, 2],
    "train_interval": [1, 2],
}


@pytest.mark.parametrize(
    "chosen", [*combinations(CHOICES, 400)], ids=lambda chosen: "-".join(map(str, chosen.values()))
)
def test_everything_is_what_it_is_in_numpy(chosen):
    update, nb_actions = chosen["target_model_update"], chosen["nb_actions"]
    is_clipped = chosen["clipnorm"] or chosen["delta_clip"] < np.inf
    rate = 0.003 if chosen["is_adam"] else 0.02 if is_clipped else 1e-4  # since exp() makes large gradients
    optimizer = Optimizer(rate, chosen["clipnorm"], chosen["is_adam"])
    memory = recording(PrioritizedMemory if chosen["weighted"] else SequentialMemory, window_length=chosen["window"])
    named = ("mode", "nb_actions", "target_model_update", "delta_clip", "n_step", "gradient_steps", "train_interval")
    agent = build_agent(
        memory, optimizer.of_keras(), ["mae"], Watched, gamma=0.9, random_process=Noise(nb_actions),
        **{name: chosen[name] for name in named},
    )  # fmt: skip
    agent.reference = Reference(agent, optimizer, chosen["mode"], chosen["delta_clip"], update if update < 1 else 0)
    agent.nb_trained = 0
    train(agent, 18)
    assert agent.nb_trained >= 4
    agent.reference.assert_equal(agent)


# What a step does


@pytest.fixture(scope="module")
def shared():
    """An agent for what leaves no traces in it, as making one takes longest."""
    return build_agent(optimizer=keras.optimizers.SGD(1e-4), random_process=GaussianWhiteNoiseProcess(size=2))


@pytest.mark.long
def test_a_training_step_is_one_call(monkeypatch, shared):
    nb_calls, call = [0], CompiledCalls.__call__
    monkeypatch.setattr(
        CompiledCalls, "__call__", lambda *args: (nb_calls.__setitem__(0, nb_calls[0] + 1), call(*args))[1]
    )
    train(shared, 15)  # three episodes
    nb_calls[0] = 0
    train(shared, 15, changes={1: {"nb_steps_warmup": -1}})
    shared.nb_steps_warmup = 8
    assert nb_calls[0] <= 15 + 3 + 3 + 1  # a step, an episode's beginning and its end


@pytest.mark.long
def test_noise_is_drawn_in_training_alone(shared):
    train(shared, 5)
    state = np.random.get_state()[2]
    actions = [shared.act(np.ones(2, np.float32)) for _ in range(2)]
    assert np.array_equal(*actions) and np.random.get_state()[2] == state
    np.testing.assert_allclose(actions[0], shared.mu_model.predict(np.ones((1, 1, 2)), verbose=0)[0], 1e-5)
    shared.training = True
    assert not np.array_equal(shared.forward(np.ones(2)), shared.forward(np.ones(2)))


@pytest.mark.long
def test_a_time_limit_keeps_the_last_states_value():
    """A single state with reward 1, whose value is 1 / (1 - gamma) unless the end takes it away."""

    class One:
        limited = True

        def reset(self):
            return np.ones(2, np.float32), {}

        def step(self, action):
            return np.ones(2, np.float32), 1.0, not self.limited, self.limited, {}

    env = One()
    agent = build_agent(optimizer=keras.optimizers.Adam(0.1), gamma=0.5, target_model_update=1)
    for env.limited, value in [(True, 2.0), (False, 1.0)]:
        agent.memory = SequentialMemory(200)
        agent.fit(env, 80, verbose=0)
        assert agent.V_model.predict(np.ones((1, 1, 2)), verbose=0) == pytest.approx(value, abs=0.05)


@pytest.mark.long
def test_attributes_that_are_set_later_count(shared):
    process = OrnsteinUhlenbeckProcess(theta=0.1, size=2)
    changes = {
        10: {"gamma": 0.5, "delta_clip": 1e-6, "batch_size": 7, "gradient_steps": 2, "target_model_update": 2},
        16: {"random_process": process}, 19: {"nb_steps_warmup": 99},
    }  # fmt: skip
    steps = train(shared, 22, changes)
    losses = np.array(steps.metrics)[:, 0]
    assert np.isnan(losses[[8, 19, 20, 21]]).all() and np.isfinite(losses[9:19]).all()
    assert losses[9] > 1e-4 > losses[10] and process.n_steps > 3
    for one, other in zip(shared.V_model.get_weights(), shared.target_V_model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)  # copied, while nothing is learned
    with pytest.raises(UserError, match="delta_clip"):
        train(shared, 5, {1: {"delta_clip": 0}})
    for name, value in {"delta_clip": np.inf, "target_model_update": 0.1, "nb_steps_warmup": 8}.items():
        setattr(shared, name, value)
    shared.gamma, shared.batch_size, shared.gradient_steps = 0.99, 6, 1


@pytest.mark.long
@pytest.mark.parametrize("name", ["mu_model", "combined_model", "target_V_model"])
def test_what_is_written_into_a_model_counts(name, shared):
    surely = [np.zeros((2, 2)), np.array([5.0, -5.0])]

    def write(agent):
        model = getattr(agent, name)
        if name == "target_V_model":
            model.set_weights([np.zeros((2, 1)), np.full(1, 1e3)])
        else:
            model.get_layer(agent.mu_model.name).set_weights(surely) if name != "mu_model" else model.set_weights(
                surely
            )

    shared.optimizer.learning_rate = 0.0
    before = shared.combined_model.get_weights()
    steps = train(shared, 14, {11: write})
    if name == "target_V_model":
        assert steps.metrics[10][0] < 1e4 < steps.metrics[11][0]
    else:
        assert all(np.sign(action).tolist() == [1, -1] for action in steps.actions[11:])
    shared.combined_model.set_weights(before)
    shared.update_target_model_hard()


@pytest.mark.long
def test_the_models_are_exact_whenever_they_are_read():
    seen = {}

    def look(agent):
        for name in ("V_model", "L_model", "mu_model", "combined_model", "target_V_model"):
            seen[name] = getattr(agent, name).get_weights()

    agents = build_agent(), build_agent()
    train(agents[0], 25, {17: look})
    train(agents[1], 17)
    for name, arrays in seen.items():
        assert all(map(np.array_equal, arrays, getattr(agents[1], name).get_weights()))


# Models and observations


class Parts(Env):
    def __init__(self, names):
        super().__init__()
        self.names = names

    def split(self, position):
        parts = position[:1], position[1:]
        return dict(zip(self.names, parts, strict=True)) if self.names else list(parts)

    def reset(self, seed=None):
        return self.split(super().reset(seed)[0]), {}

    def step(self, action):
        observation, *rest = super().step(action)
        return self.split(observation), *rest


@pytest.mark.long
@pytest.mark.parametrize("kind", ["processor", pytest.param("names", marks=pytest.mark.long)])
def test_several_inputs(kind):
    names = ("x", "y") if kind == "names" else None

    def inputs(order=(0, 1)):
        return [keras.Input((1, 1), name=names and names[i]) for i in order]

    def output(of, size):
        return layers.Dense(size)(layers.Concatenate()([layers.Flatten()(part) for part in of]))

    v, mu, action = inputs(), inputs(), keras.Input((2,))
    rest = inputs((1, 0)) if names else inputs()
    models = keras.Model(v, output(v, 1)), keras.Model([action, *rest], output([action, *rest], 3))
    processor = None if names else rl.processors.MultiInputProcessor(nb_inputs=2)
    agent = build_agent(models=(*models, keras.Model(mu, output(mu, 2))), processor=processor)
    steps = train(agent, 14, env=lambda: Parts(names))
    assert np.isfinite(steps.metrics[-1]).all()


@pytest.mark.long
def test_layers_of_all_kinds_and_regularizers_learn_together():
    def of_state(nb_outputs):
        hidden = [layers.Dense(4, "tanh", kernel_regularizer="l2"), layers.BatchNormalization(), layers.Dropout(0.1)]
        return keras.Sequential([keras.Input((2, 2)), layers.GRU(3), *hidden, layers.Dense(nb_outputs)])

    action, state = keras.Input((2,)), keras.Input((2, 2))
    joined = layers.Concatenate()([action, layers.Flatten()(layers.LayerNormalization()(state))])
    lower = keras.Model([action, state], layers.Dense(3)(joined))
    agent = build_agent(models=(of_state(1), lower, of_state(2)), window=2, optimizer="adam")
    before = [model.get_weights() for model in (agent.V_model, agent.L_model, agent.mu_model)]
    assert np.isfinite(train(agent, 20).metrics[-1]).all()
    for old, model in zip(before, (agent.V_model, agent.L_model, agent.mu_model), strict=True):
        assert not any(map(np.array_equal, old, model.get_weights()))


# As in Keras-RL


def test_it_is_keras_rls_class_with_its_arguments_and_metrics(shared):
    assert kerasrl.ContinuousDQNAgent is NAFAgent is kerasrl.agents.ContinuousDQNAgent
    agent, models = shared, build_models()
    assert isinstance(agent, rl.agents.NAFAgent) and isinstance(agent, Agent)
    assert agent.metrics_names == ["loss", "mean_q"]
    assert [type(layer).__name__ for layer in agent.layers[2:]] == [
        "Functional", "Sequential", "NAFLayer", "Sequential", "Add",
    ]  # fmt: skip
    process = OrnsteinUhlenbeckProcess(theta=0.15, size=2)
    by_position = NAFAgent(*models, process, "full", 2, SequentialMemory(20), 0.9, 7, 3, 4, 5, 6, None, 0.5, {})
    names = ("gamma", "batch_size", "nb_steps_warmup", "train_interval", "memory_interval", "target_model_update")
    assert [getattr(by_position, name) for name in (*names, "delta_clip")] == [0.9, 7, 3, 4, 5, 6, 0.5]
    usual = NAFAgent(
        V_model=models[0], L_model=models[1], mu_model=models[2], nb_actions=2, memory=SequentialMemory(20)
    )
    assert [getattr(usual, name) for name in (*names, "delta_clip")] == [0.99, 32, 1000, 1, 1, 10000, np.inf]
    assert usual.covariance_mode == "full" and usual.random_process is None
    assert {"V_model", "L_model", "mu_model", "target_V_model"} <= set(agent.get_config())
    with pytest.raises(RuntimeError, match="compile"):
        usual.fit(Env(), 3)


def own(function):
    """A copy of Keras-RL's code as somebody has it in a script."""
    names = {**vars(rl.agents.dqn), "__name__": "script"}
    return types.FunctionType(function.__code__, names, function.__name__, function.__defaults__)


@pytest.mark.long
def test_keras_rls_own_forward_and_backward_learn_the_same():
    class Literal(NAFAgent):
        forward, backward = own(rl.agents.NAFAgent.forward), own(rl.agents.NAFAgent.backward)
        select_action = own(rl.agents.NAFAgent.select_action)

    def run(kind):
        agent = build_agent(kind=kind, random_process=GaussianWhiteNoiseProcess(size=2), delta_clip=0.5)

        class Deadly(Env):  # Keras-RL knows no time limits
            def step(self, action):
                observation, reward, terminated, truncated, info = super().step(action)
                return observation, reward, terminated or truncated, False, info

        return agent, train(agent, 16, env=Deadly)

    (ours, expected), (literal, actual) = run(NAFAgent), run(Literal)
    np.testing.assert_allclose(actual.metrics, expected.metrics, 1e-4, 1e-6)
    np.testing.assert_allclose(actual.actions, expected.actions, 1e-5)
    for one, other in zip(ours.get_weights(), literal.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, 1e-4, 1e-6)


def test_a_compile_without_ours_is_refused_by_name(refused):
    class Own(NAFAgent):
        def compile(self, optimizer, metrics=(), jit_compile=None):
            self.combined_model = self.target_V_model = None
            self.compiled = True

    with refused("Own.compile", "super().compile"):
        train(build_agent(kind=Own))


REFUSED = {
    "policy": {"policy": rl.policy.GreedyQPolicy()},
    "double": {"enable_double_dqn": True},
    "mode": {"covariance_mode": "half"},
    "elements": {"covariance_mode": "diag", "L_model": build_models},
    "actions": {"nb_actions": 3},
    "memory": {"memory": rl.memory.EpisodeParameterMemory(9, window_length=1)},
    "window": {"memory": SequentialMemory(20, window_length=2)},
    "steps": {"gradient_steps": 0},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_go_together_is_refused(name, refused):
    models = dict(zip(("V_model", "L_model", "mu_model"), build_models(), strict=True))
    changes = {key: value()[1] if value is build_models else value for key, value in REFUSED[name].items()}
    with refused(varying=r"0x\w+"):
        NAFAgent(**{**models, "nb_actions": 2, "memory": SequentialMemory(20), **changes})


@pytest.mark.parametrize("name", ["action last", "another observation"])
def test_models_that_do_not_fit_are_refused(name, refused):
    v, lower, mu = build_models()
    action, state = keras.Input((2,)), keras.Input((1, 2))
    joined = layers.Dense(3)(layers.Concatenate()([action, layers.Flatten()(state)]))
    if name == "action last":
        lower = keras.Model([state, action], joined)
    else:
        v = keras.Sequential([keras.Input((1, 3)), layers.Flatten(), layers.Dense(1)])
    with refused():
        NAFAgent(v, lower, mu, nb_actions=2, memory=SequentialMemory(20))


def test_noise_of_another_size_is_refused(refused, shared):
    process, shared.random_process = shared.random_process, GaussianWhiteNoiseProcess(size=1)
    with refused("size=2"):
        train(shared)
    shared.random_process = process


# Weights


@pytest.mark.long
def test_weights_are_one_file_in_keras_rls_order(tmp_path, shared):
    shared.save_weights(tmp_path / "naf_Env_weights.h5f", overwrite=True)
    saved = weights.read(tmp_path / "naf_Env_weights.h5f")
    models = (shared.L_model, shared.mu_model, shared.V_model)  # as keras-rl's combined model has them
    for layer, model in zip(saved.layers, models, strict=True):
        assert all(map(np.array_equal, layer.values(), model.get_weights()))
    other = build_agent(mode="full")
    other.V_model.set_weights([np.zeros((2, 1)), np.zeros(1)])
    other.load_weights(tmp_path / "naf_Env_weights.h5f")
    assert all(map(np.array_equal, shared.get_weights(), other.get_weights()))
    assert all(map(np.array_equal, other.target_V_model.get_weights(), shared.V_model.get_weights()))
    uncompiled = NAFAgent(*build_models(), nb_actions=2, memory=SequentialMemory(20))
    uncompiled.load_weights(tmp_path / "naf_Env_weights.h5f")
    assert all(map(np.array_equal, uncompiled.mu_model.get_weights(), shared.mu_model.get_weights()))
    with pytest.raises(WeightsError, match="another network"):
        NAFAgent(*build_models(1), nb_actions=1, memory=SequentialMemory(20)).load_weights(
            tmp_path / "naf_Env_weights.h5f"
        )


def test_a_checkpoint_of_keras_rl2_is_read(tmp_path):
    """It names the layers within the three models, whose kernels and biases come in any order."""

    def deep(nb_outputs):
        hidden = layers.Dense(2, bias_initializer="random_normal")  # of the same shape as the next
        return keras.Sequential([keras.Input((1, 2)), layers.Flatten(), hidden, layers.Dense(nb_outputs)])

    def build():
        return NAFAgent(deep(1), build_models()[1], deep(2), nb_actions=2, memory=SequentialMemory(20))

    def trackable(children):
        node = tf.train.Checkpoint()
        for name, child in children.items():
            setattr(node, name, child)
        return node

    agent, other, root = build(), build(), {}
    models = (agent.L_model, agent.mu_model, agent.V_model)
    for i, model in enumerate(models):
        of_layers = [layer.weights for layer in model.layers if layer.weights]
        inner = {
            f"layer_with_weights-{j}": trackable({"kernel": tf.Variable(kernel), "bias": tf.Variable(bias)})
            for j, (kernel, bias) in enumerate(of_layers)
        }
        root[f"layer_with_weights-{i}"] = trackable(inner)
    trackable(root).write(str(tmp_path / "w.h5f"))
    assert not any(map(np.array_equal, other.mu_model.get_weights()[::2], agent.mu_model.get_weights()[::2]))
    other.load_weights(tmp_path / "w.h5f")
    for model, same in zip(models, (other.L_model, other.mu_model, other.V_model), strict=True):
        assert all(map(np.array_equal, model.get_weights(), same.get_weights()))


@pytest.mark.long
def test_a_copy_of_keras_rls_constructor_may_take_its_place():
    class Mine(NAFAgent):
        def __init__(self, V_model, L_model, mu_model, *args, **kwargs):
            super(NAFAgent, self).__init__(*args, **kwargs)
            self.random_process, self.covariance_mode = None, "full"
            self.V_model, self.L_model, self.mu_model = V_model, L_model, mu_model
            self.reset_states()

    agent = Mine(*build_models(), nb_actions=2, memory=SequentialMemory(50), nb_steps_warmup=5, batch_size=4)
    agent.compile("sgd", jit_compile=False)
    agent.fit(Env(), 12, verbose=0)
    assert agent.nb_steps_warmup == 5 and agent.combined_model.output_shape == (None, 1)


# A whole training


def fit(folder, nb_steps=50, changes=None, resume=False, callbacks=(), **options):
    process = OrnsteinUhlenbeckProcess(theta=0.15, sigma=0.5, dt=0.1, sigma_min=0.1, n_steps_annealing=40, size=2)
    agent = build_agent(PrioritizedMemory(30, seed=2), "adam", random_process=process, **options)
    decay = {i: lambda agent: vars(agent.random_process).update(c=agent.random_process.c * 0.99) for i in range(9, 60)}
    train(
        agent, nb_steps, {**decay, **(changes or {})}, env=lambda: Env(is_seeded=True), callbacks=callbacks,
        state=TrainingState(folder / "state", interval=8), resume=resume,
    )  # fmt: skip
    return agent


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A training, and the folder as it was at step 37, which is what a kill leaves."""
    folder = tmp_path_factory.mktemp("whole")
    killed = folder.with_name("killed")
    return fit(folder, changes={37: lambda agent: shutil.copytree(folder, killed)}), killed


def test_a_resume_after_a_kill_is_exact(whole):
    whole, killed = whole
    assert 20 <= TrainingState(killed / "state").load()["agent"]["step"] <= 37
    resumed = fit(killed, resume=True)
    assert_same(resumed, whole)
    assert vars(resumed.random_process).keys() == vars(whole.random_process).keys()
    np.testing.assert_array_equal(resumed.random_process.x_prev, whole.random_process.x_prev)


@pytest.mark.long
def test_tests_in_between_leave_a_training_as_it_was(whole, tmp_path):
    class Meddling(rl.callbacks.Callback):
        def on_step_end(self, step, logs):
            if self.model.step % 3 == 0:
                self.model.test(Env(), 1, visualize=False, verbose=0)
                self.model.act(np.ones(2))

    assert_same(fit(tmp_path, callbacks=[Meddling()]), whole[0])


@pytest.mark.long
def test_it_learns_where_to_push():
    """The reward is highest for one action in each state, which mu has to find."""

    class Target:
        def reset(self):
            self.nb_steps, self.state = 0, np.random.uniform(-1, 1, 2).astype(np.float32)
            return self.state, {}

        def step(self, action):
            self.nb_steps += 1
            reward = -float(np.sum((action - self.state[::-1]) ** 2))
            self.state = np.random.uniform(-1, 1, 2).astype(np.float32)
            return self.state, reward, self.nb_steps == 10, False, {}

    process = GaussianWhiteNoiseProcess(sigma=0.5, size=2)
    agent = build_agent(
        SequentialMemory(2000), keras.optimizers.Adam(0.01), random_process=process, gamma=0.0, batch_size=32
    )
    agent.fit(Target(), 3000, verbose=0, seed=1)
    kernel, bias = agent.mu_model.get_weights()
    np.testing.assert_allclose(kernel, [[0, 1], [1, 0]], atol=0.15)
    np.testing.assert_allclose(bias, 0, atol=0.15)
