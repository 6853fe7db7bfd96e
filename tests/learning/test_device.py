"""Threads: chosen where somebody asks for it, told of once where a script would gain from it."""

import subprocess
import sys
from pathlib import Path

import pytest

from kerasrl import Config, train
from kerasrl.tools.tune.seeds import checked

ROOT = Path(__file__).parents[2]
BEGIN = """
import kerasrl
from kerasrl import DQNAgent, SequentialMemory
import keras, tensorflow as tf
threading = tf.config.threading
def told(*shape):
    keras.Input(shape)
    print(threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads())
def agent(*shape, dense=True):
    layers = [keras.layers.Flatten()] if dense else [keras.layers.Conv2D(2, 3), keras.layers.Flatten()]
    model = keras.Sequential([keras.Input(shape), *layers, keras.layers.Dense(2)])
    agent = DQNAgent(model, nb_actions=2, memory=SequentialMemory(10, window_length=shape[0]))
    agent.compile('sgd')
"""
VECTOR, IMAGE = "told(1, 4)\n", "told(4, 84, 84)\n"
SET = "threading.set_intra_op_parallelism_threads({})\n"
AGENT, IMAGE_AGENT = "agent(1, 4)\n", "agent(4, 20, 20, dense=False)\n"


@pytest.fixture
def run(python, legacy_python, tmp_path):
    """Run a script; return what it prints, and what it writes to stderr, line by line."""

    def run(code, begin=BEGIN, **environment):
        server = legacy_python if begin == OLD else python
        (tmp_path / "script.py").write_text(begin + code)
        done = server.run(tmp_path, "script.py", wanted=["xla"], **environment)  # compiled as people compile
        assert done.status == 0, done.errors
        return done.output.splitlines(), done.errors.splitlines()

    return run


@pytest.fixture(autouse=True)
def nobody_has_chosen(monkeypatch):
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.long
def test_an_import_changes_neither_keras_nor_tensorflow():
    code = """
import keras, tensorflow as tf
before = keras.layers.InputLayer.__init__
import kerasrl.agents, kerasrl.learning, kerasrl.replay, kerasrl.callbacks, kerasrl.storage
assert keras.layers.InputLayer.__init__ is before
keras.Input((1, 4))
assert tf.config.threading.get_intra_op_parallelism_threads() == 0
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.long
def test_a_script_that_chose_no_threads_hears_once_what_it_would_gain(run):
    printed, told = run(AGENT + "model = keras.Sequential([keras.Input((1, 4)), keras.layers.Dense(2)])\n" + AGENT)
    assert printed == []
    notes = [line for line in told if "kerasrl.configure()" in line]
    assert len(notes) == 1 and "100 to 115" in notes[0]
    assert notes[0].startswith("script.py:")  # its line


@pytest.mark.long
@pytest.mark.parametrize(
    "code",
    ["kerasrl.configure()\n" + AGENT, "kerasrl.configure(threads=2)\n" + AGENT, SET.format(3) + AGENT, IMAGE_AGENT],
    ids=["configured", "two threads", "chosen", "image"],
)
def test_a_script_that_would_not_gain_hears_nothing(run, code):
    assert run(code) == ([], [])


@pytest.mark.long
@pytest.mark.parametrize("name", ["TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"])
def test_threads_that_the_environment_chooses_count(run, name):
    assert run(AGENT + VECTOR, **{name: "2"}) == (["0 0"], [])  # TensorFlow reads it when it begins to compute


def test_configure_chooses_for_vectors_and_images(run):
    code = """
import os
print(kerasrl.configure((4, 84, 84)), threading.get_intra_op_parallelism_threads() == os.cpu_count())
print(kerasrl.configure((4,)), threading.get_inter_op_parallelism_threads())
print(kerasrl.configure(), kerasrl.configure(threads=3))
print(kerasrl.configure((4,), nb_weights=1_000), threading.get_intra_op_parallelism_threads())
print(kerasrl.configure((4,), nb_weights=2_000_000), threading.get_intra_op_parallelism_threads() == os.cpu_count())
"""
    printed, told = run(code)
    assert told == []
    assert printed[0].endswith("(observations are images) True")
    assert printed[1:4] == [
        "CPU, 1 thread (observations are vectors) 1",
        "CPU, 1 thread (observations are vectors) CPU, 3 threads (as requested)",
        "CPU, 1 thread (observations are vectors, the network is small) 1",
    ]
    assert printed[4].endswith("(observations are vectors, the network is large) True")


class AskedError(Exception):
    """Ends a command once it has chosen threads."""


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 4 * 16 + 2 * 16 * 16 + 16 * 2),
        ({"hidden_layers": (1024, 1024, 1024)}, 4 * 1024 + 2 * 1024 * 1024 + 1024 * 2),
        ({"network": "atari:build_minatar_network"}, None),
    ],
)
def test_threads_are_chosen_for_the_network_that_is_trained(settings, expected, tmp_path, monkeypatch):
    def asked(shape, threads=0, device="auto", nb_weights=None):
        raise AskedError(nb_weights)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kerasrl.learning.device.configure", asked)
    with pytest.raises(AskedError) as caught:
        train(Config(**settings, verbose=0))
    assert caught.value.args == (expected,)
    assert checked(Config(**settings))[0].threads == (1 if (expected or 0) > 1_000_000 else 0)  # beside others, in tune


# Old scripts


OLD = BEGIN.replace("import kerasrl\n", "import kerasrl.legacy\nfrom rl.agents.dqn import DQNAgent as Old\n", 1)


@pytest.mark.long
def test_old_scripts_have_one_thread_for_vectors_and_all_for_images(run):
    """As TensorFlow takes threads until there are weights, the last input before them decides."""
    lines, told = run(VECTOR + IMAGE + IMAGE + VECTOR + AGENT + VECTOR + IMAGE, begin=OLD)
    assert lines == ["1 1", "0 0", "0 0", "1 1", "1 1", "1 1"]
    assert not any("configure" in line for line in told)


@pytest.mark.long
@pytest.mark.parametrize("code", [SET.format(3) + VECTOR + IMAGE, VECTOR + SET.format(3) + VECTOR + IMAGE])
def test_threads_that_an_old_script_chooses_stay(run, code):
    assert [line.split()[0] for line in run(code, begin=OLD)[0][-2:]] == ["3", "3"]


@pytest.mark.long
@pytest.mark.parametrize("name", ["TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"])
def test_threads_that_an_old_scripts_environment_chooses_stay(run, name):
    assert run(VECTOR, begin=OLD, **{name: "2"})[0] == ["0 0"]
