"""What `fit(state=...)` keeps besides what train.py needs."""

import signal

import keras
import numpy as np
import pytest
import rl.callbacks
import rl.core
from rl.policy import BoltzmannGumbelQPolicy, EpsGreedyQPolicy, Policy
from rl.processors import WhiteningNormalizerProcessor

from kerasrl import DQNAgent, SequentialMemory, UserError, environments, signals
from kerasrl.callbacks import ModelIntervalCheckpoint
from kerasrl.signals import StopOnSignal
from kerasrl.storage import TrainingState
from model import build_model


class Count(rl.callbacks.Callback):
    """Counts steps, across a resume too."""

    def __init__(self):
        super().__init__()
        self.nb_steps = 0

    def on_step_end(self, step, logs):
        self.nb_steps += 1

    def get_state(self):
        return {"nb_steps": self.nb_steps}

    def set_state(self, state):
        self.nb_steps = state["nb_steps"]


class Noise(rl.core.Processor):
    """Adds noise from a generator of its own and counts in an attribute."""

    def __init__(self):
        self.rng, self.nb_seen = np.random.default_rng(0), 0

    def process_observation(self, observation):
        self.nb_seen += 1
        return observation + self.rng.normal(size=4).astype(np.float32) / 100


def fit(path, nb_steps, resume=False, processor=None, policy=None, callbacks=(), limit=300, model=None):
    keras.utils.set_random_seed(1)
    agent = DQNAgent(
        model=model or build_model(4, 2, (4,)),
        policy=policy or EpsGreedyQPolicy(),
        nb_actions=2,
        memory=SequentialMemory(limit),
        processor=processor,
        nb_steps_warmup=20,
    )
    agent.compile(keras.optimizers.Adam(0.01))
    state = TrainingState(path, interval=50)
    env = environments.make("CartPole-v0")
    agent.fit(env, nb_steps, verbose=0, seed=5, callbacks=list(callbacks), state=state, resume=resume)
    return agent.model.get_weights()


@pytest.mark.long
@pytest.mark.parametrize(
    ("processor", "policy"),
    [
        (WhiteningNormalizerProcessor, EpsGreedyQPolicy),
        (Noise, EpsGreedyQPolicy),
        (lambda: None, BoltzmannGumbelQPolicy),
    ],
)
def test_processors_and_policies_go_on_exactly(tmp_path, processor, policy):
    expected = fit(tmp_path / "whole", 400, processor=processor(), policy=policy())
    fit(tmp_path / "parts", 250, processor=processor(), policy=policy())
    resumed = fit(tmp_path / "parts", 400, resume=True, processor=processor(), policy=policy())
    for actual, wanted in zip(resumed, expected, strict=True):
        np.testing.assert_array_equal(actual, wanted)


@pytest.mark.long
def test_callbacks_of_one_class_are_told_apart(tmp_path):
    counts = [Count(), Count()]
    fit(tmp_path / "state", 120, callbacks=counts)
    counts[0].nb_steps, counts[1].nb_steps = 0, 0
    resumed = [Count(), Count()]
    resumed[1].nb_steps = 1000
    fit(tmp_path / "state", 200, resume=True, callbacks=resumed)
    assert [count.nb_steps for count in resumed] == [200, 200]
    with pytest.raises(UserError, match="Count, Count"):
        fit(tmp_path / "state", 300, resume=True, callbacks=[Count()])


def test_what_cannot_be_kept_is_refused(tmp_path):
    class Holder(Policy):
        def __init__(self):
            self.thing = object()

        def select_action(self, q_values):
            return 0

    with pytest.raises(UserError, match=r"Holder\.thing cannot be saved"):
        fit(tmp_path / "state", 50, policy=Holder())


@pytest.mark.long
@pytest.mark.parametrize("limit", [200, 400])
def test_another_memory_is_refused(tmp_path, limit, refused):
    fit(tmp_path / "state", 120)
    with refused("limit"):
        fit(tmp_path / "state", 200, resume=True, limit=limit)


@pytest.mark.long
@pytest.mark.parametrize("nodes", [3, 5])
def test_another_network_is_refused(tmp_path, nodes, refused):
    fit(tmp_path / "state", 120)
    with refused("another network"):
        fit(tmp_path / "state", 200, resume=True, model=build_model(4, 2, (nodes,)))


def test_changes_to_a_model_that_the_caller_holds_take_effect(tmp_path):
    model = build_model(4, 2, (4,))
    agent = DQNAgent(model=model, nb_actions=2, memory=SequentialMemory(50))
    agent.compile("sgd")
    agent.compute_q_values([np.ones(4, np.float32)])
    model.set_weights([np.zeros_like(array) for array in model.get_weights()])
    assert not agent.compute_q_values([np.ones(4, np.float32)]).any()


def test_a_signal_before_the_first_step_counts(tmp_path):
    agent = DQNAgent(model=build_model(4, 2, (4,)), nb_actions=2, memory=SequentialMemory(50))
    agent.compile("sgd")
    with StopOnSignal(agent) as stop:
        stop._stop(2, None)
        history = agent.fit(environments.make("CartPole-v0"), 1000, verbose=0)
    assert (agent.did_abort, history.history) == (True, {})
    agent.fit(environments.make("CartPole-v0"), 30, verbose=0)
    assert (agent.did_abort, agent.step) == (False, 30)


class Timed:
    """Takes 1/16 of a second for each step, of which an episode has so many."""

    def __init__(self, length):
        self.length, self.nb_steps = length, 0

    def reset(self, seed=None):
        return np.zeros(4, np.float32), {}

    def step(self, action):
        self.nb_steps += 1
        return np.zeros(4, np.float32), 1.0, self.nb_steps % self.length == 0, False, {}


@pytest.mark.parametrize(("length", "with_state", "nb_steps"), [(8, True, 16), (100, True, 26), (8, False, 10)])
def test_after_a_signal_an_episode_has_a_second_to_end_if_that_saves_it(
    length, with_state, nb_steps, tmp_path, monkeypatch
):
    class Signal(rl.callbacks.Callback):
        def on_step_end(self, step, logs):
            if self.model.step == 9:  # the tenth
                self.model.stop_training = self.model.did_abort = True

    env = Timed(length)
    monkeypatch.setattr("time.monotonic", lambda: 1 + env.nb_steps / 16)
    agent = DQNAgent(model=build_model(4, 2, (4,)), nb_actions=2, memory=SequentialMemory(50), nb_steps_warmup=1000)
    agent.compile("sgd")
    state = TrainingState(tmp_path / "state") if with_state else None
    agent.fit(env, 1000, callbacks=[Signal()], verbose=0, state=state)
    assert agent.step == nb_steps
    if state is not None:
        assert state.saved_step == (16 if length == 8 else 0)


@pytest.mark.long
def test_checkpoints_are_counted_over_a_resume(tmp_path):
    for nb_steps in (30, 50):
        agent = DQNAgent(model=build_model(4, 2, (4,)), nb_actions=2, memory=SequentialMemory(50), nb_steps_warmup=1000)
        agent.compile("sgd")
        checkpoints = ModelIntervalCheckpoint(str(tmp_path / "weights_{step}.h5f"), 20)
        state = TrainingState(tmp_path / "state", interval=1)
        agent.fit(Timed(10), nb_steps, callbacks=[checkpoints], verbose=0, state=state, resume=nb_steps == 50)
    assert sorted(file.name for file in tmp_path.glob("*.h5f")) == ["weights_20.h5f", "weights_40.h5f"]


def test_a_second_signal_ends_the_process(monkeypatch):
    statuses = []
    monkeypatch.setattr(signals.os, "_exit", statuses.append)
    with StopOnSignal(DQNAgent(model=build_model(4, 2, (4,)), nb_actions=2, memory=SequentialMemory(50))) as stop:
        stop._stop(signal.SIGINT, None)
        assert statuses == []
        stop._stop(signal.SIGINT, None)
    assert statuses == [130]


def test_keras_rls_own_agent_refuses_to_learn_wrongly():
    from rl.agents.dqn import DQNAgent as KerasRLDQNAgent

    agent = KerasRLDQNAgent(build_model(4, 2, (4,)), nb_actions=2, memory=SequentialMemory(50))
    with pytest.raises(RuntimeError, match="from kerasrl import DQNAgent"):
        agent.compile("sgd")
