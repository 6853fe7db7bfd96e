"""DDPGAgent beside plain NumPy, and everything that surrounds a training with it."""

import dataclasses
import functools
import sys
import types

import h5py
import keras
import numpy as np
import pytest
import rl.agents
import rl.callbacks
import rl.core
import rl.memory
import rl.processors
import tensorflow as tf
from continuous_agents import Env, Optimizer, Steps, combinations, recording, train
from keras import layers
from rl.random import GaussianWhiteNoiseProcess, OrnsteinUhlenbeckProcess

from kerasrl import DDPGAgent, DDPGConfig, PrioritizedMemory, SequentialMemory, UserError, WeightsError
from kerasrl.agents import Agent
from kerasrl.config.commands import PlayConfig
from kerasrl.learning.compiled_call import CompiledCalls
from kerasrl.storage import TrainingState, weights
from kerasrl.training.own_parts import OwnParts
from kerasrl.training.saved import find


def build_models(action_first=True, late=False):
    """An actor and a critic of one hidden layer each, and the critic's action input."""
    state = keras.Input((1, 2))
    hidden = layers.Dense(4, "tanh")(layers.Flatten()(state))
    actor = keras.Model(state, layers.Dense(2, "tanh")(hidden))
    action, observation = keras.Input((2,)), keras.Input((1, 2))
    seen = layers.Flatten()(observation)
    seen = layers.Dense(3, "tanh")(seen) if late else seen
    joined = layers.Concatenate()([action, seen] if action_first else [seen, action])
    value = layers.Dense(1)(layers.Dense(5, "tanh")(joined))
    critic = keras.Model([action, observation] if action_first else [observation, action], value)
    return actor, critic, action


WARM, COLD = ({f"nb_steps_warmup_{name}": steps for name in ("critic", "actor")} for steps in (8, 99))


def build_agent(memory=None, optimizer="sgd", metrics=(), kind=DDPGAgent, action_first=True, late=False, **options):
    keras.utils.set_random_seed(1)
    actor, critic, action = build_models(action_first, late)
    memory = SequentialMemory(200, seed=2) if memory is None else memory
    options = {**WARM, "batch_size": 6, "target_model_update": 0.1, **options}
    agent = kind(2, actor, critic, action, memory, **options)
    agent.compile(optimizer, list(metrics), jit_compile=False)
    return agent


def everything(agent):
    return [array for network in agent.trainables.values() for array in network.get_state()]


def assert_same(one, other):
    for a, b in zip(everything(one), everything(other), strict=True):
        np.testing.assert_array_equal(a, b)
    for name in ("observations", "actions", "rewards", "terminals"):
        np.testing.assert_array_equal(getattr(one.memory, name), getattr(other.memory, name))


# The reference


class Network:
    """Two layers, the first with tanh."""

    def __init__(self, weights, is_bounded):
        self.weights, self.is_bounded = [w.astype(float) for w in weights], is_bounded

    def __call__(self, inputs):
        kernel0, bias0, kernel1, bias1 = self.weights
        self.inputs, self.hidden = inputs, np.tanh(inputs @ kernel0 + bias0)
        self.output = self.hidden @ kernel1 + bias1
        self.output = np.tanh(self.output) if self.is_bounded else self.output
        return self.output

    def gradients(self, of_output):
        """The gradients of the weights and of the inputs, given that of the output."""
        if self.is_bounded:
            of_output = of_output * (1 - self.output**2)
        of_hidden = of_output @ self.weights[2].T * (1 - self.hidden**2)
        of_weights = [
            *(self.inputs.T @ of_hidden, of_hidden.sum(0)),
            *(self.hidden.T @ of_output, of_output.sum(0)),
        ]
        return of_weights, of_hidden @ self.weights[0].T

    def mix(self, other, tau):
        self.weights = [tau * a + (1 - tau) * b for a, b in zip(other.weights, self.weights, strict=True)]


class Reference:
    """DDPG in NumPy, for batches that were drawn by somebody else and with an agent's settings."""

    def __init__(self, agent, optimizers, action_first=True):
        self.actor, self.target_actor = (Network(agent.actor.get_weights(), True) for _ in range(2))
        self.critic, self.target_critic = (Network(agent.critic.get_weights(), False) for _ in range(2))
        self.optimizers, self.action_first, self.agent = optimizers, action_first, agent

    def joined(self, states, actions):
        return np.concatenate([actions, states] if self.action_first else [states, actions], 1)

    def train_critic(self, states0, states1, actions, rewards, discounts, importance):
        values1 = self.target_critic(self.joined(states1, self.target_actor(states1)))[:, 0]
        targets = rewards + discounts * values1
        values = self.critic(self.joined(states0, actions))[:, 0]
        errors = targets - values
        clipped = np.clip(errors, -self.agent.delta_clip, self.agent.delta_clip)
        loss = (importance * clipped * (errors - clipped / 2)).mean()
        gradients, _ = self.critic.gradients(-(importance * clipped)[:, None] / len(errors))
        self.optimizers[1].apply(self.critic.weights, gradients)
        if self.agent.target_model_update < 1:
            self.target_critic.mix(self.critic, self.agent.target_model_update)
        return [loss, np.abs(errors).mean(), values.mean()], errors

    def train_actor(self, states0):
        self.critic(self.joined(states0, self.actor(states0)))
        _, of_inputs = self.critic.gradients(np.full((len(states0), 1), -1 / len(states0)))
        gradients, _ = self.actor.gradients(of_inputs[:, :2] if self.action_first else of_inputs[:, 2:])
        self.optimizers[0].apply(self.actor.weights, gradients)
        if self.agent.target_model_update < 1:
            self.target_actor.mix(self.actor, self.agent.target_model_update)

    def learn(self, sample, errors, trains_critic, trains_actor):
        """Learn from what was drawn, compare the errors that the memory was told, and return the mean metrics."""
        metrics = []
        for i in range(self.agent.gradient_steps):
            rows = slice(self.agent.batch_size * i, self.agent.batch_size * (i + 1))
            states0, states1 = sample.frames[0][rows, 0].astype(float), sample.frames[0][rows, -1].astype(float)
            if trains_critic:
                importance = 1.0 if sample.weights is None else sample.weights[rows]
                others = sample.actions[rows], sample.rewards[rows], sample.discounts[rows]
                values, found = self.train_critic(states0, states1, *others, importance)
                metrics.append(values)
                if errors is not None:
                    np.testing.assert_allclose(errors[rows], found, 1e-3, 1e-5)
            if trains_actor:
                self.train_actor(states0)
        return np.mean(metrics, 0) if metrics else [np.nan] * 3

    def copy(self):
        self.target_actor.mix(self.actor, 1.0)
        self.target_critic.mix(self.critic, 1.0)

    def assert_equal(self, agent):
        for name in ("actor", "critic", "target_actor", "target_critic"):
            for one, other in zip(getattr(agent, name).get_weights(), getattr(self, name).weights, strict=True):
                np.testing.assert_allclose(one, other, 1e-3, 1e-5)


class Noise:
    """A random process that remembers what it gave."""

    def reset_states(self):
        self.rng = np.random.RandomState(0)

    def sample(self):
        self.last = self.rng.normal(size=2)
        return self.last


class Watched(DDPGAgent):
    """Compares each step with a reference."""

    nb_trained, discounts = 0, frozenset()

    def backward(self, reward, terminal):
        chosen = self.reference.actor(self.recent_observation[None].astype(float))[0]
        if self.random_process is not None:
            chosen += self.random_process.last
        np.testing.assert_allclose(self.recent_action, chosen, 1e-4, 1e-5)
        metrics = super().backward(reward, terminal)
        trains = self.step > self.nb_steps_warmup_critic, self.step > self.nb_steps_warmup_actor
        expected = [np.nan] * 3
        assert bool(self.memory.drawn) == (any(trains) and self.step % self.train_interval == 0)
        if self.memory.drawn:
            errors = self.memory.errors.pop() if self.memory.errors else None
            sample = self.memory.drawn.pop()
            self.discounts |= set(sample.discounts)
            expected = self.reference.learn(sample, errors, *trains)
            self.nb_trained += 1
        np.testing.assert_allclose(metrics, expected, 1e-3, 1e-5)
        if self.target_model_update >= 1 and self.step % self.target_model_update == 0:
            self.reference.copy()
        return metrics


CHOICES = {
    "target_model_update": [0.1, 3, 1],
    "delta_clip": [np.inf, 0.3],
    "n_step": [1, 3],
    "weighted": [False, True],
    "gradient_steps": [1, 2],
    "clipnorm": [None, 0.05],
    "optimizers": [1, 2],
    "warm": [(8, 8), (8, 12), (12, 8)],
    "action_first": [True, False],
}


@pytest.mark.parametrize("chosen", [*combinations(CHOICES)], ids=lambda chosen: "-".join(map(str, chosen.values())))
def test_everything_is_what_it_is_in_numpy(chosen):
    first = chosen["action_first"]
    optimizers = [Optimizer(0.05, chosen["clipnorm"]) for _ in range(2)]
    if chosen["optimizers"] == 2:
        optimizers[0] = Optimizer(0.003, chosen["clipnorm"], is_adam=True)
    of_keras = [optimizer.of_keras() for optimizer in optimizers[: chosen["optimizers"]]]
    memory = recording(PrioritizedMemory if chosen["weighted"] else SequentialMemory)
    agent = build_agent(
        memory, of_keras if len(of_keras) > 1 else of_keras[0], ["mae"], Watched, action_first=first, gamma=0.9,
        nb_steps_warmup_critic=chosen["warm"][0], nb_steps_warmup_actor=chosen["warm"][1], random_process=Noise(),
        **{name: chosen[name] for name in ("target_model_update", "delta_clip", "n_step", "gradient_steps")},
    )  # fmt: skip
    agent.reference = Reference(agent, optimizers, first)
    train(agent, 17)
    assert agent.nb_trained >= 8
    agent.reference.assert_equal(agent)


# By hand


class Unlimited(Env):
    """Without the time limit, at which Keras-RL's own code takes the last state for worthless."""

    def step(self, action):
        observation, reward, ended, limited, info = super().step(action)
        return observation, reward, ended or limited, False, info


@pytest.mark.long
@pytest.mark.parametrize(
    "chosen", [{"nb_steps_warmup_actor": 11}, pytest.param({"target_model_update": 3}, marks=pytest.mark.long)]
)
def test_a_copy_of_keras_rls_backward_learns_the_same(chosen):
    original = rl.agents.DDPGAgent.backward
    copied = types.FunctionType(original.__code__, {"np": np, "__name__": "script"}, "backward", (False,))
    results = []
    for kind in (DDPGAgent, type("Copied", (DDPGAgent,), {"backward": copied})):
        agent, steps = build_agent(kind=kind, metrics=["mae"], optimizer="adam", **chosen), Steps()
        agent.fit(Unlimited(), 14, verbose=0, callbacks=[steps], seed=5)
        results.append([*agent.get_weights(), *agent.target_actor.get_weights(), *agent.target_critic.get_weights()])
        results[-1].append(np.array(steps.metrics))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, 1e-2, 1e-4)
    states = np.ones((3, 1, 2), np.float32)
    before = agent.actor.predict_on_batch(states)
    (actions,) = agent.actor_train_fn([states, True])  # with a learning phase, as in keras-rl 0.4.2
    np.testing.assert_allclose(actions, before, 1e-5, 1e-6)
    assert agent.uses_learning_phase is False and (agent.actor.predict_on_batch(states) != before).any()


# What a step does


def test_it_is_keras_rls_class_with_its_arguments_and_metrics():
    agent = build_agent(metrics=["mae"], processor=rl.core.Processor())
    assert isinstance(agent, rl.agents.DDPGAgent) and isinstance(agent, Agent)
    assert agent.metrics_names == ["loss", "mae", "mean_q"] and agent.critic_action_input_idx == 0
    assert [layer.name for layer in agent.layers] == [
        layer.name for m in (agent.actor, agent.critic) for layer in m.layers
    ]
    actor, critic, action = build_models()
    by_position = DDPGAgent(2, actor, critic, action, SequentialMemory(20), 0.9, 7, 3, 4, 5, 6, None, 0.5, None, {}, 8)
    names = ("gamma", "batch_size", "nb_steps_warmup_critic", "nb_steps_warmup_actor", "train_interval")
    names += ("memory_interval", "delta_clip", "target_model_update")
    assert [getattr(by_position, name) for name in names] == [0.9, 7, 3, 4, 5, 6, 0.5, 8]
    usual = DDPGAgent(nb_actions=2, actor=actor, critic=critic, critic_action_input=action, memory=SequentialMemory(20))
    assert [getattr(usual, name) for name in names] == [0.99, 32, 1000, 1000, 1, 1, np.inf, 0.001]


@pytest.mark.long
def test_a_training_step_is_one_call(monkeypatch):
    nb_calls, call = [0], CompiledCalls.__call__
    monkeypatch.setattr(
        CompiledCalls, "__call__", lambda *args: (nb_calls.__setitem__(0, nb_calls[0] + 1), call(*args))[1]
    )
    agent = build_agent(random_process=GaussianWhiteNoiseProcess(size=2))
    train(agent, 15)  # three episodes
    nb_calls[0] = 0
    agent.nb_steps_warmup = 0
    steps = train(agent, 30)
    assert np.isfinite([values[0] for values in steps.metrics]).sum() == 29
    # The steps that train, one more where each of six episodes is left, and the actions that nothing foresees: those at
    # the start of an episode and the one after the only step that did not train.
    assert nb_calls[0] == 29 + 6 + 6 + 1


@pytest.mark.xla
@pytest.mark.long
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not count how often a thread waits")
def test_a_training_step_does_not_wait_for_another_thread():
    """As it does if too many operations of an actor and a critic of four layers could start at once."""
    import resource

    action, both = keras.Input((2,)), keras.Input((1, 2))
    hidden, actor_hidden = layers.Concatenate()([action, layers.Flatten()(both)]), layers.Flatten()(both)
    for _ in range(3):
        hidden, actor_hidden = layers.Dense(8, "relu")(hidden), layers.Dense(8, "relu")(actor_hidden)
    critic, actor = (
        keras.Model([action, both], layers.Dense(1)(hidden)),
        keras.Model(both, layers.Dense(2)(actor_hidden)),
    )
    agent = DDPGAgent(2, actor, critic, action, SequentialMemory(200), **WARM)
    agent.compile("sgd", jit_compile=True)
    train(agent, 50)
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
    train(agent, 200)
    assert resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before < 100


@pytest.mark.long
def test_noise_is_drawn_in_training_alone_and_what_was_chosen_is_stored():
    agent = build_agent(random_process=OrnsteinUhlenbeckProcess(theta=0.15, sigma=0.3, size=2), **COLD)
    steps = train(agent, 12)
    np.random.seed(5)
    twin, observation = OrnsteinUhlenbeckProcess(theta=0.15, sigma=0.3, size=2), np.array([0.5, -0.3], np.float32)
    np.random.seed(5)
    for length, start in ((3, 0), (7, 3)):
        twin.reset_states()
        seen = [observation, *steps.observations[start : start + length]]
        for i in range(length + 1):
            expected = agent.actor.predict_on_batch(seen[i][None, None])[0] + twin.sample().astype(np.float32)
            if i < length:
                np.testing.assert_allclose(steps.actions[start + i], expected, 1e-5, 1e-6)
    assert agent.memory.actions.dtype == np.float32 and agent.memory.actions.shape == (15, 2)
    np.testing.assert_array_equal(agent.memory.actions[[0, 1, 2, 4]], steps.actions[:4])
    played = Steps()
    agent.test(Env(), 1, visualize=False, verbose=0, callbacks=[played])
    np.testing.assert_allclose(played.actions[0], agent.actor.predict_on_batch(observation[None, None])[0], 1e-5, 1e-6)


@pytest.mark.long
def test_what_becomes_of_an_action_outside_is_not_stored():
    class Clipping(rl.core.Processor):
        def process_action(self, action):
            action *= 100  # in place, as some do
            return np.clip(action, -0.1, 0.1)

    agent = build_agent(processor=Clipping(), random_process=GaussianWhiteNoiseProcess(sigma=0.5, size=2))
    agent.nb_random_steps = 6
    steps = train(agent, 12)
    assert 0.1 < np.abs(agent.memory.actions[:5]).max() <= 1
    assert np.abs(steps.actions).max() == np.float32(0.1) and 0.1 < np.abs(agent.memory.actions).max() < 5


def test_a_time_limit_keeps_the_last_states_value():
    memory = recording(SequentialMemory)
    agent = build_agent(memory, gamma=0.9)
    train(agent, 60)
    discounts = np.concatenate([sample.discounts for sample in memory.drawn])
    ends = {tuple(sample.frames[0][i, -1]) for sample in memory.drawn for i in np.flatnonzero(sample.discounts == 0)}
    assert set(discounts) == {0.0, 0.9} and ends
    limited = memory.terminals & ~memory._terminated[: memory.nb_entries]
    assert limited.sum() >= 3
    assert not ends & {tuple(memory.observations[i + 1]) for i in np.flatnonzero(limited)}


LATER = {
    10: {"gamma": 0.5},
    11: {"batch_size": 7, "delta_clip": 0.05, "target_model_update": 3},
    15: {"train_interval": 2},
    19: {"train_interval": 1, "nb_steps_warmup_actor": 30},
    22: {"nb_steps_warmup_actor": 8, "random_process": None},
    **dict(zip((23, 24, 25, 26), ("actor", "critic", "target_actor", "target_critic"), strict=True)),
}


@pytest.mark.long
def test_what_is_set_later_or_written_into_a_model_counts():
    """The reference does as the agent says; so it fails if the agent does not."""

    def halve(agent, name):
        model, mine = getattr(agent, name), getattr(agent.reference, name)
        model.set_weights([w / 2 for w in model.get_weights()])
        mine.weights = [w / 2 for w in mine.weights]

    changes = {
        step: change if isinstance(change, dict) else functools.partial(halve, name=change)
        for step, change in LATER.items()
    }
    memory = recording(SequentialMemory)
    agent = build_agent(memory, keras.optimizers.SGD(0.05), ["mae"], Watched, random_process=Noise(), gamma=0.9)
    agent.reference = Reference(agent, [Optimizer(0.05), Optimizer(0.05)])
    train(agent, 32, changes)
    assert agent.nb_trained >= 25 and agent.discounts == {0.0, 0.9, 0.5}
    agent.reference.assert_equal(agent)


@pytest.mark.long
def test_what_asks_for_each_action_and_for_frames_learns_the_same():
    class Asked(DDPGAgent):
        def select_action(self, state):
            return super().select_action(state)

    process = functools.partial(GaussianWhiteNoiseProcess, size=2)
    agents = (
        build_agent(random_process=process()),
        build_agent(recording(SequentialMemory), kind=Asked, random_process=process()),
    )
    one, other = (train(agent, 15) for agent in agents)
    np.testing.assert_allclose(one.metrics, other.metrics, 1e-4, 1e-6)
    np.testing.assert_allclose(one.actions, other.actions, 1e-4, 1e-6)


@pytest.mark.parametrize(
    ("name", "value"), [("train_interval", 0), ("memory_interval", 0), ("n_step", 0), ("target_model_update", -1)]
)
def test_a_setting_that_cannot_be_is_refused_when_it_is_changed(name, value):
    with pytest.raises(UserError, match=f"{name} must be"):
        train(build_agent(**COLD), 20, {12: {name: value}})


@pytest.mark.long
def test_loops_of_ones_own_train():
    """As in scripts that call forward and backward themselves."""
    agent, env = build_agent(random_process=GaussianWhiteNoiseProcess(size=2)), Env()
    agent.training = True
    before, observation = agent.get_weights(), env.reset()[0]
    for agent.step in range(15):
        observation, reward, terminated, truncated, _ = env.step(agent.forward(observation))
        metrics = agent.backward(reward, terminal=terminated or truncated)
        if terminated or truncated:
            observation = env.reset()[0]
    assert np.isfinite(metrics).all()
    assert not any(map(np.array_equal, before, agent.get_weights()))
    action = agent.actor.predict_on_batch(observation[None, None])[0]
    np.testing.assert_allclose(agent.act(observation), action, 1e-5)


# Models


class Parts(Env):
    """The same in two parts, by name or in a list."""

    def __init__(self, by_name):
        super().__init__()
        self.by_name = by_name

    def parts(self, observation):
        near, far = observation[:1], observation[1:]
        return {"near": near, "far": far} if self.by_name else [near, far]

    def reset(self, seed=None):
        return self.parts(super().reset()[0]), {}

    def step(self, action):
        observation, *rest = super().step(action)
        return self.parts(observation), *rest


@pytest.mark.long
@pytest.mark.parametrize("by_name", [True, False])
def test_several_inputs_and_the_action_between_them(by_name):
    """In a dictionary by name, whatever the order; in a list in order, as Keras-RL's MultiInputProcessor makes them."""
    inputs = [keras.Input((2, 1), name=name) for name in ("near", "far")]
    actor = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(layers.Concatenate()(inputs))))
    names = ("far", "near") if by_name else ("a", "b")
    first, second = (keras.Input((2, 1), name=name) for name in names)
    action, near = keras.Input((2,)), second if by_name else first
    newest = layers.Dense(1, kernel_initializer="ones")(near[:, 1])  # what is learned is no matter at a rate of 0
    rest = layers.Concatenate()([action, *map(layers.Flatten(), (first, second))])
    nothing = layers.Dense(1, kernel_initializer="zeros")(rest)
    critic = keras.Model([first, action, second], newest + nothing)
    process = None if by_name else rl.processors.MultiInputProcessor(nb_inputs=2)
    memory = recording(SequentialMemory, window_length=2)
    agent = DDPGAgent(2, actor, critic, action, memory, batch_size=4, **WARM, processor=process)
    agent.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    assert agent.critic_action_input_idx == 1
    steps = Steps()
    agent.fit(Parts(by_name), 12, verbose=0, callbacks=[steps])
    sample = memory.drawn[-1]
    assert steps.metrics[-1][1] == pytest.approx(sample.frames[1 if by_name else 0][:, 1].mean(), rel=1e-5)


@pytest.mark.long
def test_the_action_may_join_after_the_first_layer():
    agent = build_agent(late=True)
    before = agent.get_weights()
    assert np.isfinite(train(agent, 12).metrics[-1]).all()
    assert not any(map(np.array_equal, before, agent.get_weights()))


@pytest.mark.long
@pytest.mark.parametrize(
    "types", [("float64", "float32"), ("float32", "float64"), ("mixed_bfloat16", "float32")], ids=str
)
def test_actor_and_critic_may_compute_in_types_of_their_own(types):
    losses, values = [], None
    for actor_type, critic_type in (("float32", "float32"), types):
        action, state = keras.Input((2,)), keras.Input((1, 2))
        actor = keras.Model(state, layers.Dense(2, dtype=actor_type)(layers.Flatten()(state)))
        both = layers.Concatenate()([action, layers.Flatten()(state)])
        critic = keras.Model([action, state], layers.Dense(1, dtype=critic_type)(both))
        values = values or [network.get_weights() for network in (actor, critic)]
        for network, weights_ in zip((actor, critic), values, strict=True):
            network.set_weights(weights_)
        agent = DDPGAgent(2, actor, critic, action, SequentialMemory(200), **WARM)
        agent.compile("sgd", jit_compile=False)
        losses.append([metrics[0] for metrics in train(agent, 14).metrics[9:]])
    np.testing.assert_allclose(losses[0], losses[1], rtol=0.1)


@pytest.mark.xla
@pytest.mark.long
def test_layers_of_all_kinds_learn_together():
    state, action = keras.Input((3, 2)), keras.Input((2,))
    x = layers.Dropout(0.2)(layers.LayerNormalization()(layers.Conv1D(3, 2)(state)))
    x = layers.BatchNormalization()(layers.Dense(4, "relu", kernel_regularizer="l2")(layers.Flatten()(x)))
    actor = keras.Model(state, layers.Rescaling(2.0)(layers.Dense(2, "tanh")(x)))
    seen = keras.Input((3, 2))
    x = layers.Concatenate()([layers.GRU(3)(seen), layers.Dense(3, kernel_constraint="non_neg")(action)])
    critic = keras.Model([seen, action], layers.Dense(1)(x))
    agent = DDPGAgent(2, actor, critic, action, SequentialMemory(50, window_length=3), batch_size=4, **WARM)
    agent.compile(keras.optimizers.Adam(0.01, clipnorm=1.0))
    before = agent.get_weights()
    train(agent, 14)
    same = [np.array_equal(*pair) for pair in zip(before, agent.get_weights(), strict=True)]
    assert not any(same)


@pytest.mark.long
def test_optimizers():
    given = keras.optimizers.Adam(0.01, clipnorm=0.5)
    agent = build_agent(optimizer=given)
    both = agent.actor_optimizer, agent.critic_optimizer
    assert both[0] is given and both[1] is not given and [o.clipnorm for o in both] == [0.5, 0.5]
    assert [type(o).__name__ for o in both] == ["Adam", "Adam"]
    agent = build_agent(optimizer=(given, "rmsprop"))
    assert agent.actor_optimizer is not given  # which has trained another network
    assert type(agent.critic_optimizer) is keras.optimizers.RMSprop
    agent.actor_optimizer.learning_rate = 0.0
    before = agent.actor.get_weights()
    train(agent, 12)
    assert all(map(np.array_equal, before, agent.actor.get_weights()))
    agent = build_agent(optimizer=["sgd", "sgd"], metrics=[["mse"], ["mae"]])
    assert agent.metrics_names == ["loss", "mae", "mean_q"]


def test_a_deprecated_range_of_errors(noted):
    with noted("delta_clip=2.0"):
        assert build_agent(delta_range=(-2.0, 2.0)).delta_clip == 2.0


def parts(**changes):
    actor, critic, action = build_models()
    return {"nb_actions": 2, "actor": actor, "critic": critic, "critic_action_input": action} | changes


def critic_of(*shapes, outputs=1):
    inputs = [keras.Input(shape) for shape in shapes]
    joined = layers.Concatenate()([layers.Flatten()(tensor) for tensor in inputs]) if len(inputs) > 1 else inputs[0]
    model = keras.Model(inputs if len(inputs) > 1 else inputs[0], layers.Dense(outputs)(joined))
    return {"critic": model, "critic_action_input": inputs[0]}


def shared():
    state, action, layer = keras.Input((2,)), keras.Input((2,)), layers.Dense(2)
    critic = keras.Model([action, state], layers.Dense(1)(layers.Concatenate()([action, layer(state)])))
    return {"actor": keras.Model(state, layer(state)), "critic": critic, "critic_action_input": action}


WRONG = {
    "no action input": lambda: {"critic_action_input": keras.Input((2,), name="action")},
    "only an action input": lambda: critic_of((2,)),
    "actions": lambda: {"nb_actions": 3},
    "action input": lambda: critic_of((3,), (1, 2)),
    "values": lambda: critic_of((2,), (1, 2), outputs=2),
    "observations": lambda: critic_of((2,), (1, 3)),
    "more inputs": lambda: critic_of((2,), (1, 2), (1, 2)),
    "window": lambda: {"memory": SequentialMemory(50, window_length=3)},
    "memory": lambda: {"memory": rl.memory.EpisodeParameterMemory(10, window_length=1)},
    "batch": lambda: {"batch_size": 0},
    "target": lambda: {"target_model_update": -0.1},
    "shared layers": shared,
    "a stateful layer": lambda: {
        "actor": keras.Sequential([keras.Input((1, 2), batch_size=1), layers.LSTM(2, stateful=True)])
    },
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_go_together_is_refused(name, refused):
    with refused(error=ValueError, varying=r"(?<=functional_)\d+|(?<=keras_tensor_)\d+"):
        DDPGAgent(**{"memory": SequentialMemory(50)} | parts(**WRONG[name]()))


@pytest.mark.parametrize("optimizer", [["sgd"] * 3, "sdg", []], ids=str)
def test_a_wrong_optimizer_is_refused(optimizer, refused):
    with refused():
        build_agent(optimizer=optimizer)


def test_noise_of_another_size_is_refused(refused):
    with refused("size=2"):
        train(build_agent(random_process=GaussianWhiteNoiseProcess(size=1)))


def test_a_compile_without_ours_is_refused_by_name(refused):
    class Own(DDPGAgent):
        def compile(self, optimizer, metrics=(), jit_compile=False):
            self.target_actor, self.target_critic, self.compiled = self.actor, self.critic, True

    with refused("Own.compile", "super().compile"):
        train(build_agent(kind=Own))


def test_random_actions():
    agent, env = build_agent(), Env()
    actions = [agent.random_action(env) for _ in range(20)]
    assert np.shape(actions) == (20, 2) and -1 <= np.min(actions) < 0 < np.max(actions) <= 1
    env.action_space = types.SimpleNamespace()
    env.action_space.sample = lambda: np.array([[3.0], [4.0]])
    assert agent.random_action(env).tolist() == [3.0, 4.0]
    env.action_space.sample = lambda: {"left": 1.0, "right": 2.0}
    assert agent.random_action(env).shape == (2,)


# Weights


def change_weights(agent):
    for model in (agent.actor, agent.critic):
        model.set_weights([w + np.random.normal(size=w.shape) for w in model.get_weights()])


def test_weights_are_a_pair(tmp_path):
    agent, other = build_agent(metadata={"made": "here"}), build_agent()
    change_weights(agent)
    agent.save_weights(tmp_path / "w.h5f")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w_actor.h5f", "w_critic.h5f"]
    of_parts = [weights.read(tmp_path / f"w_{part}.h5f").metadata for part in ("actor", "critic")]
    assert of_parts == [{"made": "here"}] * 2
    for name in ("w.h5f", "w_critic.h5f"):
        other.load_weights(tmp_path / name)
        for model in ("actor", "critic"):
            for target in ("", "target_"):
                found = getattr(other, target + model).get_weights()
                assert all(map(np.array_equal, found, getattr(agent, model).get_weights()))
        change_weights(other)
    with pytest.raises(FileExistsError, match=r"w_critic.h5f exists"):
        (tmp_path / "w_actor.h5f").unlink()
        agent.save_weights(str(tmp_path / "w.h5f"))
    agent.save_weights(str(tmp_path / "w.h5f"), overwrite=True)


@pytest.mark.long
def test_what_is_written_to_the_scripts_own_actor_counts_also_if_the_agent_is_asked_before_it_acts():
    agent = build_agent(nb_steps_warmup_critic=3, nb_steps_warmup_actor=3)
    own = agent._model  # which the script has made

    def write(agent):
        own.set_weights([np.zeros_like(w) for w in own.get_weights()])
        agent.select_action([np.ones(2, np.float32)])

    assert not train(agent, 16, {12: write}).actions[12].any()


def test_a_pair_that_was_not_written_together_is_refused(tmp_path, refused):
    agent, other = build_agent(metadata=dataclasses.asdict(DDPGConfig())), build_agent()
    agent.save_weights(tmp_path / "w.h5f")
    first = (tmp_path / "w_actor.h5f").read_bytes()
    agent.save_weights(tmp_path / "w.h5f", overwrite=True)
    assert (tmp_path / "w_actor.h5f").read_bytes() == first
    change_weights(agent)
    agent.save_weights(tmp_path / "w.h5f", overwrite=True)
    (tmp_path / "w_actor.h5f").write_bytes(first)  # as if it had been killed before it was written
    before = other.get_weights()
    with refused("w_actor.h5f", "w_critic.h5f", error=WeightsError):
        other.load_weights(tmp_path / "w.h5f")
    assert all(map(np.array_equal, before, other.get_weights()))
    with refused("w_actor.h5f", "w_critic.h5f", error=WeightsError):
        find(PlayConfig(str(tmp_path / "w.h5f")), OwnParts(), "play")


@pytest.mark.long
def test_weights_that_were_kept_can_be_written_later(tmp_path):
    agent, other = build_agent(), build_agent()
    kept = agent.get_weights()
    change_weights(agent)
    agent.write_weights(tmp_path / "w.h5f", kept)
    change_weights(other)
    other.load_weights(tmp_path / "w.h5f")
    assert all(map(np.array_equal, kept, other.get_weights()))


def test_a_pair_of_keras_rls_is_read(tmp_path):
    """HDF5 as Keras 2 wrote it."""
    agent, other = build_agent(), build_agent()
    change_weights(agent)
    for name in ("actor", "critic"):
        model = getattr(agent, name)
        with h5py.File(tmp_path / f"old_{name}.h5f", "w") as file:
            file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
            for layer in model.layers:
                group, variables = file.create_group(layer.name), layer.weights
                group.attrs["weight_names"] = [f"{layer.name}/{v.name}:0".encode() for v in variables]
                for variable in variables:
                    group[f"{layer.name}/{variable.name}:0"] = np.asarray(variable)
    other.load_weights(tmp_path / "old.h5f")
    assert all(map(np.array_equal, agent.get_weights(), other.get_weights()))


def checkpoint(children):
    """What TensorFlow keeps of objects by name."""
    node = tf.train.Checkpoint()
    for name, child in children.items():
        setattr(node, name, child)
    return node


@pytest.mark.long
def test_a_pair_of_keras_rl2s_checkpoints_is_read_whichever_name_is_given(tmp_path):
    agent, other = build_agent(), build_agent()
    change_weights(agent)
    for name in ("actor", "critic"):
        of_layers = [layer for layer in getattr(agent, name).layers if layer.weights]
        parts = [{"kernel": tf.Variable(layer.kernel), "bias": tf.Variable(layer.bias)} for layer in of_layers]
        root = {f"layer_with_weights-{i}": checkpoint(part) for i, part in enumerate(parts)}
        checkpoint(root).write(str(tmp_path / f"old_{name}.h5f"))
    for name in ("old.h5f", "old_actor.h5f", "old_critic.h5f.index"):
        change_weights(other)
        other.load_weights(tmp_path / name)
        assert all(map(np.array_equal, agent.get_weights(), other.get_weights()))
        found = find(PlayConfig(str(tmp_path / name)), OwnParts(), "play")
        assert found.config.agent == "ddpg" and len(found.content.layers) == 4
    (tmp_path / "old_actor.h5f.index").unlink()
    with pytest.raises(WeightsError, match=r"no weights file .*/old_actor\.h5f"):
        other.load_weights(tmp_path / "old.h5f")


@pytest.mark.parametrize("part, other", [("actor", "critic"), ("critic", "actor")])
def test_what_is_missing_of_a_pair_is_named(tmp_path, part, other):
    agent = build_agent()
    agent.save_weights(tmp_path / "w.h5f")
    (tmp_path / f"w_{other}.h5f").unlink()
    for name in ("w.h5f", f"w_{part}.h5f"):
        with pytest.raises(WeightsError, match=rf"no weights file .*/w_{other}\.h5f"):
            agent.load_weights(tmp_path / name)


@pytest.mark.long
def test_weights_that_do_not_fit_or_are_missing_are_refused(tmp_path, refused):
    agent, other = build_agent(late=True), build_agent()
    agent.save_weights(tmp_path / "w.h5f")
    before = other.get_weights()
    with refused("another network's", error=WeightsError):
        other.load_weights(tmp_path / "w.h5f")
    assert all(map(np.array_equal, before, other.get_weights()))
    (tmp_path / "w_critic.h5f").unlink()
    with refused("w_critic.h5f", error=WeightsError):
        other.load_weights(tmp_path / "w.h5f")


# Exactly


class Killed(Exception):
    pass


class Decaying(Steps):
    """Lowers the noise from outside, as scripts do, and plays in between; may end a training at once."""

    def __init__(self, plays=False, killed_at=None):
        super().__init__()
        self.plays, self.killed_at = plays, killed_at

    def on_episode_end(self, episode, logs):
        self.model.random_process.sigma *= 0.9
        self.model.random_process.sigma_min = self.model.random_process.sigma
        if self.plays:
            self.model.test(Env(), 2, visualize=False, verbose=0)

    def on_step_end(self, step, logs):
        super().on_step_end(step, logs)
        if self.model.step == self.killed_at:
            raise Killed


def fit(folder, nb_steps, resume=False, seed=3, **options):
    process = OrnsteinUhlenbeckProcess(theta=0.15, sigma=0.5, dt=0.1, size=2, sigma_min=0.1, n_steps_annealing=100)
    memory = PrioritizedMemory(100, window_length=1)
    agent = build_agent(memory, keras.optimizers.Adam(0.01, clipnorm=1.0), random_process=process)
    state = TrainingState(folder, interval=8)
    callback = Decaying(**options)
    agent.fit(Env(is_seeded=True), nb_steps, verbose=0, seed=seed, callbacks=[callback], state=state, resume=resume)
    return agent, callback


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return fit(tmp_path_factory.mktemp("whole") / "state", 40)


def test_a_resume_after_a_kill_is_exact(whole, tmp_path):
    with pytest.raises(Killed):
        fit(tmp_path / "state", 40, killed_at=27)
    resumed, _ = fit(tmp_path / "state", 40, resume=True)
    assert_same(resumed, whole[0])
    one, other = (vars(agent.random_process) for agent in (resumed, whole[0]))
    assert one.keys() == other.keys() and one["n_steps"] == other["n_steps"] > 40
    assert all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.long
def test_tests_in_between_leave_a_training_as_it_was(whole, tmp_path):
    other, steps = fit(tmp_path / "state", 40, plays=True)
    assert_same(other, whole[0])
    np.testing.assert_array_equal(steps.actions, whole[1].actions)


@pytest.mark.long
def test_another_seed_gives_other_bits(whole, tmp_path):
    other, _ = fit(tmp_path / "state", 12, seed=4)
    assert not np.array_equal(other.memory.actions[:9], whole[0].memory.actions[:9])
