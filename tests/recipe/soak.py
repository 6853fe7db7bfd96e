"""Kills trainings of six kinds at random moments, resumes them, and compares them with trainings that were not killed.

PYTHONPATH=.:tests python tests/recipe/soak.py 100 [SEED]

Prints a line for each kind, and every result that differs; leaves its files in a new folder of the temporary ones.
"""

from kerasrl.compat import keras_rl  # noqa: F401  # before the imports that it makes work

# isort: split

import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import rl.core
from conftest import ROOT, Python, fork_server

from kerasrl.storage import weights

SHORT = ["--nb-steps", "2000", "--seed", "7", "--state-interval", "150", "--memory-limit", "900", "--verbose", "0"]
CARTPOLE = [*SHORT, "--eval-interval", "300", "--checkpoint-interval", "1000"]


class Stateful(rl.core.Processor):
    """Counts in NumPy's numbers, in a dictionary with numbers for keys, and in an array with two names."""

    def __init__(self):
        self.scale, self.counts, self.sums = np.float64(1), {1: np.float32(0), (2, "x"): 0}, np.zeros(4)
        self.same, self.rng = self.sums, np.random.default_rng(3)

    def process_observation(self, observation):
        self.scale += np.float32(self.scale) * 1e-4
        self.counts[1] += np.float32(self.scale)
        self.counts[int(self.counts[1]) % 5] = len(self.counts)
        self.same += observation
        return observation * np.tanh(self.scale) + 1e-3 * np.tanh(self.sums) + 1e-3 * self.rng.normal(size=4)


class Stopping(keras.callbacks.EarlyStopping):
    def __init__(self):
        super().__init__("episode_reward", mode="max", patience=60)


class Plateau(keras.callbacks.ReduceLROnPlateau):
    def __init__(self):
        super().__init__("episode_reward", mode="max", patience=9)


KINDS = {
    "tutorial": CARTPOLE,
    "stateful processor": [*CARTPOLE, "--processor", "soak:Stateful"],
    "Keras's callbacks": [*CARTPOLE, "--callback", "soak:Stopping", "soak:Plateau"],
    "evaluations": [*SHORT, "--eval-interval", "150", "--eval-episodes", "60"],
    "films": [*SHORT, "--eval-interval", "300", "--eval-episodes", "1", "--record-every", "300"],
    "double, dueling, windows": [
        *(*CARTPOLE, "--window-length", "3", "--enable-double-dqn", "--enable-dueling-network"),
        *("--gradient-steps", "2", "--train-interval", "2", "--target-model-update", "0.01"),
    ],
    "Atari's frames": [
        *("--preset", "pong", "--nb-steps", "700", "--seed", "7", "--state-interval", "100", "--memory-limit", "400"),
        *("--nb-steps-warmup", "150", "--nb-max-episode-steps", "60", "--eval-interval", "0", "--verbose", "0"),
        *("--target-model-update", "100", "--eps-nb-steps", "400", "--checkpoint-interval", "1000"),
    ],
}


def content(path):
    """Return the weights and the log without its times."""

    found = {}
    for file in sorted(path.glob("checkpoints/*.h5f")):
        arrays = [array for layer in weights.read(file).layers for array in layer.values()]
        found[file.name] = [(array.dtype.str, array.shape, array.tobytes()) for array in arrays]
    log = json.loads(next(path.glob("logs/*_log.json")).read_text())
    log.pop("duration")
    return {**found, "log": repr(log)}


def spent(process):
    """Return the processor seconds of a process, None if it has ended."""
    try:
        state, *fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    except FileNotFoundError:
        return None
    return None if state == "Z" else (int(fields[10]) + int(fields[11])) / os.sysconf("SC_CLK_TCK")


def folders(path):
    return ["--checkpoint-dir", str(path / "checkpoints"), "--log-dir", str(path / "logs")]


def start(python, arguments):
    """Start a training that finds this module."""
    path = os.pathsep.join([str(ROOT / "tests"), str(ROOT / "tests/recipe")])
    return python.start(ROOT, str(ROOT / "train.py"), *arguments, wanted=["xla"], PYTHONPATH=path)


def killed(python, kind, arguments, path, draws, usual):
    """Start a training and kill it; return whether it was killed before its end."""
    logs = path / "logs"
    training = start(python, arguments)
    process = training.process
    if kind == "films" and draws.random() < 0.7:  # while a film is written or just was
        known = {file.name for file in logs.glob("*")} if logs.exists() else set()
        nb_films = draws.randint(1, 4)
        while nb_films and spent(process) is not None:
            time.sleep(0.0005)
            found = {file.name for file in logs.glob("*.gif")} if logs.exists() else set()
            if not found <= known:
                known, nb_films = known | found, nb_films - 1
        time.sleep(draws.uniform(0, 0.05))
    else:
        moment = draws.uniform(0.05, 1) * usual
        while (now := spent(process)) is not None and now < moment:
            time.sleep(0.001)
    with contextlib.suppress(ProcessLookupError):
        training.send_signal(signal.SIGKILL)
    status = training.wait().status
    assert status in (0, -signal.SIGKILL), status
    return status != 0


def soak(python, root, nb_kills, seed):
    draws, differing = random.Random(seed), 0
    for number, (kind, options) in enumerate(KINDS.items()):
        path = root / f"{number}"
        training, usual = start(python, [*options, *folders(path)]), 0
        while (now := spent(training.process)) is not None:
            usual = now
            time.sleep(0.01)
        assert training.wait().status == 0
        expected, nb_done = content(path), 0
        while nb_done < nb_kills // len(KINDS) + (number < nb_kills % len(KINDS)):
            path = root / f"{number}_{nb_done}"
            resume = []
            while draws.random() < 0.6 or not resume:
                nb_done += killed(python, kind, [*options, *folders(path), *resume], path, draws, usual)
                resume = ["--resume"] if list(path.glob("checkpoints/*_state")) else []
            assert start(python, [*options, *folders(path), *resume]).wait().status == 0
            if content(path) != expected:
                differing += 1
                print(f"{kind}: {path} differs", flush=True)
        print(f"{kind}: {nb_done} kills", flush=True)
    return int(differing > 0)


def main(nb_kills, seed=0):
    root = Path(tempfile.mkdtemp(prefix="soak"))
    with fork_server() as folder, contextlib.closing(Python(root, f"{folder}/plain")) as python:
        return soak(python, root, nb_kills, seed)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
