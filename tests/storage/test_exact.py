"""A resume gives everything back as it was: values of every kind, what shares them, generators, callbacks."""

import contextlib
import csv
import enum
import logging
import random
import re
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple

import keras
import numpy as np
import pytest
import rl.callbacks
import rl.core
import tensorflow as tf
from rl.policy import EpsGreedyQPolicy, LinearAnnealedPolicy
from rl.processors import WhiteningNormalizerProcessor

from kerasrl import DQNAgent, SequentialMemory, environments
from kerasrl.storage import TrainingState
from model import build_model


def build_agent(processor=None, policy=None, limit=300, nb_steps_warmup=20, **options):
    keras.utils.set_random_seed(1)
    memory = SequentialMemory(limit)
    policy = policy or EpsGreedyQPolicy(0.3)
    options = {"nb_steps_warmup": nb_steps_warmup, "batch_size": 8, **options}
    agent = DQNAgent(build_model(4, 2, (4,)), policy, nb_actions=2, memory=memory, processor=processor, **options)
    agent.compile(keras.optimizers.Adam(0.01), jit_compile=False)
    return agent


def fit(path, nb_steps, resume=False, agent=None, callbacks=(), save_memory=True, env=None, interval=50, **options):
    agent = agent or build_agent()
    state = TrainingState(path, interval, save_memory)
    env = env or environments.make("CartPole-v0")
    agent.fit(env, nb_steps, verbose=0, seed=5, callbacks=list(callbacks), state=state, resume=resume, **options)
    return agent


def assert_same_weights(one, other):
    for a, b in zip(one.model.get_weights(), other.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# What processors and policies hold

Point = namedtuple("Point", "x y")


class Phase(enum.Enum):
    REST = 1
    RUN = 2


class Rich(rl.core.Processor):
    """Holds one of everything; what it returns depends on types, on sharing, and on the generators' states."""

    __slots__ = ("__private", "slot")

    def __init__(self):
        self.slot = self.__private = np.float64(0.1)
        self.number, self.single, self.whole = np.float64(0.1), np.float32(0.1), 1
        self.by_number = {1: "one", (2, "x"): np.int64(2), None: 3.0, 2.5: b"yes"}
        self.counts, self.groups, self.order = Counter("aab"), defaultdict(list), OrderedDict(z=1, a=2)
        self.last, self.seen = deque(maxlen=3), {0}
        self.array = np.zeros((3, 4))
        self.same, self.row, self.columns, self.turned = self.array, self.array[1], self.array[:, ::2], self.array.T
        self.fortran = np.asfortranarray(np.arange(6.0).reshape(2, 3))
        self.both = [self.array, {"inner": self.array}]
        self.itself = []
        self.itself.append(self.itself)
        self.point, self.phase = Point(1, [2.0]), Phase.REST
        self.rng, self.old_rng, self.random = np.random.default_rng(3), np.random.RandomState(4), random.Random(5)
        self.bits, self.later = np.random.Generator(np.random.MT19937(1)), None
        self.floats, self.numbers = [], []
        self.gone = 1

    def process_observation(self, observation):
        self.number += np.float32(self.number) * self.single  # NumPy's rules for mixed types, not Python's
        self.slot += self._Rich__private
        self.whole += 1
        self.by_number[self.whole % 7] = self.whole
        self.counts["b"] += 1
        self.groups[self.whole % 3].append(self.whole)
        self.last.append((self.whole, self.last[0] if len(self.last) == 3 else None))
        self.last[-1] = self.last[-1][0]
        self.seen.add(self.whole % 50)
        self.row += self.rng.normal(size=4)
        self.columns[0] += self.old_rng.normal()
        self.turned[3] += self.random.random() + self.bits.normal()
        self.both[1]["inner"][2, 1] += 1
        self.point = Point(self.point.x + 1, [self.array[1, 0]])
        self.phase = Phase.RUN if self.whole % 2 else Phase.REST
        if self.later is None and self.whole > 20:
            self.later, self.again = np.random.default_rng(9), [self.array]
            del self.gone
        if self.later is not None:
            self.again[0][0, 3] += self.later.normal()
        self.floats.append(self.whole / 7)
        self.numbers.append(self.number)
        noise = self.same.sum() + float(self.number % 1) + float(self.fortran.T[0, 0])
        return (observation + 0.001 * np.tanh(noise)).astype(np.float32)


class Sharing(EpsGreedyQPolicy):
    """Shares an array and a generator with the processor, and draws from Python's `random`."""

    def __init__(self, processor):
        super().__init__(0.3)
        self.array, self.rng = processor.array, processor.rng

    def select_action(self, q_values):
        self.array[0, 0] += random.random()
        self.rng.random()
        return super().select_action(q_values)


def described(value, seen=None):
    """Types, values and layout, as text."""
    seen = {} if seen is None else seen
    if isinstance(value, list | dict | deque | np.ndarray):
        if id(value) in seen:
            return f"the same as {seen[id(value)]}"
        seen[id(value)] = len(seen)
    name = type(value).__name__
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.strides} {value.tolist()}"
    if isinstance(value, dict):
        items = [f"{described(k, seen)}: {described(v, seen)}" for k, v in value.items()]
        return f"{name} {items}"
    if isinstance(value, list | tuple | deque):
        return f"{name} {getattr(value, 'maxlen', '')} {[described(item, seen) for item in value]}"
    if isinstance(value, np.random.Generator):
        return described(value.bit_generator.state)
    if isinstance(value, np.random.RandomState):
        return described(value.get_state(legacy=False))
    if isinstance(value, random.Random):
        return described(value.getstate())
    return f"{name} {value!r}"


def test_everything_that_processor_and_policy_hold_comes_back(tmp_path):
    def agent():
        processor = Rich()
        return build_agent(processor, Sharing(processor))

    whole = fit(tmp_path / "whole", 400, agent=agent())
    fit(tmp_path / "parts", 250, agent=agent())
    parts = fit(tmp_path / "parts", 400, resume=True, agent=agent())
    assert_same_weights(parts, whole)
    expected, actual = (
        {**vars(a.processor), "slot": a.processor.slot, "private": a.processor._Rich__private} for a in (whole, parts)
    )
    assert list(actual) == list(expected)
    assert described(actual) == described(expected)
    assert not hasattr(parts.processor, "gone")
    assert parts.policy.array is parts.processor.array is parts.processor.same
    assert parts.policy.rng is parts.processor.rng
    assert all(np.shares_memory(parts.processor.array, view) for view in (parts.processor.row, parts.processor.turned))


@pytest.mark.long
def test_a_normalizer_and_an_inner_policy_come_back(tmp_path):
    def agent():
        inner = EpsGreedyQPolicy()
        policy = LinearAnnealedPolicy(inner, "eps", value_max=1.0, value_min=0.1, value_test=0.0, nb_steps=300)
        return build_agent(WhiteningNormalizerProcessor(), policy)

    whole = fit(tmp_path / "whole", 300, agent=agent())
    fit(tmp_path / "parts", 200, agent=agent())
    parts = fit(tmp_path / "parts", 300, resume=True, agent=agent())
    assert_same_weights(parts, whole)
    assert parts.policy.inner_policy.eps == whole.policy.inner_policy.eps
    assert described(vars(parts.processor.normalizer)) == described(vars(whole.processor.normalizer))


class Holding(rl.core.Processor):
    def __init__(self, thing, later=None):
        self.thing, self.later = thing, later

    def process_observation(self, observation):
        if self.later is not None:
            self.thing = self.later
        return observation


CANNOT_BE_KEPT = {
    "object": object(),
    "function": np.tanh,
    "in a list": [1, object()],
    "as a key": {Phase.RUN: 1},
    "own class": {"a": random.SystemRandom()},
    "array of objects": np.array([object()]),
    "structured array": np.zeros(2, "i4,f4"),
    "default": defaultdict(lambda: 1),
    "huge": 1 << 100_000,
}


@pytest.mark.parametrize("name", CANNOT_BE_KEPT)
def test_what_cannot_be_kept_exactly_is_refused_at_the_start(tmp_path, name, refused):
    class Counting(type(environments.make("CartPole-v0").unwrapped)):
        nb_resets = 0

        def reset(self, **options):
            Counting.nb_resets += 1
            return super().reset(**options)

    agent = build_agent(Holding(CANNOT_BE_KEPT[name]))
    with refused("Holding.thing"):
        fit(tmp_path / "state", 60, agent=agent, env=Counting())
    assert (Counting.nb_resets, list(tmp_path.iterdir())) == (0, [])
    agent.fit(environments.make("CartPole-v0"), 20, verbose=0)  # without a state there is nothing to refuse


@pytest.mark.long
@pytest.mark.parametrize("later", [Phase.RUN, [Point(1, 2)], Point(1, 2)])
def test_an_object_that_a_resume_could_not_put_back_is_refused_when_it_appears(tmp_path, later, refused):
    with refused("Holding.thing"):
        fit(tmp_path / "state", 200, agent=build_agent(Holding(None, later)))


@pytest.mark.long
def test_objects_of_other_classes_are_not_filled(tmp_path, refused):
    fit(tmp_path / "state", 60, agent=build_agent(Holding(1)))
    with refused("Holding", "Rich"):
        fit(tmp_path / "state", 90, resume=True, agent=build_agent(Rich()))
    with refused("Holding"):
        fit(tmp_path / "state", 90, resume=True, agent=build_agent())


def test_a_state_of_an_earlier_version_is_refused_in_one_line(tmp_path, refused):
    (tmp_path / "state").write_bytes(b"kerasrl state 1\nsha256 0123\n".ljust(600, b"\0"))
    with refused(tmp_path / "state"):
        fit(tmp_path / "state", 90, resume=True)


# Callbacks


class Short:
    """Episodes of 5 steps, which pay the `rewards` in turn."""

    action_space = environments.make("CartPole-v0").action_space

    def __init__(self, rewards):
        self.rewards = rewards

    def reset(self, seed=None):
        self.nb_steps, self.reward = 0, self.rewards[seed % len(self.rewards)]
        return np.full(4, self.reward, np.float32), {}

    def step(self, action):
        self.nb_steps += 1
        return np.full(4, self.nb_steps, np.float32), float(self.reward), self.nb_steps == 5, False, {}


class StopWhenGood(rl.callbacks.Callback):
    """The callback in docs/callbacks.md, with arguments."""

    def __init__(self, threshold, nb_episodes):
        super().__init__()
        self.threshold, self.nb_episodes = threshold, nb_episodes

    def on_train_begin(self, logs):
        self.rewards = []

    def on_episode_end(self, episode, logs):
        self.rewards = [*self.rewards, logs["episode_reward"]][-self.nb_episodes :]
        if len(self.rewards) == self.nb_episodes and sum(self.rewards) >= self.nb_episodes * self.threshold:
            self.model.stop_training = True


class OwnEarlyStopping(keras.callbacks.EarlyStopping):
    pass


# Keras converts its own variables in a way that NumPy 2 warns about.
keras_warns = pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
CALLBACKS = {
    "EarlyStopping": lambda: keras.callbacks.EarlyStopping("episode_reward", mode="max", patience=30),
    "own EarlyStopping": lambda: OwnEarlyStopping("episode_reward", mode="max", patience=30),
    "EarlyStopping, min": lambda: keras.callbacks.EarlyStopping("loss_", mode="min", min_delta=1.5, patience=30),
    "ReduceLROnPlateau": lambda: keras.callbacks.ReduceLROnPlateau("episode_reward", mode="max", patience=9),
    "StopWhenGood": lambda: StopWhenGood(5, 30),
    "FileLogger": lambda: rl.callbacks.FileLogger("log.json"),
    "ModelCheckpoint": lambda: keras.callbacks.ModelCheckpoint(
        "b.weights.h5", "episode_reward", mode="max", save_best_only=True, save_weights_only=True
    ),
}


class Falling(rl.callbacks.Callback):
    """A loss that falls by one in each of the first episodes."""

    def on_episode_end(self, episode, logs):
        logs["loss_"] = float(max(40 - episode, 25))


@pytest.mark.long
@keras_warns
@pytest.mark.parametrize("name", CALLBACKS)
def test_callbacks_go_on_counting(tmp_path, monkeypatch, name):
    results = []
    for lengths in ([250], [110, 250]):
        (tmp_path / str(len(lengths))).mkdir()
        monkeypatch.chdir(tmp_path / str(len(lengths)))
        for i, nb_steps in enumerate(lengths):
            callback, agent = CALLBACKS[name](), build_agent()
            env = Short([1, 1, 2, 1, 1, 1])
            fit("state", nb_steps, resume=i > 0, agent=agent, callbacks=[Falling(), callback], env=env, interval=20)
        held = {key: value for key, value in vars(callback).items() if key in ("wait", "best", "rewards")}
        rewards = getattr(callback, "data", {}).get("episode_reward")
        results.append((agent.step, described(held), rewards, agent.model.get_weights()))
    assert results[0][:3] == results[1][:3]
    for one, other in zip(results[0][3], results[1][3], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.long
def test_a_callbacks_arguments_may_change_in_a_resume(tmp_path):
    callback, env = StopWhenGood(5, 10), Short([1])
    assert fit(tmp_path / "state", 500, callbacks=[callback], env=env).step == 50
    again = StopWhenGood(5.1, 10)
    assert fit(tmp_path / "state", 600, resume=True, callbacks=[again], env=env).step == 600
    assert again.threshold == 5.1


class HasEverything(rl.callbacks.Callback):
    """What does not belong to a callback's state, and what can be kept."""

    def __init__(self, env, path):
        super().__init__()
        self.log, self.function, self.functions = logging.getLogger("x"), np.tanh, [len, str.upper]
        self.eval_env, self.file, self.path, self.others = env, path.open("w"), path, []
        self.writer, self.rows = csv.writer(self.file), csv.DictWriter(self.file, ["a"])
        self.summaries = tf.summary.create_file_writer(str(path.with_name("summaries")))
        self.counts, self.best, self.times = defaultdict(int), None, deque(maxlen=3)

    def on_train_begin(self, logs):
        self.agent_of_mine, self.memory = self.model, self.model.memory

    def on_step_end(self, step, logs):
        self.counts[logs["action"]] += 1
        self.best = logs["reward"]


@pytest.mark.long
def test_a_users_callback_is_not_refused_without_need(tmp_path):
    env = environments.make("CartPole-v0")
    for nb_steps in (120, 200):
        callback = HasEverything(env, tmp_path / "file")
        with callback.file:
            fit(tmp_path / "state", nb_steps, resume=nb_steps == 200, callbacks=[callback, StopWhenGood(1e9, 3)])
        assert sum(callback.counts.values()) == nb_steps
        assert isinstance(callback.counts, defaultdict)
    fit(tmp_path / "state", 300, resume=True)  # a callback may be left out


class Unknown:
    """An object of an unknown class."""


class Watching(rl.callbacks.Callback):
    def __init__(self, thing=None):
        super().__init__()
        self.thing = thing

    def on_episode_end(self, episode, logs):
        self.thing = self.thing or Unknown()


@pytest.mark.long
@pytest.mark.parametrize("thing", [Unknown(), None])
def test_what_a_callback_holds_and_cannot_be_kept_is_noted_once_and_ends_no_training(tmp_path, noted, thing):
    with noted("Watching.thing", "Unknown"):  # also if it appears later
        assert fit(tmp_path / "state", 150, callbacks=[Watching(thing)]).step == 150
    build_agent().fit(environments.make("CartPole-v0"), 20, callbacks=[Watching(Unknown())], verbose=0)


class Returning(rl.callbacks.Callback):
    def get_state(self):
        return Unknown()

    def set_state(self, state):
        raise AssertionError


def test_a_callback_is_refused_for_what_it_says_a_resume_needs(tmp_path, refused):
    with refused("Returning.get_state"):
        fit(tmp_path / "state", 60, callbacks=[Returning()])
    assert not list(tmp_path.iterdir())


# Generators and the rest of a run


class Drawing(EpsGreedyQPolicy):
    """Draws from Python's `random`."""

    def select_action(self, q_values):
        return random.randrange(2)


class Actions(rl.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.actions, self.losses = [], []

    def on_step_end(self, step, logs):
        self.losses.append(logs.get("metrics", [0])[0])

    def on_action_end(self, action, logs):
        self.actions.append(int(action))


@pytest.mark.long
def test_a_seed_seeds_pythons_random_too(tmp_path):
    runs = []
    for before in (1, 2):
        random.seed(before)
        agent, actions = build_agent(policy=Drawing()), Actions()
        random.seed(before)
        agent.fit(environments.make("CartPole-v0"), 60, callbacks=[actions], verbose=0, seed=5)
        runs.append(actions.actions)
    assert runs[0] == runs[1]


@pytest.mark.long
def test_the_first_weights_have_a_seed_of_their_own():
    """As docs/own-script.md says: `fit` comes too late for them."""
    results = []
    for before in (1, 1, 2):
        keras.utils.set_random_seed(before)
        agent = DQNAgent(build_model(4, 2, (4,)), nb_actions=2, memory=SequentialMemory(300), nb_steps_warmup=20)
        agent.compile("adam", jit_compile=False)
        agent.fit(environments.make("CartPole-v0"), 60, verbose=0, seed=1)
        results.append(agent)
    assert_same_weights(*results[:2])
    assert not np.array_equal(results[0].model.get_weights()[0], results[2].model.get_weights()[0])


@pytest.mark.long
@pytest.mark.parametrize("policy", [EpsGreedyQPolicy, pytest.param(Drawing, marks=pytest.mark.long)])
def test_a_resume_continues_pythons_random_and_the_random_starts(tmp_path, policy):
    results = []
    for lengths in ([300], [200, 300]):
        for nb_steps in lengths:
            random.seed(nb_steps)
            agent, actions = build_agent(policy=policy()), Actions()
            path = tmp_path / str(len(lengths))
            fit(path, nb_steps, nb_steps == 300 and len(lengths) > 1, agent, [actions], nb_max_start_steps=6)
        results.append((agent, actions.actions))
    assert_same_weights(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]


@pytest.mark.long
def test_a_test_with_a_seed_plays_the_same_again():
    runs = []
    for before in (1, 2):
        agent, actions = build_agent(test_policy=EpsGreedyQPolicy(0.5)), Actions()
        np.random.seed(before)
        agent.test(environments.make("CartPole-v0"), 2, callbacks=[actions], visualize=False, verbose=0, seed=3)
        runs.append(actions.actions)
    assert runs[0] == runs[1] and len(set(runs[0])) == 2
    agent, numbers = build_agent(test_policy=Drawing()), []
    for before in (1, 2):
        random.seed(before)
        actions = Actions()
        agent.test(environments.make("CartPole-v0"), 1, callbacks=[actions], visualize=False, verbose=0, seed=3)
        numbers.append(actions.actions)
    assert numbers[0] == numbers[1]


@pytest.mark.long
def test_without_its_memory_a_resumed_run_warms_up_anew(tmp_path):
    fit(tmp_path / "state", 120, save_memory=False, agent=build_agent(nb_steps_warmup=40))
    agent, seen = build_agent(nb_steps_warmup=40), Actions()
    state = TrainingState(tmp_path / "state")
    step = state.load()["agent"]["step"]
    assert step > 60
    fit(tmp_path / "state", 240, True, agent, [seen], save_memory=False)
    losses = seen.losses[step:] if len(seen.losses) > 240 - step else seen.losses
    assert np.isnan(losses[:41]).all() and np.isfinite(losses[41:]).all()


@pytest.mark.long
def test_a_segment_of_the_memory_that_is_partly_forgotten_is_shortened(tmp_path):
    results = []
    for lengths in ([360], [300, 360]):
        agent = build_agent(limit=400)
        agent.fit(environments.make("CartPole-v0"), 390, verbose=0, seed=1)  # its steps become one segment
        path = tmp_path / str(len(lengths))
        fit(path, lengths[0], agent=agent, interval=100)  # the last steps have overwritten its beginning in the file
        if len(lengths) == 2:
            agent = fit(path, 360, resume=True, agent=build_agent(limit=400), interval=100)
        results.append(agent)
    assert_same_weights(*results)


def test_loaded_weights_are_those_of_the_target_network_too(tmp_path):
    agent, other = build_agent(), build_agent()
    other.model.set_weights([array + 1 for array in other.model.get_weights()])
    other.save_weights(tmp_path / "w.h5f")
    agent.load_weights(tmp_path / "w.h5f")
    for one, two in zip(agent.target_model.get_weights(), other.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.long
def test_a_longer_run_repeats_at_most_the_last_episode(tmp_path):
    whole = fit(tmp_path / "whole", 700, interval=5_000)
    fit(tmp_path / "parts", 400, interval=5_000)
    state = TrainingState(tmp_path / "parts", 5_000)
    assert 400 - state.load()["agent"]["step"] < 100
    agent = build_agent()
    agent.fit(environments.make("CartPole-v0"), 700, verbose=0, seed=5, state=state, resume=True)
    assert_same_weights(agent, whole)


@pytest.mark.long
def test_the_mean_reward_goes_on_after_a_resume(tmp_path, capsys):
    def lines(resume, nb_steps):
        agent = build_agent()
        env, state = environments.make("CartPole-v0"), TrainingState(tmp_path / f"{nb_steps}", 50)
        agent.fit(env, nb_steps, verbose=1, log_interval=10**9, seed=5, state=state, resume=resume)
        return capsys.readouterr().out.partition(", eps")[0].partition(", loss")[0]

    whole = lines(False, 400)
    lines(False, 250)
    (tmp_path / "400").write_bytes((tmp_path / "250").read_bytes())
    (memory,) = tmp_path.glob("250.memory-*")
    for file in tmp_path.glob("400.memory-*"):
        file.unlink()
    memory.rename(tmp_path / memory.name.replace("250", "400"))
    assert lines(True, 400) == whole
    assert "of the last" in whole


@pytest.mark.long
def test_states_are_written_at_their_interval_and_before_the_last_episode(tmp_path):
    class Noting(TrainingState):
        def save(self, agent, *arguments):
            steps.append(agent.step)
            super().save(agent, *arguments)

    steps = []
    build_agent().fit(Short([1]), 165, verbose=0, seed=5, state=Noting(tmp_path / "state", 50))
    assert steps == [0, 50, 100, 150, 160, 165]


@pytest.mark.long
@pytest.mark.parametrize("verbose", [(0, 1), (1, 0)])
def test_a_resume_may_show_more_or_less(tmp_path, verbose):
    for nb_steps, shown in zip((100, 150), verbose, strict=True):
        agent, state = build_agent(), TrainingState(tmp_path / "state", 50)
        agent.fit(environments.make("CartPole-v0"), nb_steps, verbose=shown, seed=5, state=state, resume=nb_steps > 100)
    assert_same_weights(agent, fit(tmp_path / "whole", 150))


@pytest.mark.long
def test_the_lines_of_a_resumed_run_count_all_its_steps(tmp_path, capsys):
    for nb_steps in (100, 115):
        agent, state = build_agent(), TrainingState(tmp_path / "state", 50)
        agent.fit(Short([1]), nb_steps, verbose=2, seed=5, state=state, resume=nb_steps > 100)
    assert re.findall(r"(\d+)/115: episode", capsys.readouterr().out) == ["105", "110", "115"]


@pytest.mark.long
def test_a_training_that_a_callback_ended_is_over_after_a_kill(tmp_path):
    """Killed between the last state and what comes after `fit`."""
    for i in range(2):
        with contextlib.ExitStack():
            agent = fit(tmp_path / "state", 500, resume=i > 0, callbacks=[StopWhenGood(5, 10)], env=Short([1]))
        assert agent.step == 50
