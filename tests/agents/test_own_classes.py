"""Classes and objects that people make of this project's and Keras-RL's: their ways, their settings, their state."""

import types

import keras
import numpy as np
import pytest
import rl.agents.dqn
import rl.callbacks
import rl.core
import rl.memory
import rl.policy
import rl.processors
from keras import layers

from kerasrl import DQNAgent, PrioritizedMemory, SequentialMemory, UserError
from kerasrl.storage import TrainingState


class Env:
    """A walk from 3 to 0 or 7, with a time limit of 9 steps."""

    def reset(self):
        self.position, self.nb_steps = 3, 0
        return np.array([self.position / 7, 1.0], np.float32), {}

    def step(self, action):
        self.position += 1 if action else -1
        self.nb_steps += 1
        observation = np.array([self.position / 7, 1.0], np.float32)
        return observation, float(self.position), self.position in (0, 7), self.nb_steps == 9, {}


class Endless(Env):
    """Stays where it is until time is up."""

    def step(self, action):
        observation, _, _, truncated, info = super().step(self.nb_steps % 2)
        return observation, 1.0, False, truncated, info


def build_model(window_length=1, nb_actions=2):
    return keras.Sequential([keras.Input((window_length, 2)), layers.Flatten(), layers.Dense(nb_actions)])


def build_agent(kind=DQNAgent, memory=None, optimizer="sgd", metrics=(), **options):
    keras.utils.set_random_seed(1)
    memory = SequentialMemory(200, seed=2) if memory is None else memory
    agent = kind(
        build_model(),
        nb_actions=2,
        memory=memory,
        **{"nb_steps_warmup": 8, "batch_size": 4, "target_model_update": 3} | options,
    )
    agent.compile(optimizer, list(metrics))
    return agent


def own(function):
    """A copy of Keras-RL's code as somebody has it in a script."""
    names = {**vars(rl.agents.dqn), "__name__": "script"}
    return types.FunctionType(function.__code__, names, function.__name__, function.__defaults__)


class Literal(DQNAgent):
    """Keras-RL's own way to act and to learn, copied and perhaps changed, as in many scripts."""

    forward = own(rl.agents.dqn.DQNAgent.forward)
    backward = own(rl.agents.dqn.DQNAgent.backward)


class Losses(rl.callbacks.Callback):
    """The metrics of each step; `changes` are made to the agent after some steps."""

    def __init__(self, changes=None):
        super().__init__()
        self.metrics, self.changes, self.actions = [], changes or {}, []

    def on_step_end(self, step, logs):
        self.metrics.append(logs["metrics"])
        self.actions.append(int(logs["action"]))
        for name, value in self.changes.get(len(self.metrics), {}).items():
            setattr(self.model, name, value)


def train(agent, nb_steps=60, changes=None, seed=5):
    losses = Losses(changes)
    agent.fit(Env(), nb_steps, verbose=0, callbacks=[losses], seed=seed)
    return losses


# What a step does


@pytest.mark.long
def test_keras_rls_own_forward_and_backward_learn_the_same():
    ours, literal = (build_agent(kind, metrics=["mae"], delta_clip=1.0) for kind in (DQNAgent, Literal))
    expected, actual = train(ours), train(literal)
    assert actual.actions == expected.actions and np.isfinite(actual.metrics).sum() > 100
    # The literal one knows no time limits; until the first, all is the same.
    np.testing.assert_allclose(actual.metrics[:20], expected.metrics[:20], 1e-4, 1e-5)


class Halving(rl.core.Processor):
    def process_observation(self, observation):
        return observation / 2


LATER = {
    10: {"gamma": 0.5},
    12: {"batch_size": 7},
    14: {"delta_clip": 0.5},
    16: {"target_model_update": 0.1},
    20: {"enable_double_dqn": True},
    22: {"train_interval": 2},
    26: {"train_interval": 1, "policy": rl.policy.EpsGreedyQPolicy(1.0)},
    28: {"processor": Halving()},
    30: {"target_model_update": 2},
    33: {"nb_steps_warmup": 35},
    40: {"nb_steps_warmup": 50, "memory": SequentialMemory(200, seed=4)},
}


class Short(Env):
    """Without a time limit."""

    def step(self, action):
        *values, _, info = super().step(1 if self.nb_steps % 3 else action)
        return *values, False, info


@pytest.mark.long
def test_settings_that_are_changed_count_from_the_next_step():
    """Beside Keras-RL's own code, which reads them at each step."""

    def trained(kind):
        losses = Losses(LATER)
        agent = build_agent(kind)
        agent.fit(Short(), 80, verbose=0, callbacks=[losses], seed=5)
        return losses, agent.get_weights(), len(agent.memory.actions)

    LATER[40]["memory"] = SequentialMemory(200, seed=4)
    ours, weights, nb_stored = trained(DQNAgent)
    LATER[40]["memory"] = SequentialMemory(200, seed=4)
    literal, expected, nb_expected = trained(Literal)
    differ = [
        step
        for step, pair in enumerate(zip(ours.metrics, literal.metrics, strict=True))
        if not np.allclose(*pair, 1e-3, 1e-5, equal_nan=True)
    ]
    assert ours.actions == literal.actions and nb_stored == nb_expected
    assert not differ
    for one, other in zip(weights, expected, strict=True):
        np.testing.assert_allclose(one, other, 1e-3, 1e-5)


@pytest.mark.long
def test_a_memory_interval_that_is_changed_counts_from_the_next_step():
    agent = build_agent()
    train(agent, 40, {10: {"memory_interval": 1000}})
    nb_ends = int(agent.memory.terminals.sum())
    assert 10 <= agent.memory.nb_entries <= 10 + 2 * nb_ends  # ends are stored whatever the interval


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 0),
        ("delta_clip", 0.0),
        ("target_model_update", -1),
        ("n_step", 0),
        ("gradient_steps", 0),
        ("train_interval", 0),
        ("memory_interval", 0),
        ("memory_interval", float("nan")),
    ],
)
def test_a_setting_that_cannot_be_is_refused_when_it_is_changed(name, value):
    with pytest.raises(UserError, match=f"{name} must be"):
        train(build_agent(), 20, {12: {name: value}})


@pytest.mark.long
def test_test_policy_and_training_count_from_the_next_step():
    agent = build_agent(policy=rl.policy.GreedyQPolicy())

    class Constant(rl.policy.Policy):
        def select_action(self, q_values):
            return 1

    before = train(agent, 10, {5: {"policy": Constant()}}).actions
    assert before[5:] == [1] * 5
    agent.test_policy = Constant()
    assert agent.forward(np.zeros(2, np.float32)) == 1 and agent.act(np.zeros(2, np.float32)) == 1


def test_own_targets_are_learned_from():
    """`train_on_batch` takes targets and masks for all Q-values, as where a script changes Keras-RL's backward."""
    agent = build_agent(optimizer=keras.optimizers.SGD(0.5), target_model_update=0.5)
    state, targets, masks = np.ones((1, 1, 2), np.float32), np.array([[2.0, -1.0]]), np.array([[1.0, 0.0]])
    before = agent.model.predict_on_batch(state)[0]
    losses = [
        agent.trainable_model.train_on_batch([state, targets, masks], [np.zeros(1), targets])[0] for _ in range(30)
    ]
    after, later = agent.model.predict_on_batch(state)[0], agent.target_model.predict_on_batch(state)[0]
    assert losses[0] == pytest.approx((before[0] - 2) ** 2 / 2, rel=1e-5) and losses[-1] < 1e-6
    assert after == pytest.approx([2.0, before[1]], abs=1e-2) and later == pytest.approx(after, abs=1e-2)


@pytest.mark.long
def test_the_learning_rate_can_be_read_and_set_by_either_name():
    agent = build_agent(optimizer=keras.optimizers.Adam(0.01))
    optimizer = agent.trainable_model.optimizer
    assert float(optimizer.lr) == float(optimizer.learning_rate) == pytest.approx(0.01)
    train(agent, 20)
    before = agent.get_weights()
    optimizer.lr = 0.0
    train(agent, 20)
    assert all(map(np.array_equal, before, agent.get_weights()))
    agent.trainable_model.optimizer.learning_rate = 0.1
    assert float(agent.optimizer.learning_rate) == pytest.approx(0.1)
    train(agent, 20)
    assert not all(map(np.array_equal, before, agent.get_weights()))
    with pytest.raises(AttributeError, match=r"no summary, only optimizer"):
        agent.trainable_model.summary()


@pytest.mark.long
def test_a_load_calls_the_hard_update_that_somebody_has_overridden(tmp_path):
    calls = []

    class Own(DQNAgent):
        def update_target_model_hard(self):
            calls.append(self.step)
            super().update_target_model_hard()

    agent = build_agent(Own, target_model_update=1)
    agent.save_weights(tmp_path / "w.h5f")
    agent.load_weights(tmp_path / "w.h5f")
    train(agent, 12)
    # At each step, even if the compiled call could take care of it, and once more where the last episode is left.
    assert calls[0] == 0 and sorted(set(calls[1:])) == list(range(13))


# Constructors and `compile`


@pytest.mark.long
def test_a_subclass_may_call_the_constructor_after_dqnagents():
    class Own(DQNAgent):
        def __init__(self, model, *args, **kwargs):
            super(DQNAgent, self).__init__(*args, **kwargs)
            self.enable_double_dqn, self.enable_dueling_network, self.dueling_type = True, False, "avg"
            self.model = model
            self.policy, self.test_policy = rl.policy.EpsGreedyQPolicy(), rl.policy.GreedyQPolicy()
            self.reset_states()

    agent, usual = build_agent(Own), build_agent(enable_double_dqn=True)
    assert isinstance(agent, rl.agents.DQNAgent) and agent.get_config().keys() == usual.get_config().keys()
    assert train(agent).actions == train(usual).actions
    assert all(map(np.array_equal, agent.get_weights(), usual.get_weights()))


def test_a_compile_without_ours_is_refused_by_name(refused):
    class Own(DQNAgent):
        def compile(self, optimizer, metrics=()):
            self.trainable_model = self.target_model = None
            self.compiled = True

    with refused("Own.compile", "super().compile"):
        train(build_agent(Own))


def test_a_compile_and_a_backward_of_ones_own_go_together():
    class Own(DQNAgent):
        updates = 0

        def compile(self, optimizer, metrics=()):
            self.target_model = build_model()
            self.trainable_model = "mine"
            self.compiled = True

        def forward(self, observation):
            return int(self.model.predict_on_batch(observation[None, None]).argmax())

        def backward(self, reward, terminal):
            assert self.trainable_model == "mine"
            self.updates += 1
            return []

        metrics_names = ()

    agent = build_agent(Own)
    agent.update_target_model_hard()
    assert all(map(np.array_equal, agent.target_model.get_weights(), agent.model.get_weights()))
    agent.fit(Env(), 10, verbose=0)
    assert agent.updates >= 10


@pytest.mark.long
@pytest.mark.parametrize("names", [(), "", ("one", "two"), "ab", ["one"]])
def test_metrics_names_may_be_any_sequence(names):
    class Own(rl.core.Processor):
        metrics_names, metrics = names, [1.0] * len(names)

    agent = build_agent(processor=Own())
    expected = []
    expected += names[:]  # as in Keras-RL
    assert agent.metrics_names == ["loss", "mean_q", *expected]
    assert {len(metrics) for metrics in train(agent, 12).metrics} == {2 + len(names)}


def test_process_state_batch_gives_what_keras_rls_gives(noted):
    class Own(DQNAgent):
        def process_state_batch(self, batch):
            return super().process_state_batch(batch) * 0.0

    agent = build_agent(Own)
    assert agent.process_state_batch([[np.ones(2)], [np.ones(2)]]).shape == (2, 1, 2)
    assert not agent.compute_q_values([np.ones(2)]).any()  # the bias is 0 at first
    with noted("Own.process_state_batch"):
        train(agent, 20)
    kernel, bias = agent.get_weights()
    assert np.array_equal(kernel, build_agent().get_weights()[0]) and bias.any()


# Memories


class Recent(SequentialMemory):
    """Draws only from the last steps."""

    def sample(self, batch_size, batch_idxs=None):
        low = max(self.window_length, self.nb_entries - 6)
        batch_idxs = np.random.randint(low, self.nb_entries - 1, batch_size)
        return super().sample(batch_size, batch_idxs)


def test_what_an_own_sample_returns_is_learned_from_and_a_note_tells_once_that_it_is_slow(noted):
    class Ones(Recent):
        def sample(self, batch_size, batch_idxs=None):
            """Objects, not tuples: Keras-RL reads their attributes."""
            return [
                types.SimpleNamespace(**{**e._asdict(), "reward": 7.0, "terminal1": True})
                for e in super().sample(batch_size)
            ]

    agent = build_agent(memory=Ones(200), optimizer=keras.optimizers.Adam(0.3))
    with noted("Ones.sample is called"):
        train(agent, 150)
    train(agent, 20)
    assert agent.compute_q_values([np.array([3 / 7, 1.0])]) == pytest.approx([7.0, 7.0], abs=0.3)


@pytest.mark.parametrize("name", ["n_step", "priorities", "too few"])
@pytest.mark.filterwarnings("ignore::kerasrl.errors.Note")  # Own.sample is slow
def test_an_own_sample_that_cannot_be_used_is_refused_by_name(name, refused):
    class Own(SequentialMemory if name != "priorities" else PrioritizedMemory):
        def sample(self, batch_size, batch_idxs=None):
            return []

    with refused("Own.sample"):
        train(build_agent(memory=Own(200), n_step=2 if name == "n_step" else 1))


def test_an_own_append_with_keras_rls_arguments_keeps_the_value_of_time_limits():
    class Own(SequentialMemory):
        def append(self, observation, action, reward, terminal, training=True):
            super().append(observation, action, min(reward, 0.5), terminal, training=training)

    class Ours(Own):
        def append(self, *args, training=True, truncated=False):
            told.append(truncated)
            super().append(*args, training=training)

    told = []
    for kind in (Own, Ours):
        agent = build_agent(memory=kind(200))
        agent.fit(Endless(), 27, verbose=0)
        ends = np.flatnonzero(agent.memory.terminals)
        assert len(ends) == 3 and agent.memory.rewards.max() == 0.5
        experiences = agent.memory.sample(1, [ends[-1]])
        assert experiences[0].terminal1 == (kind is Ours)  # which is told and does not tell
    assert told.count(True) == 3


@pytest.mark.long
def test_a_memory_made_of_keras_rls_bare_one():
    class Own(rl.memory.Memory):
        """Its steps in one list, without nb_entries."""

        def __init__(self, window_length):
            super().__init__(window_length)
            self.steps = []

        def append(self, observation, action, reward, terminal, training=True):
            super().append(observation, action, reward, terminal, training)
            if training:
                self.steps.append((observation, action, reward, terminal))

        def sample(self, batch_size, batch_idxs=None):
            starts = np.random.randint(len(self.steps) - 1, size=batch_size)
            return [
                rl.memory.Experience([self.steps[i][0]], *self.steps[i][1:3], [self.steps[i + 1][0]], self.steps[i][3])
                for i in starts
            ]

    agent = build_agent(memory=Own(1))
    losses = train(agent, 30)
    assert np.isfinite(losses.metrics[9:]).all() and len(agent.memory.steps) >= 30


def test_keras_rls_own_sample_reads_the_stored_steps():
    """As where a script has changed a copy of it."""

    class Copied(SequentialMemory):
        sample = types.FunctionType(rl.memory.SequentialMemory.sample.__code__, {**vars(rl.memory)})
        sample.__defaults__ = (None,)

    memories = Copied(12, window_length=2), SequentialMemory(12, window_length=2)
    for memory in memories:
        for i in range(20):
            memory.append(np.array([i, -i]), i % 3, float(i), i % 7 == 6)
    indexes = [index for index in range(2, 11) if not memories[0].terminals[index - 1]]
    copied, ours = (memory.sample(len(indexes), indexes) for memory in memories)
    for one, other in zip(copied, ours, strict=True):
        assert list(map(np.ndarray.tolist, one.state0)) == list(map(np.ndarray.tolist, other.state0))
        assert list(map(np.ndarray.tolist, one.state1)) == list(map(np.ndarray.tolist, other.state1))
        assert one[1:3] == other[1:3] and one.terminal1 == other.terminal1
    stored = memories[0].observations
    assert (len(stored), stored[-1].tolist(), stored[:2][1].tolist()) == (12, [19, -19], [9, -9])
    with pytest.raises(ValueError, match="read-only"):  # it would be written into a copy
        memories[0].rewards[-1] = 5


def test_get_recent_state_is_asked_for_windows_of_one_too():
    class Own(SequentialMemory):
        def get_recent_state(self, observation):
            return [super().get_recent_state(observation)[0] * 0.0]

    agent = build_agent(memory=Own(200))
    agent.test_policy = Seen()
    agent.test(Env(), 1, visualize=False, verbose=0)
    assert not np.any(agent.test_policy.q_values)


class Seen(rl.policy.Policy):
    q_values = ()

    def select_action(self, q_values):
        self.q_values = (*self.q_values, *q_values)
        return 0


@pytest.mark.long
def test_a_multi_input_processor_and_its_handle_dict():
    class Own(rl.processors.MultiInputProcessor):
        def handle_dict(self, state_batch):
            calls.append(state_batch.shape)
            return super().handle_dict(state_batch)

    class Dicts(Env):
        def reset(self):
            return self.observe(super().reset()[0]), {}

        def step(self, action):
            observation, *rest = super().step(action)
            return self.observe(observation), *rest

        def observe(self, observation):
            return {"a": observation[:1], "b": observation[1:]}

    calls = []
    inputs = {name: keras.Input((1, 1), name=name) for name in ("a", "b")}
    joined = layers.Flatten()(layers.Concatenate()(list(inputs.values())))
    model = keras.Model(inputs, layers.Dense(2)(joined))
    agent = DQNAgent(
        model, nb_actions=2, memory=SequentialMemory(50), nb_steps_warmup=8, batch_size=4, processor=Own(2)
    )
    agent.compile("sgd")
    agent.fit(Dicts(), 10, verbose=0)
    assert calls.count((4, 1)) == 4 and calls.count((1, 1)) >= 10


@pytest.mark.long
def test_a_callback_may_be_given_a_method_when_the_training_begins():
    class Late(rl.callbacks.Callback):
        def on_train_begin(self, logs):
            self.on_step_end = lambda step, logs: steps.append(step)

    steps = []
    build_agent().fit(Endless(), 9, verbose=0, callbacks=[Late()])
    assert steps == list(range(9))


# State


class Counting(DQNAgent):
    """Counts its steps."""

    counted = 0

    def backward(self, reward, terminal):
        self.count = self.counted = self.counted + 1
        return super().backward(reward, terminal)


class Kept(Counting):
    def get_state(self):
        return {**super().get_state(), "counted": self.counted}

    def set_state(self, state, warm_up):
        super().set_state(state, warm_up)
        self.counted = state["counted"]


class Longing(SequentialMemory):
    nb_drawn = 0

    def draw(self, *args, **kwargs):
        self.nb_drawn += 1
        return super().draw(*args, **kwargs)


class LongingKept(Longing):
    def get_state(self):
        return {**super().get_state(), "nb_drawn": self.nb_drawn}

    def set_state(self, state):
        super().set_state({key: value for key, value in state.items() if key != "nb_drawn"})
        self.nb_drawn = state["nb_drawn"]


def resumed(path, kind, memory):
    """An agent that was trained for 20 steps, and another that has gone on for 20 more."""
    first, second = (build_agent(kind, memory(200, seed=2)) for _ in range(2))
    first.fit(Env(), 20, verbose=0, seed=1, state=TrainingState(path, 5))
    second.fit(Env(), 40, verbose=0, seed=1, state=TrainingState(path, 5), resume=True)
    return second


@pytest.mark.long
def test_a_state_of_ones_own_is_resumed(tmp_path):
    agent = resumed(tmp_path / "state", Kept, LongingKept)
    whole = build_agent(Kept, LongingKept(200, seed=2))
    whole.fit(Env(), 40, verbose=0, seed=1)
    assert agent.counted == whole.counted > 40
    assert agent.memory.nb_drawn == whole.memory.nb_drawn > 20
    assert all(map(np.array_equal, agent.get_weights(), whole.get_weights()))


@pytest.mark.long
@pytest.mark.parametrize("kinds", [(Counting, SequentialMemory), (DQNAgent, Longing)])
def test_a_state_without_get_state_is_told(kinds, tmp_path, noted):
    kind, memory = kinds
    with noted("is not saved for a resume"):
        agent = build_agent(kind, memory(200))
        agent.fit(Env(), 20, verbose=0, state=TrainingState(tmp_path / "state"))


def test_a_get_state_that_loses_ours_is_refused(tmp_path, refused):
    class Lost(Kept):
        def get_state(self):
            return {"counted": self.counted}

    class Short(Kept):
        def set_state(self, state):
            pass

    class LostMemory(LongingKept):
        def get_state(self):
            return {"nb_drawn": 0}

    for kind, memory in ((Lost, SequentialMemory), (Short, SequentialMemory), (Kept, LostMemory)):
        with refused(kind.__name__ if kind is not Kept else "LostMemory"):
            build_agent(kind, memory(200)).fit(Env(), 20, verbose=0, state=TrainingState(tmp_path / "state"))
