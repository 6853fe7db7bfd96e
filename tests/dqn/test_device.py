"""The threads of scripts that do not choose any."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BEGIN = """
from kerasrl import DQNAgent, SequentialMemory
import keras, tensorflow as tf
threading = tf.config.threading
def told(*shape):
    keras.Input(shape)
    print(threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads())
"""
VECTOR, IMAGE = "told(1, 4)\n", "told(4, 84, 84)\n"
SET = "threading.set_intra_op_parallelism_threads({})\n"


def threads(code, **environment):
    """Return what a script prints, line by line."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BEGIN + code], cwd=ROOT, env=os.environ | environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.fixture(autouse=True)
def nobody_has_chosen(monkeypatch):
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.long
def test_networks_for_vectors_have_one_thread_and_those_for_images_all():
    """As TensorFlow takes threads until there are weights, the last input before them decides."""
    model = "model = keras.Sequential([keras.Input((1, 4)), keras.layers.Flatten(), keras.layers.Dense(2)])\n"
    late = (
        model + VECTOR + IMAGE + "agent = DQNAgent(model, nb_actions=2, memory=SequentialMemory(10, window_length=1))\n"
    )
    late += "agent.compile('sgd')\nprint(agent.compute_q_values([[0.0] * 4]).shape)\n"
    assert threads(VECTOR + IMAGE + IMAGE + late) == ["1 1", "0 0", "0 0", "1 1", "1 1", "(2,)"]


@pytest.mark.long
@pytest.mark.parametrize("code", [SET.format(3) + VECTOR + IMAGE, VECTOR + SET.format(3) + VECTOR + IMAGE])
def test_threads_that_a_script_chooses_stay(code):
    assert [line.split()[0] for line in threads(code)[-2:]] == ["3", "3"]


@pytest.mark.long
@pytest.mark.parametrize("name", ["TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"])
def test_threads_that_the_environment_chooses_stay(name):
    assert threads(VECTOR, **{name: "2"}) == ["0 0"]  # TensorFlow reads it when it begins to compute
