"""Packed transitions, and what is learned from them, against those that `draw` returns as arrays."""

import copy
import pickle

import keras
import numpy as np
import pytest

from kerasrl import DQNAgent, PrioritizedMemory, SequentialMemory

RNG = np.random.default_rng(0)
NUMBERS = RNG.standard_normal((400, 5))
OBSERVATIONS = {
    "vectors": lambda i: NUMBERS[i].astype(np.float32),
    "in 64 bits": lambda i: NUMBERS[i],
    "in 16 bits": lambda i: NUMBERS[i].astype(np.float16),
    "lists": lambda i: NUMBERS[i].tolist(),
    "numbers": lambda i: NUMBERS[i, 0],
    "one name": lambda i: {"state": NUMBERS[i]},
}
ACTIONS = {"number": lambda i: i % 3, "vector": lambda i: NUMBERS[i, :2], "vector of one": lambda i: np.array([i % 3])}


def store(memory, steps, observe=OBSERVATIONS["in 64 bits"], act=ACTIONS["number"]):
    """Episodes of 9 steps, half of them cut off by a time limit; rewards that 32 bits do not hold."""
    for i in steps:
        memory.append(observe(i), act(i), i * 0.1, terminal=i % 10 == 8, truncated=i % 20 == 8)


def assert_same_draws(packed, plain, nb_batches=2):
    """Both memories draw the same: as rows, and as arrays, of which a network is given 32 bits."""
    sample = plain.draw(8, nb_batches, gamma=0.99)
    columns = [sample.frames[0], sample.actions, sample.rewards, sample.discounts > 0]
    expected = np.concatenate([np.reshape(column, (8 * nb_batches, -1)) for column in columns], axis=1)
    assert packed.packed() is not None
    np.testing.assert_array_equal(packed.draw_packed(8, nb_batches), expected.astype(np.float32))


@pytest.mark.parametrize("limit", [1_000, 37])  # 37: the ring is overwritten several times
@pytest.mark.parametrize("act", ACTIONS)
@pytest.mark.parametrize("observe", OBSERVATIONS)
def test_rows_hold_what_is_drawn_as_arrays(observe, act, limit):
    one, other = (SequentialMemory(limit, seed=3) for _ in range(2))
    for start in range(0, 150, 15):
        for memory in (one, other):
            store(memory, range(start, start + 15), OBSERVATIONS[observe], ACTIONS[act])
        for nb_batches in (1, 2):
            assert_same_draws(one, other, nb_batches)


@pytest.mark.parametrize("copied", [lambda memory: pickle.loads(pickle.dumps(memory)), copy.deepcopy])
def test_a_copy_goes_on_in_rows_of_its_own(copied):
    memory = SequentialMemory(37, seed=3)
    store(memory, range(80))
    assert memory.packed() is not None
    one, other = copied(memory), copied(memory)
    store(memory, range(200, 230))
    for each in (one, other):
        store(each, range(80, 100))
    assert_same_draws(one, other)
    assert len(pickle.dumps(memory)) < 37 * (5 * 8 + 8 + 8 + 2) + 3_000  # without the rows


def test_a_cut_is_known_to_rows_too():
    one, other = (SequentialMemory(100, seed=3) for _ in range(2))
    for memory in (one, other):
        store(memory, range(25))
        memory.packed()
        memory.truncate_episode(NUMBERS[25])
        store(memory, range(30, 45))
    for _ in range(10):
        assert_same_draws(one, other)


def test_what_is_stored_stays_as_exact_as_it_was_given():
    memory = SequentialMemory(100)
    store(memory, range(20))
    memory.packed()
    store(memory, range(20, 60))
    assert memory.rewards.tolist() == [i * 0.1 for i in range(60)]
    np.testing.assert_array_equal(memory.observations[:], NUMBERS[:60])


@pytest.mark.parametrize(
    ("memory", "observe"),
    [
        (lambda: SequentialMemory(50), lambda i: np.full((3, 3), i, np.float32)),
        (lambda: SequentialMemory(50), lambda i: np.full(3, i)),
        (lambda: SequentialMemory(50), lambda i: np.full(1_000, i, np.float32)),
        (lambda: SequentialMemory(50), lambda i: {"a": np.full(3, 0.5), "b": np.full(3, 0.5)}),
        (lambda: SequentialMemory(50, window_length=2), OBSERVATIONS["vectors"]),
        (lambda: PrioritizedMemory(50), OBSERVATIONS["vectors"]),
    ],
    ids=["images", "whole numbers", "large ones", "several parts", "windows", "priorities"],
)
def test_what_is_no_small_vector_is_not_packed(memory, observe):
    memory = memory()
    assert memory.packed() is None  # before the first step, too
    store(memory, range(30), observe)
    assert memory.packed() is None


class DrawsArrays(SequentialMemory):
    """A `draw` of one's own, which is called."""

    nb_draws = 0

    def draw(self, *arguments, **options):
        self.nb_draws += 1
        return super().draw(*arguments, **options)


class DrawsRows(SequentialMemory):
    nb_draws = 0

    def draw_packed(self, *arguments):
        self.nb_draws += 1
        return super().draw_packed(*arguments)


class Walk:
    """Observations, rewards and time limits that 32 bits do not hold, or that need all of them."""

    def __init__(self):
        self.i = 0

    def reset(self):
        return NUMBERS[self.i % 400]

    def step(self, action):
        self.i += 1
        ends = self.i % 10 == 8
        return NUMBERS[self.i % 400], 0.1 * action - 0.3, ends, {"TimeLimit.truncated": ends and self.i % 20 == 8}


@pytest.mark.parametrize(
    "options",
    [pytest.param({}, marks=pytest.mark.long), {"gradient_steps": 3, "train_interval": 2, "enable_double_dqn": True}],
    ids=["one update", "several"],
)
def test_the_same_is_learned_from_rows_and_from_arrays(options):
    def learn(memory):
        keras.utils.set_random_seed(1)
        model = keras.Sequential(
            [keras.Input((1, 5)), keras.layers.Flatten(), keras.layers.Dense(8, "relu"), keras.layers.Dense(2)]
        )
        agent = DQNAgent(model, nb_actions=2, memory=memory, nb_steps_warmup=5, target_model_update=0.1, **options)
        agent.compile("adam", metrics=["mae"])
        agent.fit(Walk(), nb_steps=60, verbose=0, seed=3)
        agent.gamma = 0.5
        agent.fit(Walk(), nb_steps=30, verbose=0, seed=4)
        assert memory.nb_draws > 40 / options.get("train_interval", 1)
        return agent.get_weights()

    for one, other in zip(learn(DrawsRows(40)), learn(DrawsArrays(40)), strict=True):
        np.testing.assert_array_equal(one, other)
