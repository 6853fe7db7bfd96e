"""kerasrl.SequentialMemory against Keras-RL's own, whose pure Python code is right, only slow."""

import collections
import copy
import itertools
import pickle
import tracemalloc
import warnings

import numpy as np
import pytest
import rl.memory

from kerasrl import PrioritizedMemory, SequentialMemory
from kerasrl.environments.spaces import parts

OBSERVATIONS = {
    "number": lambda i: i + 1,
    "vector": lambda i: np.array([i + 1, -i, i / 7], np.float32),
    "image": lambda i: np.full((3, 4, 2), (i * 37 + 1) % 256, np.uint8),
    "list": lambda i: [i + 1.0, i / 3],
    "tuple": lambda i: (np.array([i + 1.0, i]), np.full((2, 2), i + 2, np.uint8)),
    "dict": lambda i: {"position": np.array([i + 1.0]), "camera": np.full((2, 2), i + 2, np.uint8)},
}


def play(memories, lengths, observe=OBSERVATIONS["vector"], start=0):
    """Append episodes as `fit` does: an episode ends with an observation whose action is not taken."""
    i = start
    for length in lengths:
        for step in range(length + 1):
            for memory in memories:
                memory.append(observe(i), i % 5, i * 0.5 if step < length else 0.0, terminal=step == length - 1)
            i += 1
    return i


def transitions(memory):
    """Indexes that Keras-RL does not draw anew: those whose step before did not end an episode."""
    return [i for i in range(memory.window_length, memory.nb_entries - 1) if not memory.terminals[i - 1]]


def assert_same_observation(actual, expected):
    if isinstance(expected, dict):
        assert list(actual) == list(expected)
        actual, expected = list(actual.values()), list(expected.values())
    if isinstance(expected, tuple | list):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            np.testing.assert_array_equal(one, other)
    else:
        np.testing.assert_array_equal(actual, expected)


def assert_same_state(actual, expected):
    assert len(actual) == len(expected)
    for one, other in zip(actual, expected, strict=True):
        assert_same_observation(one, other)


def assert_same_samples(ours, theirs):
    indexes = transitions(theirs)
    assert transitions(ours) == indexes and indexes
    samples = zip(
        ours.sample(len(indexes), batch_idxs=indexes), theirs.sample(len(indexes), batch_idxs=indexes), strict=True
    )
    for actual, expected in samples:
        assert_same_state(actual.state0, expected.state0)
        assert_same_state(actual.state1, expected.state1)
        assert (actual.action, actual.reward) == (expected.action, expected.reward)
        assert actual.terminal1 == expected.terminal1


# The same as Keras-RL's


@pytest.mark.parametrize("ignore_episode_boundaries", [False, True])
@pytest.mark.parametrize("window_length", [1, 2, 4])
@pytest.mark.parametrize("limit", [100, 13])  # 13: the ring is overwritten several times
def test_samples_equal_keras_rls(limit, window_length, ignore_episode_boundaries):
    options = {"window_length": window_length, "ignore_episode_boundaries": ignore_episode_boundaries}
    ours, theirs = SequentialMemory(limit, **options), rl.memory.SequentialMemory(limit, **options)
    i = 0
    for lengths in ([7], [1, 2], [6, 3], [5], [9]):
        i = play([ours, theirs], lengths, start=i)
        assert_same_samples(ours, theirs)
        assert ours.nb_entries == theirs.nb_entries
    for name in ("observations", "actions", "rewards", "terminals"):
        np.testing.assert_array_equal(getattr(ours, name), list(getattr(theirs, name)))


@pytest.mark.parametrize("window_length", [1, 3])
@pytest.mark.parametrize("kind", OBSERVATIONS)
def test_any_observation_is_given_back(kind, window_length):
    ours, theirs = (
        memory(20, window_length=window_length) for memory in (SequentialMemory, rl.memory.SequentialMemory)
    )
    play([ours, theirs], [4, 3, 6, 5, 4], OBSERVATIONS[kind])
    assert_same_samples(ours, theirs)
    assert_same_state(ours.observations, list(theirs.observations))


@pytest.mark.parametrize("ignore_episode_boundaries", [False, True])
@pytest.mark.parametrize("window_length", [1, 2, 4])
def test_recent_states_equal_keras_rls(window_length, ignore_episode_boundaries):
    options = {"window_length": window_length, "ignore_episode_boundaries": ignore_episode_boundaries}
    ours, theirs = SequentialMemory(9, **options), rl.memory.SequentialMemory(9, **options)
    observe = OBSERVATIONS["vector"]
    for i in range(40):
        expected = theirs.get_recent_state(observe(i))
        assert_same_state(ours.get_recent_state(observe(i)), expected)
        training = i < 30  # without training only the recent state grows
        for memory in (ours, theirs):
            memory.append(observe(i), 0, 1.0, terminal=i % 6 == 5, training=training)
        assert ours.nb_entries == theirs.nb_entries


def test_configuration_equals_keras_rls():
    options = {"limit": 30, "window_length": 2, "ignore_episode_boundaries": True}
    assert SequentialMemory(**options).get_config() == rl.memory.SequentialMemory(**options).get_config()
    assert isinstance(SequentialMemory(limit=10), rl.memory.SequentialMemory)


# Properties of what is drawn


@pytest.mark.parametrize(("limit", "window_length"), [(500, 4), (60, 3), (17, 2), (30, 1)])
def test_no_state_crosses_an_episode(limit, window_length):
    rng = np.random.default_rng(limit)
    memory = SequentialMemory(limit, window_length=window_length, seed=1)
    for episode in range(1, 60):
        length = rng.integers(1, 12)
        for step in range(1, length + 2):
            memory.append(np.array([episode, step]), 0, float(step), step == length, truncated=bool(episode % 2))
    for experience in memory.sample(2000):
        episode, step = experience.state0[-1]
        assert tuple(experience.state1[-1]) == (episode, step + 1)  # no reset is taken for a transition
        assert experience.reward == step
        expected = [(episode, s) if s > 0 else (0, 0) for s in range(step - window_length + 1, step + 1)]
        assert [tuple(frame) for frame in experience.state0] == expected
        assert [tuple(frame) for frame in experience.state1[:-1]] == expected[1:]


def test_states_may_reach_into_the_episode_before_when_asked():
    memory = SequentialMemory(50, window_length=3, ignore_episode_boundaries=True)
    play([memory], [2] * 12, lambda i: np.array([i]))
    for experience in memory.sample(200):
        newest = experience.state0[-1][0]
        assert [frame[0] for frame in experience.state0] == [newest - 2, newest - 1, newest]


def test_truncated_episode_ends_without_being_terminal():
    memory = SequentialMemory(20, window_length=2)
    for i in range(1, 12):
        memory.append(np.array([i]), 0, 1.0, terminal=i in (4, 9), truncated=i == 4)
    by_frame = {int(e.state0[-1][0]): e for e in memory.sample(8, batch_idxs=[2, 3, 5, 6, 7, 8, 3, 8])}
    assert not by_frame[4].terminal1 and by_frame[9].terminal1
    assert not any(by_frame[i].terminal1 for i in (3, 6, 7, 8))
    assert [frame[0] for frame in by_frame[6].state0] == [0, 6]  # 5 was the truncated episode's last observation
    assert memory.terminals.tolist() == [i in (4, 9) for i in range(1, 12)]


def test_batch_holds_no_transition_twice_while_enough_are_stored():
    memory = SequentialMemory(40, seed=3)
    play([memory], [39], lambda i: np.array([i]))  # 38 transitions that may be drawn, no reset among them
    for size in (1, 16, 37, 38):
        drawn = [int(e.state0[0][0]) for e in memory.sample(size)]
        assert len(set(drawn)) == size


def test_small_memory_is_drawn_with_replacement_and_without_warnings():
    memory = SequentialMemory(40, seed=3)
    play([memory], [5], lambda i: np.array([i]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = [int(e.state0[0][0]) for e in memory.sample(32)]
    assert len(drawn) == 32 and set(drawn) == {1, 2, 3, 4}


@pytest.mark.parametrize("size", [2, 32])
@pytest.mark.parametrize("lengths", [[99], [9] * 10])  # without and with resets, which are drawn anew
def test_every_transition_is_equally_likely(lengths, size):
    memory = SequentialMemory(100, seed=0)
    play([memory], lengths, lambda i: np.array([i]))
    candidates = len(transitions(memory))
    counts = np.zeros(100)
    for _ in range(9600 // size):
        for experience in memory.sample(size):
            counts[experience.state0[0][0]] += 1
    drawn = counts[counts > 0]
    assert len(drawn) == candidates
    expected = 9600 / candidates
    chi_squared = np.sum((drawn - expected) ** 2 / expected)
    assert chi_squared < candidates + 4 * np.sqrt(2 * candidates)  # mean and 4 standard deviations


def test_one_seed_one_sequence_of_draws():
    def draws(seed):
        memory = SequentialMemory(200, window_length=2, seed=seed)
        play([memory], [7] * 20, lambda i: np.array([i]))
        return [[int(e.state0[-1][0]) for e in memory.sample(8)] for _ in range(20)]

    assert draws(5) == draws(5) != draws(6)


@pytest.mark.parametrize("nb_steps", [6, 40, 5_000])  # equal numbers in every batch, in half of them, in few
def test_batches_drawn_at_once_are_those_drawn_one_by_one(nb_steps):
    at_once, one_by_one = SequentialMemory(10_000, seed=5), SequentialMemory(10_000, seed=5)
    for i in range(nb_steps):
        for memory in (at_once, one_by_one):
            memory.append(np.float32(i), 0, 0.0, terminal=False)
    for _ in range(20):
        batches = [one_by_one.draw(8).frames[0] for _ in range(3)]
        np.testing.assert_array_equal(at_once.draw(8, nb_batches=3).frames[0], np.concatenate(batches))


def test_seed_starts_the_draws_anew():
    memory = SequentialMemory(200)
    play([memory], [7] * 20, lambda i: np.array([i]))
    memory.seed(11)
    first = [e.action for e in memory.sample(50)]
    memory.seed(11)
    assert [e.action for e in memory.sample(50)] == first


# Storage


def test_observations_keep_their_dtype():
    for dtype in (np.uint8, np.float32, np.float64, np.int64, np.bool_):
        memory = SequentialMemory(10, window_length=2)
        play([memory], [3, 3], lambda i, dtype=dtype: np.full((2,), i % 2, dtype))
        experience = memory.sample(1, batch_idxs=[2])[0]
        assert all(frame.dtype == dtype for frame in [*experience.state0, *experience.state1])
        assert memory.observations[0].dtype == dtype


def test_numbers_that_do_not_fit_the_first_dtype_are_kept():
    memory = SequentialMemory(10)
    for observation in ([0, 0], [0.5, 1.0], [300, 2], [-7, 1e9]):
        memory.append(observation, 0, 0.0, terminal=False)
    np.testing.assert_array_equal(memory.observations, [[0, 0], [0.5, 1.0], [300, 2], [-7, 1e9]])
    memory = SequentialMemory(10)
    for value in (1, 300, 2**40):
        memory.append(np.array([value], np.int8 if value == 1 else np.int64), 0, 0.0, terminal=False)
    np.testing.assert_array_equal(memory.observations, [[1], [300], [2**40]])


def test_stored_observations_are_copies():
    memory, frame = SequentialMemory(10), np.zeros(2)
    for i in range(4):
        frame[:] = i
        memory.append(frame, 0, 0.0, terminal=False)
    np.testing.assert_array_equal(memory.observations, [[i, i] for i in range(4)])


def test_dict_observations_are_told_apart_by_name_not_by_order():
    memory = SequentialMemory(10)
    memory.append({"a": np.array([1.0]), "b": np.array([2.0])}, 0, 0.0, terminal=False)
    memory.append({"b": np.array([4.0]), "a": np.array([3.0])}, 0, 0.0, terminal=False)
    assert [(o["a"][0], o["b"][0]) for o in memory.observations] == [(1, 2), (3, 4)]


def test_frames_are_stored_once_in_their_own_size():
    limit, shape = 4000, (84, 84)
    frame = np.full(shape, 7, np.uint8)
    tracemalloc.start()
    memory = SequentialMemory(limit, window_length=4)
    for i in range(limit + 50):
        memory.append(frame, 0, 0.0, terminal=i % 100 == 99)
        if i % 1000 == 999:
            memory.draw(32)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert frame.nbytes * limit <= size < 1.1 * frame.nbytes * limit


@pytest.mark.long
def test_the_first_type_does_not_decide_how_exact_later_observations_are():
    kinds = [np.bool_, np.uint8, np.int16, np.float16, np.float32, np.float64]
    for values in itertools.permutations([True, 200, -7, 0.5, 70_000, 0.1, 2**40, np.nan], 3):
        for first in kinds:
            memory = SequentialMemory(10)
            memory.append(np.zeros(1, first), 0, 0.0, terminal=False)
            for value in values:
                memory.append(np.array([value]), 0, 0.0, terminal=False)
            np.testing.assert_array_equal(np.ravel(memory.observations), [0.0, *values])


@pytest.mark.parametrize(("first", "later"), [(np.float32, 0.25), (np.float64, np.float32(0.1)), (np.int64, 3.0)])
def test_a_type_that_holds_all_observations_stays(first, later):
    memory = SequentialMemory(10)
    memory.append(np.ones(2, first), 0, 0.0, terminal=False)
    memory.append(np.full(2, later), 0, 0.0, terminal=False)
    assert memory.observations[0].dtype == first


def test_a_wider_type_takes_no_room_for_what_is_not_stored_yet():
    memory = SequentialMemory(limit=10**7)
    memory.append(np.zeros((210, 160, 3), np.uint8), 0, 0.0, terminal=False)
    memory.append(np.full((210, 160, 3), 0.1), 0, 0.0, terminal=False)  # 8 TB when it is full
    assert [observation.max() for observation in memory.observations] == [0, 0.1]


class Series:
    """A row of a table, as in pandas: no array, but it has a shape and makes an array when it is asked for one."""

    def __init__(self, *values):
        self.values, self.shape = values, (len(values),)

    def __len__(self):
        return len(self.values)

    def __iter__(self):
        return iter(self.values)

    def __getitem__(self, label):
        return dict(zip("abc", self.values, strict=True))[label]

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)


Pair = collections.namedtuple("Pair", "place speed")
NO_ARRAYS = {
    "series": lambda i: Series(i, 1.0, 2.0),
    "deque": lambda i: collections.deque([i, 1, 2.5]),
    "range": lambda i: range(i, i + 3),
    "numpy's numbers": lambda i: [np.float64(i), np.float64(1)],
    "nested": lambda i: [[i, 1], [2, 3]],
    "tuple of lists": lambda i: ([i, 1.5], [2, 3]),
    "tuple": lambda i: (i, 2, i % 2 == 0),
    "named tuple": lambda i: Pair(i, 0.5),
    "named tuple of arrays": lambda i: Pair(np.array([i]), np.array([0.5, i])),
    "array and number": lambda i: (np.array([i, 1.0]), 5),
    "dict": lambda i: {"a": i, "b": [i, 1]},
}


@pytest.mark.parametrize("kind", NO_ARRAYS)
def test_windows_over_what_is_no_array(kind):
    observe, memory = NO_ARRAYS[kind], SequentialMemory(20, window_length=3)
    kinds = list(map(np.shape, parts(observe(1))))
    window = memory.get_recent_state(observe(1))
    assert [list(map(np.shape, parts(observation))) for observation in window] == [kinds] * 3
    assert [max(np.max(part) for part in parts(observation)) for observation in window[:2]] == [0, 0]
    play([memory], [1, 4], observe)
    (experience,) = memory.sample(1, batch_idxs=[3])
    for actual, expected in zip(experience.state1, map(observe, (2, 3, 4)), strict=True):
        for one, other in zip(parts(actual), parts(expected), strict=True):
            np.testing.assert_array_equal(one, other)


# Pickles and copies


@pytest.mark.parametrize("kind", [SequentialMemory, PrioritizedMemory])
@pytest.mark.parametrize("nb_steps", [0, 40, 150])
@pytest.mark.parametrize("copied", [lambda memory: pickle.loads(pickle.dumps(memory)), copy.deepcopy])
def test_a_copy_goes_on_as_the_memory_does(kind, nb_steps, copied):
    memory = kind(100, window_length=2, seed=3)

    def go_on(memory, nb_steps, start):
        for i in range(start, start + nb_steps):
            memory.append(OBSERVATIONS["dict"](i), i % 5, i / 7, terminal=i % 9 == 8, truncated=i % 2 == 0)
            if i % 30 == 29 and kind is PrioritizedMemory:
                memory.update_priorities(memory.draw(4).rows, np.arange(4.0))
        return memory

    other = copied(go_on(memory, nb_steps, 0))
    other.note = "of another"
    for each in (memory, other):
        go_on(each, 60, nb_steps)  # beyond the limit
    assert_same_state(other.observations, memory.observations)
    for name in ("actions", "rewards", "terminals"):
        np.testing.assert_array_equal(getattr(other, name), getattr(memory, name))
    frames, *rest = memory.draw(32)
    other_frames, *other_rest = other.draw(32)
    for one, another in zip([*frames, *rest], [*other_frames, *other_rest], strict=True):
        np.testing.assert_array_equal(one, another)
    assert not hasattr(memory, "note")


@pytest.mark.parametrize("kind", [SequentialMemory, PrioritizedMemory])
def test_a_pickle_is_about_as_large_as_what_is_stored(kind):
    memory = kind(limit=10**6)
    for i in range(30):
        memory.append(np.full((84, 84), i, np.uint8), 0, 0.0, terminal=False)
    assert 30 * 84 * 84 < len(pickle.dumps(memory)) < 33 * 84 * 84
    assert len(pickle.dumps(kind(limit=10**6))) < 5_000


# What is refused


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.zeros(3), np.zeros(4)),
        (np.zeros(3), np.zeros((3, 1))),
        (np.zeros(3), 0.0),
        (np.zeros(3), (np.zeros(3), np.zeros(3))),
        ((np.zeros(3), np.zeros(3)), np.zeros(3)),
        ({"a": np.zeros(3), "b": np.zeros(3)}, {"a": np.zeros(3)}),
        ({"a": np.zeros(3), "b": np.zeros(3)}, {"a": np.zeros(3), "c": np.zeros(3)}),
    ],
)
def test_changed_shape_is_refused(first, second, refused):
    memory = SequentialMemory(10)
    memory.append(first, 0, 0.0, terminal=False)
    with refused():
        memory.append(second, 0, 0.0, terminal=False)
    assert memory.nb_entries == 1


@pytest.mark.parametrize("observation", ["north", None, np.array(["a", "b"]), {"place": "north"}, [object()]])
def test_observation_without_numbers_is_refused(observation, refused):
    with refused("numbers"):
        SequentialMemory(10).append(observation, 0, 0.0, terminal=False)


@pytest.mark.parametrize("arguments", [(0, 1), (-1, 1), (10, 0), (10, -1)])
def test_impossible_sizes_are_refused(arguments, refused):
    with refused("at least 1"):
        SequentialMemory(*arguments)


@pytest.mark.parametrize("kind", [SequentialMemory, PrioritizedMemory])
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_memory_too_small_to_learn_from_still_remembers(kind, limit):
    ours, theirs = kind(limit), rl.memory.SequentialMemory(limit, window_length=1)
    play([ours, theirs], [4, 1], lambda i: np.array([i]))
    np.testing.assert_array_equal(ours.observations, list(theirs.observations))
    np.testing.assert_array_equal(ours.rewards, list(theirs.rewards))
    assert ours.get_recent_state(np.array([7])) == theirs.get_recent_state(np.array([7]))


@pytest.mark.parametrize("window_length", [1, 4])
def test_the_smallest_memory_has_a_step_to_draw(window_length):
    memory = SequentialMemory(window_length + 3, window_length)
    play([memory], [30], lambda i: np.array([i]))
    assert len(memory.sample(2)) == 2


@pytest.mark.parametrize("nb_steps", range(1, 16))
def test_a_cut_ends_the_last_step_wherever_the_ring_stands(nb_steps):
    memory = SequentialMemory(7)
    for i in range(nb_steps):
        memory.append(np.array([i]), 0, 1.0, terminal=False)
    memory.truncate_episode(np.array([nb_steps]))
    held = min(nb_steps + 1, 7)
    assert list(memory.terminals) == [False] * (held - 2) + [True, False]
    assert list(memory.rewards) == [1.0] * (held - 1) + [0.0]
    assert [observation.item() for observation in memory.observations][-2:] == [nb_steps - 1, nb_steps]
    memory.append(np.array([100]), 0, 1.0, terminal=True)
    memory.truncate_episode(np.array([101]))  # the episode has ended: there is nothing to cut
    assert memory.observations[-1].item() == 100


@pytest.mark.parametrize("indexes", [[1], [-3], [19], [25], [5, 6]])
def test_indexes_out_of_range_are_refused(indexes, refused):
    memory, keras_rls = SequentialMemory(20, window_length=2), rl.memory.SequentialMemory(20, window_length=2)
    play([memory, keras_rls], [30], lambda i: np.array([i]))
    with refused("from 2 to 18"):
        memory.sample(1, batch_idxs=indexes)
    with pytest.raises(AssertionError):
        keras_rls.sample(1, batch_idxs=indexes)


def test_too_few_steps_for_a_sample_are_told(refused):
    memory = SequentialMemory(10, window_length=2)
    play([memory], [2], lambda i: np.array([i]))
    with refused("3 steps"):
        memory.sample(4)


def test_memory_of_episode_ends_only_is_told(refused):
    memory = SequentialMemory(20)
    for i in range(10):
        memory.append(np.array([i]), 0, 0.0, terminal=True)
    with refused("step"):
        memory.sample(4)


def test_a_memory_may_be_larger_than_the_machines():
    memory = SequentialMemory(limit=10**7, window_length=1)
    for step in range(4):
        memory.append(np.full((210, 160, 3), step, np.float32), 0, 0.0, terminal=False)  # 4 TB when it is full
    assert [observation.max() for observation in memory.observations] == [0, 1, 2, 3]


# Actions and rewards as they are given


GIVEN = {
    "numbers": ([1, 0, 3], [0.4, 1.0, -2.5]),
    "whole rewards": ([1, 0, 3], [1, 0, 2]),
    "narrow": (list(np.array([0.7, 0.1, 0.2], np.float32)), list(np.array([0.4, 1.0, 2.0], np.float32))),
    "float actions": ([0.7, 0.1, -1.3], [0.1, 0.2, 0.3]),
    "arrays": (list(np.array([[0.7, 1], [0.2, 3], [5, 6]])), list(np.array([[0.4], [1], [2]], np.float32))),
    "flags": ([True, False, True], [True, True, False]),
}


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize("kind", [SequentialMemory, PrioritizedMemory])
def test_actions_and_rewards_come_back_as_they_were_given(kind, name):
    actions, rewards = GIVEN[name]
    memory = kind(limit=10)
    for i in range(10):
        memory.append(np.zeros(2, np.float32), actions[i % 3], rewards[i % 3], False)
    experiences = memory.sample(5, batch_idxs=range(1, 6))
    for i, experience in enumerate(experiences, 1):
        for actual, expected in ((experience.action, actions[i % 3]), (experience.reward, rewards[i % 3])):
            assert type(actual) is type(expected)
            assert getattr(actual, "dtype", None) == getattr(expected, "dtype", None)
            np.testing.assert_array_equal(actual, expected)


def test_a_later_value_that_does_not_fit_changes_none_before_it():
    memory = SequentialMemory(limit=20)
    values = [1, 2, np.float32(0.4), 0.4, 2**40, np.uint8(7), 0.0, -0.1, True]
    for value in values:
        memory.append(0.0, value, value, False)
    assert memory.actions.tolist() == memory.rewards.tolist() == [float(value) for value in values]


def test_an_end_that_is_not_acted_upon_changes_no_type():
    memory = SequentialMemory(limit=20)
    for _ in range(3):
        memory.append(0.0, np.full(2, 0.7, np.float32), np.float32(0.4), False)
        memory.truncate_episode(1.0)
        memory.append(0.0, np.full(2, 0.7, np.float32), 0.0, False)  # as at the end of an episode
    assert (memory.actions.dtype, memory.rewards.dtype, memory.actions.shape) == (np.float32, np.float32, (9, 2))


@pytest.mark.parametrize("value", ["left", None, object(), [0.1, 0.2, 0.3], np.zeros((2, 1))])
def test_what_is_no_such_action_is_refused(value, refused):
    memory = SequentialMemory(limit=10)
    memory.append(0.0, np.zeros(2), 0.0, False)
    with refused("the action"):
        memory.append(0.0, value, 0.0, False)


def test_returns_of_several_steps_have_continuous_actions():
    memory = SequentialMemory(limit=30)
    for i in range(30):
        memory.append(np.array([i], np.float32), np.array([i / 7, -i]), np.float32(i / 10), False)
    sample = memory.draw(8, n_step=3, gamma=0.5)
    first = sample.frames[0][:, 0, 0]
    np.testing.assert_array_equal(sample.actions, np.stack([first.astype(float) / 7, -first], 1))
    np.testing.assert_allclose(sample.rewards, (first + (first + 1) / 2 + (first + 2) / 4) / 10, 1e-6)


def test_a_limit_may_be_written_as_a_float():
    memory = SequentialMemory(1e1)
    assert (memory.limit, type(memory.limit)) == (10, int)
