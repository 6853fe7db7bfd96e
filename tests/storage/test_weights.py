"""Weights files: what is written, what is read of every generation, and what is said about files that hold none."""

import errno
import fcntl
import json
import os
import shutil
import stat
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasrl.errors import WeightsError
from kerasrl.storage import files, weights
from kerasrl.storage.appearing import appearing
from kerasrl.tools.export.formats import require_free
from model import build_model

DATA = Path(__file__).parents[1] / "data"
pytestmark = pytest.mark.apart

HDF5 = DATA / "keras_rl_0.4.2_hdf5.h5f"
CHECKPOINT = DATA / "keras_rl2_tf24_checkpoint.h5f"


def normalised_model():
    """A model with a layer whose weights are not all trained, and with random values."""
    model = keras.Sequential([keras.Input((1, 4)), keras.layers.Flatten(), keras.layers.Dense(3)])
    model.add(keras.layers.BatchNormalization())
    model.add(keras.layers.Dense(2))
    for variable in model.variables:
        variable.assign(np.random.normal(size=variable.shape))
    return model


def assert_same_weights(model, other):
    for ours, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.fixture
def saved(tmp_path):
    """A model and the file that holds its weights."""
    model, path = build_model(4, 2), tmp_path / "dqn_weights.h5f"
    weights.write(path, model, {"env": "CartPole-v0"})
    return model, path


# Writing


def test_what_is_written_is_read(tmp_path):
    model, other = normalised_model(), normalised_model()
    metadata = {"env": "CartPole-v0", "hidden_layers": [16, 16], "gamma": 0.99, "seed": 2**32 - 1, "name": "Käfer"}
    weights.write(tmp_path / "w.h5f", model, metadata)
    read = weights.read(tmp_path / "w.h5f")
    weights.assign(other, read)
    assert_same_weights(model, other)
    assert read.metadata == metadata
    assert read.origin == "this project"


@pytest.mark.long
@pytest.mark.parametrize("metadata", [None, {"history": list(range(50_000))}])
def test_any_metadata_is_kept(tmp_path, metadata):
    weights.write(tmp_path / "w.h5f", build_model(4, 2), metadata)
    assert weights.read(tmp_path / "w.h5f").metadata == metadata


def test_the_same_weights_make_the_same_file(saved, tmp_path):
    model, path = saved
    weights.write(tmp_path / "again", model, {"env": "CartPole-v0"})
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


@pytest.mark.long
def test_keras_reads_what_is_written(tmp_path):
    model, other = normalised_model(), normalised_model()
    weights.write(tmp_path / "w.h5f", model, {"env": "CartPole-v0"})
    shutil.copy(tmp_path / "w.h5f", tmp_path / "w.h5")
    other.load_weights(tmp_path / "w.h5")
    assert_same_weights(model, other)


@pytest.mark.long
def test_a_file_replaces_the_old_one_after_it_is_on_the_disk(saved, monkeypatch):
    _, path = saved
    calls, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (calls.append("flushed"), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda *names: (calls.append("renamed"), replace(*names)))
    other = build_model(4, 2)
    weights.write(path, other, None)
    assert calls == ["flushed", "renamed", "flushed"]
    model = build_model(4, 2)
    weights.assign(model, weights.read(path))
    assert_same_weights(model, other)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(saved, monkeypatch, step):
    model, path = saved
    before = path.read_bytes()

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        weights.write(path, model, {"changed": True})
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_in_the_way_is_an_os_error_and_leaves_nothing(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        weights.write(tmp_path / "folder", build_model(4, 2), None)
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]


def test_a_file_has_the_permissions_of_any_new_file(saved):
    _, path = saved
    path.with_name("ordinary").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(path.with_name("ordinary").stat().st_mode)


# Reading older files


def test_keras_rl_files_have_their_own_values():
    model = build_model(4, 2)
    read = weights.read(HDF5)
    weights.assign(model, read)
    with h5py.File(HDF5) as file:
        names = [f"dense_{i}/dense_{i}/{kind}:0" for i in (1, 2, 3, 4) for kind in ("kernel", "bias")]
        for name, value in zip(names, model.get_weights(), strict=True):
            np.testing.assert_array_equal(file[name][()], value)
    assert read.metadata is None
    assert read.origin == "keras-rl or Keras (HDF5)"


@pytest.mark.parametrize("ending", ["", ".index", ".data-00000-of-00001"])
def test_keras_rl2_checkpoints_have_their_own_values(ending):
    model = build_model(4, 2)
    read = weights.read(f"{CHECKPOINT}{ending}")
    weights.assign(model, read)
    checkpoint = tf.train.load_checkpoint(str(CHECKPOINT))
    keys = [
        f"layer_with_weights-{i}/{kind}/.ATTRIBUTES/VARIABLE_VALUE" for i in range(4) for kind in ("kernel", "bias")
    ]
    for key, value in zip(keys, model.get_weights(), strict=True):
        np.testing.assert_array_equal(checkpoint.get_tensor(key), value)
    assert read.metadata is None
    assert read.origin == "keras-rl2 (TensorFlow checkpoint)"


def save(path, tensors):
    """Write a TensorFlow checkpoint, with the ending that Keras 2 gives to each name."""
    names = [f"{name}/.ATTRIBUTES/VARIABLE_VALUE" for name in tensors]
    tf.raw_ops.SaveV2(
        prefix=str(path), tensor_names=names, shape_and_slices=[""] * len(names), tensors=list(tensors.values())
    )


def write_as_keras_2(path, model, folder=""):
    """Write a checkpoint under the names of Keras 2, with an optimizer's state beside each trained array."""
    tensors = {}
    for i, layer in enumerate(layer for layer in model.layers if layer.weights):
        inner = "" if isinstance(layer, keras.layers.Dense) else folder
        for variable in layer.weights:
            name = f"layer_with_weights-{i}/{inner}{variable.name}"
            tensors[name] = variable.value
            tensors[f"{name}/.OPTIMIZER_SLOT/optimizer/m"] = variable.value * 0
    save(path, tensors)


def recurrent_model(layer):
    model = keras.Sequential([keras.Input((1, 4)), layer, keras.layers.Dense(2)])
    for variable in model.variables:
        variable.assign(np.random.normal(size=variable.shape))
    return model


@pytest.mark.parametrize(
    ("build", "folder"), [(normalised_model, ""), (lambda: recurrent_model(keras.layers.LSTM(4)), "cell/")]
)
def test_checkpoints_are_read_by_name(tmp_path, build, folder):
    model, other = build(), build()
    write_as_keras_2(tmp_path / "w.h5f", model, folder)
    weights.assign(other, weights.read(tmp_path / "w.h5f"))
    assert_same_weights(model, other)


def test_checkpoints_whose_names_do_not_tell_are_refused(tmp_path):
    bidirectional = recurrent_model(keras.layers.Bidirectional(keras.layers.LSTM(4)))
    names = [f"{part}/cell/{v.name}" for part in ("forward", "backward") for v in bidirectional.layers[0].weights[:3]]
    names = [f"layer_with_weights-0/{name}" for name in names] + [
        f"layer_with_weights-1/{v}" for v in ("kernel", "bias")
    ]
    save(tmp_path / "w.h5f", {name: v.value for name, v in zip(names, bidirectional.weights, strict=True)})
    with pytest.raises(WeightsError):
        weights.assign(bidirectional, weights.read(tmp_path / "w.h5f"))
    names = [f"layer_with_weights-0/{part}/{variable}" for part in "ab" for variable in ("kernel", "bias")]
    save(tmp_path / "x.h5f", {name: np.zeros((4, 2) if "kernel" in name else 2) for name in names})
    with pytest.raises(WeightsError):
        weights.assign(build_model(4, 2, hidden_layers=()), weights.read(tmp_path / "x.h5f"))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in Keras's own saving
def test_a_whole_model_that_keras_saved_is_read(tmp_path):
    model, other = normalised_model(), normalised_model()
    model.save(tmp_path / "model.h5")
    weights.assign(other, weights.read(tmp_path / "model.h5"))
    assert_same_weights(model, other)


def test_weights_of_another_network_change_nothing(saved, refused):
    _, path = saved
    for model in (build_model(6, 3), build_model(4, 2, hidden_layers=(16,)), build_model(4, 2, hidden_layers=())):
        before = model.get_weights()
        with refused("4x16, 16x16, 16x16, 16x2", error=WeightsError):
            weights.assign(model, weights.read(path))
        assert all((value == old).all() for value, old in zip(model.get_weights(), before, strict=True))


# Files that hold none


def test_missing(tmp_path, refused):
    with refused("nothing.h5f", error=WeightsError):
        weights.read(tmp_path / "nothing.h5f")


def test_folder(tmp_path, refused):
    with refused(tmp_path, error=WeightsError):
        weights.read(tmp_path)


def write_other_hdf5(path):
    with h5py.File(path, "w") as file:
        file["table"] = [1, 2]


CONTENTS = {
    "empty": lambda path: path.touch(),
    "text": lambda path: path.write_text("weights"),
    "other HDF5": write_other_hdf5,
    "half of keras-rl's": lambda path: path.write_bytes(HDF5.read_bytes()[:9000]),
}


@pytest.mark.parametrize("content", CONTENTS)
def test_files_of_something_else(tmp_path, content, refused):
    CONTENTS[content](tmp_path / "w.h5f")
    with refused("w.h5f", error=WeightsError, varying=r"(?<=incomplete \().*(?=\);)"):
        weights.read(tmp_path / "w.h5f")


def test_a_checkpoint_without_its_data(tmp_path, refused):
    shutil.copy(f"{CHECKPOINT}.index", tmp_path / "w.h5f.index")
    with refused("w.h5f", error=WeightsError, varying=r"(?<=No such file or directory: ).*(?=\))"):
        weights.read(tmp_path / "w.h5f")


def test_a_checkpoint_of_something_else(tmp_path, refused):
    tf.train.Checkpoint(step=tf.Variable(1)).write(str(tmp_path / "w"))
    with refused(tmp_path, error=WeightsError):
        weights.read(tmp_path / "w")


def damaged_versions(content, random):
    yield from (content[:length] for length in range(0, len(content), 509))
    for position in range(0, len(content), 67):
        yield content[:position] + bytes([content[position] ^ 1 << random.integers(8)]) + content[position + 1 :]
    stripped = content[512:]
    for position in range(0, len(stripped), 211):
        yield stripped[:position] + bytes([stripped[position] ^ 255]) + stripped[position + 1 :]
    for _ in range(30):
        first, second = sorted(random.integers(0, len(content) - 512, 2))
        block, other = content[first : first + 512], content[second : second + 512]
        if second - first >= 512:
            yield content[:first] + other + content[first + 512 : second] + block + content[second + 512 :]
        yield content[:first] + random.bytes(512) + content[first + 512 :]


def test_damage_is_noticed_or_harmless(saved):
    model, path = saved
    noticed = harmless = 0
    for content in damaged_versions(path.read_bytes(), np.random.default_rng(0)):
        path.write_bytes(content)
        try:
            read = weights.read(path)
        except WeightsError as error:
            assert "\n" not in str(error)
            noticed += 1
        else:
            arrays = [array for layer in read.layers for array in layer.values()]
            assert all((ours == theirs).all() for ours, theirs in zip(model.get_weights(), arrays, strict=True))
            assert read.metadata == {"env": "CartPole-v0"}
            harmless += 1  # the block before the HDF5 is mostly padding
    assert noticed > 300
    assert harmless < 20


def test_damage_of_a_checkpoint_is_noticed(tmp_path):
    for ending in (".index", ".data-00000-of-00001"):
        shutil.copy(f"{CHECKPOINT}{ending}", tmp_path / f"w.h5f{ending}")
    data = tmp_path / "w.h5f.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[1000] ^= 1
    data.write_bytes(content)
    with pytest.raises(WeightsError, match="is a damaged TensorFlow checkpoint"):
        weights.read(tmp_path / "w.h5f")


def test_settings_are_plain_json(saved):
    with h5py.File(saved[1]) as file:
        assert json.loads(file.attrs["kerasrl"]) == {"env": "CartPole-v0"}


APPEARING = "import os\nfrom kerasrl.storage.appearing import appearing\n"


def test_what_a_killed_process_left_behind_is_removed_by_the_next(tmp_path, python):
    names = ["policy.onnx", "[a]*?"]
    for name in names:
        code = f"{APPEARING}with appearing({name!r}): os.kill(os.getpid(), 9)"
        assert python.run(tmp_path, "-c", code).status == -9
    # Killed while it removes what is in it.
    code = f"{APPEARING}with appearing('policy.onnx') as place:\n"
    code += " for name in '0aAzZ': (place.parent / name).mkdir()\n place.touch()\n"
    code += " os.rmdir = lambda *_, **__: os.kill(os.getpid(), 9)"
    assert python.run(tmp_path, "-c", code).status == -9
    (tmp_path / ".policy.onnx.mine.tmp").mkdir()  # which nobody has held: it is the user's
    assert len(list(tmp_path.iterdir())) == 4
    for name in names:
        with appearing(tmp_path / name) as place, appearing(tmp_path / name) as another:
            place.write_bytes(b"1")  # still there, since this process holds it
            another.write_bytes(b"2")
        assert (tmp_path / name).read_bytes() == b"1"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, ".policy.onnx.mine.tmp"])


@pytest.mark.parametrize("nth", [1, 2])
def test_a_folder_that_a_kill_left_moved_away_is_put_back(tmp_path, python, refused, nth):
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "saved_model.pb").write_text("old")
    code = f"{APPEARING}with appearing('policy') as place:\n place.mkdir()\n calls, replace = [], os.replace\n"
    code += (
        f" os.replace = lambda *_: calls.append(0) or len(calls) == {nth} and os.kill(os.getpid(), 9) or replace(*_)"
    )
    assert python.run(tmp_path, "-c", code).status == -9
    assert (tmp_path / "policy").exists() == (nth == 1)
    with refused("policy exists"):
        require_free(tmp_path / "policy", overwrite=False)
    with pytest.raises(KeyError), appearing(tmp_path / "policy"):
        raise KeyError
    assert [path.name for path in tmp_path.iterdir()] == ["policy"]
    assert (tmp_path / "policy" / "saved_model.pb").read_text() == "old"


def test_what_a_killed_writer_left_is_removed_by_the_next_of_that_name(tmp_path, python):
    code = "import os\nfrom kerasrl.storage.files import replacing\nwith replacing('a.png'): os.kill(os.getpid(), 9)"
    assert python.run(tmp_path, "-c", code).status == -9
    (left,) = tmp_path.iterdir()
    others = [f".a.png.{os.getppid()}.tmp", ".a.png.mine.tmp", left.name.replace("a", "b", 1)]
    for name in others:
        (tmp_path / name).touch()
    with left.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as a process of another machine might, whose numbers are others
        files.write_whole(tmp_path / "a.png", b"1")
        assert left.exists()
    files.write_whole(tmp_path / "a.png", b"2")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*others, "a.png"])
    assert (tmp_path / "a.png").read_bytes() == b"2"
