"""What processors hold, in weights files: it comes back, and neither strange files nor other processors get by."""

import threading

import h5py
import keras
import numpy as np
import pytest
import rl.core
from keras import layers
from rl.processors import MultiInputProcessor, WhiteningNormalizerProcessor

from kerasrl import DDPGAgent, DQNAgent, SequentialMemory, WeightsError
from kerasrl.storage import files, held_state, weights
from kerasrl.storage.encoding import Encoder, Held
from kerasrl.storage.object_state import ObjectEncoder


def build_agent(processor=None):
    model = keras.Sequential([keras.Input((1, 2)), layers.Flatten(), layers.Dense(2)])
    agent = DQNAgent(model, nb_actions=2, memory=SequentialMemory(20), processor=processor)
    agent.compile("sgd")
    return agent


class Counting(rl.core.Processor):
    """Holds plain attributes, among them what no file can hold and what is no state."""

    def __init__(self, scale=1.0):
        self.scale, self.seen, self.names = scale, np.zeros(2), {"a": [1, 2.5]}
        self.function, self.lock, self.itself = np.sin, threading.Lock(), [self]


class Saying(rl.core.Processor):
    """Says itself what it holds."""

    def __init__(self):
        self.inner, self.generator = object(), np.random.default_rng(1)

    def get_state(self):
        return {"generator": self.generator, "number": getattr(self, "number", 0)}

    def set_state(self, state):
        self.generator, self.number = state["generator"], state["number"]


class Derived(Counting):
    """Another one for tests, as people make it: without what only a training needs."""

    def __init__(self):
        super().__init__()
        self.more = 3


def test_attributes_come_back(tmp_path):
    processor, other = Counting(), Derived()
    processor.seen += (3, 4)
    processor.names["b"] = np.float32(0.1)
    build_agent(processor).save_weights(tmp_path / "w.h5f")
    lock = other.lock
    build_agent(other).load_weights(tmp_path / "w.h5f")
    assert other.seen.tolist() == [3, 4] and other.names == {"a": [1, 2.5], "b": np.float32(0.1)}
    assert other.more == 3 and other.lock is lock and other.itself[0] is other
    other.seen += 1  # what was read can be written to


def test_what_a_processor_says_comes_back(tmp_path):
    processor, other = Saying(), Saying()
    processor.number = 7
    processor.generator.random(5)
    build_agent(processor).save_weights(tmp_path / "w.h5f")
    build_agent(other).load_weights(tmp_path / "w.h5f")
    assert other.number == 7 and other.generator.random() == processor.generator.random()


def test_keras_rls_statistics_come_back(tmp_path):
    processor, other = WhiteningNormalizerProcessor(), WhiteningNormalizerProcessor()
    saved, agent = build_agent(processor), build_agent(other)
    batch = np.random.default_rng(0).normal(50, 3, (40, 1, 2))
    processor.process_state_batch(batch)
    saved.save_weights(tmp_path / "w.h5f")
    agent.load_weights(tmp_path / "w.h5f")
    for name, value in vars(processor.normalizer).items():
        np.testing.assert_array_equal(getattr(other.normalizer, name), value)
    np.testing.assert_array_equal(saved.compute_q_values([batch[0, 0]]), agent.compute_q_values([batch[0, 0]]))


@pytest.mark.long
def test_both_files_of_a_pair_have_it_and_older_values_have_theirs(tmp_path):
    def build(processor):
        state, action = keras.Input((1, 2)), keras.Input((1,))
        flat = layers.Flatten()(state)
        critic = keras.Model([state, action], layers.Dense(1)(layers.Concatenate()([flat, action])))
        actor = keras.Model(state, layers.Dense(1)(flat))
        agent = DDPGAgent(1, actor, critic, action, SequentialMemory(20), processor=processor)
        agent.compile("sgd")
        return agent

    agent = build(Saying())
    values, held = agent.get_weights(), agent.held_state()
    agent.processor.number = 9
    agent.write_weights(tmp_path / "then.h5f", values, held)
    agent.save_weights(tmp_path / "now.h5f")
    for name, number in (("then", 0), ("now", 9)):
        other = build(Saying())
        other.load_weights(tmp_path / f"{name}.h5f")
        assert other.processor.number == number
        assert all(weights.read(tmp_path / f"{name}_{part}.h5f").held for part in ("actor", "critic"))


@pytest.mark.parametrize("processor", [None, rl.core.Processor(), MultiInputProcessor(1)])
def test_without_a_state_files_are_as_they_were(processor, tmp_path):
    build_agent(processor).save_weights(tmp_path / "w.h5f")
    assert weights.read(tmp_path / "w.h5f").held is None
    with h5py.File(tmp_path / "w.h5f") as file:
        assert "kerasrl_held" not in file
    build_agent(processor).load_weights(tmp_path / "w.h5f")  # without a note


def test_what_cannot_be_kept_is_noted_once(tmp_path, noted):
    class Locked(rl.core.Processor):
        def __init__(self):
            self.thing, self.number = object(), 3

    with noted("Locked", "thing"):
        for _ in range(2):
            build_agent(Locked()).save_weights(tmp_path / "w.h5f", overwrite=True)
    other = Locked()
    other.number = 4
    build_agent(other).load_weights(tmp_path / "w.h5f")
    assert other.number == 3


def test_an_older_file_is_noted(tmp_path, noted):
    build_agent().save_weights(tmp_path / "w.h5f")
    processor = Saying()
    with noted("w.h5f", "Saying"):
        build_agent(processor).load_weights(tmp_path / "w.h5f")


@pytest.mark.parametrize("other", [None, Saying(), rl.core.Processor()], ids=lambda other: type(other).__name__)
def test_the_state_of_another_processor_is_refused(tmp_path, other, refused):
    build_agent(Counting()).save_weights(tmp_path / "w.h5f")
    with refused("w.h5f", "Counting", error=WeightsError):
        build_agent(other).load_weights(tmp_path / "w.h5f")


def test_where_mismatches_are_skipped_the_processor_stays_as_it_is(tmp_path, noted):
    build_agent(Counting()).save_weights(tmp_path / "w.h5f")
    other = Saying()
    other.number = 4
    with noted("w.h5f", "Counting"):
        build_agent(other).load_weights(tmp_path / "w.h5f", skip_mismatch=True)
    assert other.number == 4


# Files that somebody else has made


def strange(path, tree, processor):
    """Write weights whose file has this in place of what the processor holds."""
    content = tree if isinstance(tree, bytes) else ObjectEncoder().encode(tree)
    agent = build_agent(processor)
    agent.write_weights(path, agent.get_weights(), content)


WHITENING = {"eps": 0.01, "shape": (1, 2), "dtype": "<f8", "_count": 1}
ARRAYS = ("_sum", "_sumsq", "mean", "std")
WHITENING |= {name: np.zeros((1, 2)) for name in ARRAYS}


def whitening(**others):
    held = Held("WhiteningNormalizer", "WhiteningNormalizer", {**WHITENING, **others})
    return {"processor": Held("attributes", "WhiteningNormalizerProcessor", {"normalizer": held})}


@pytest.mark.parametrize(
    ("tree", "processor"),
    [
        (b"", Saying),
        (b"\x80\x04\x95 no pickle", Saying),
        (Encoder().encode([1, 2]), Saying),
        (Encoder().encode(None), Saying),
        ({"processor": 3}, Saying),
        ({"processor": Held("Generator", "Generator", {"bit_generator": "MT19937"})}, Saying),
        ({"processor": Held("state", "Saying", {"number": 3})}, Saying),
        ({"processor": Held("state", "Saying", [])}, Saying),
        ({"processor": Held("attributes", "Counting", {3: 4})}, Counting),
        ({"processor": Held("attributes", "Counting", [1])}, Counting),
        ({"nobody": Held("attributes", "Counting", {"seen": 1})}, Counting),
        ({"processor": Held("attributes", "Counting", {"seen": list(map(str, range(2**16)))})}, Counting),
        (whitening(shape=(10**6, 1)), WhiteningNormalizerProcessor),
        (whitening(shape=(5, 2), **dict.fromkeys(ARRAYS, np.zeros((5, 2)))), WhiteningNormalizerProcessor),
        (whitening(mean="x"), WhiteningNormalizerProcessor),
        (whitening(_count="many"), WhiteningNormalizerProcessor),
    ],
    ids=range(16),
)
def test_strange_states_are_one_line(tmp_path, tree, processor, refused):
    strange(tmp_path / "w.h5f", tree, processor())
    with refused("w.h5f", error=WeightsError):
        build_agent(processor()).load_weights(tmp_path / "w.h5f")


def test_a_state_of_64_megabytes_is_not_read(tmp_path, refused, monkeypatch):
    monkeypatch.setattr(held_state, "MOST_BYTES", 1_000)
    strange(tmp_path / "w.h5f", {"processor": Held("attributes", "Counting", {"seen": np.zeros(1_000)})}, Counting())
    with refused("w.h5f", error=WeightsError):
        build_agent(Counting()).load_weights(tmp_path / "w.h5f")


@pytest.mark.parametrize("held", [np.zeros(3), np.zeros((2, 2), np.uint8), h5py.SoftLink("/dense")])
def test_what_is_no_array_of_bytes_is_refused(tmp_path, held, refused):
    with h5py.File(tmp_path / "w.h5f", "w", userblock_size=512) as file:
        file.attrs["layer_names"], file.attrs["kerasrl"] = [b"dense"], "null"
        file["dense/kernel"] = np.zeros(4)
        file["dense"].attrs["weight_names"] = [b"kernel"]
        file["kerasrl_held"] = held
    (tmp_path / "w.h5f").write_bytes(files.seal(weights._KIND, (tmp_path / "w.h5f").read_bytes()[512:]))
    with refused("w.h5f", error=WeightsError):
        weights.read(tmp_path / "w.h5f")
