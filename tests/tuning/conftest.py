"""One Ray on this machine for all these tests, and those that follow in the process: to start it takes seconds."""

import json
import sys

import numpy as np
import pytest

from kerasrl.cli.door import run as run_command
from kerasrl.storage import weights
from kerasrl.tools.tune.cluster import Cluster


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    """A cluster that the person who runs the tests may use is not theirs."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.fixture(scope="session")
def own(tmp_path_factory):
    """A folder for modules of one's own, which this process and Ray's workers find."""
    folder = tmp_path_factory.mktemp("own")
    sys.path.append(str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture
def gate(own, tmp_path):
    """Options with which trainings wait at step 1,500 until the file that comes with them exists."""
    file = tmp_path / "gate is open"
    (own / "gate.py").write_text(
        "import time\nfrom pathlib import Path\nimport rl.callbacks\n"
        "class Gate(rl.callbacks.Callback):\n"
        "    def on_step_end(self, step, logs):\n"
        f"        while self.model.step > 1_500 and not Path({str(file)!r}).exists():\n"
        "            time.sleep(0.01)\n"
    )
    return ["--callback", "gate:Gate"], file


@pytest.fixture(scope="session")
def ray(own):
    with Cluster(jobs=2) as cluster:
        yield cluster


@pytest.fixture
def error(capsys):
    """A function that returns the line with which a command line is refused."""

    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            run_command("tune", arguments)
        assert stop.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return run


@pytest.fixture
def same_training():
    """A function that checks that weights and log in two folders are the same, bit for bit, but for durations."""

    def check(one, other, but=()):
        for name in ("dqn_CartPole-v0_best.h5f", "dqn_CartPole-v0_weights.h5f"):
            files = [weights.read(folder / name) for folder in (one, other)]
            mine, theirs = ([array for layer in file.layers for array in layer.values()] for file in files)
            for pair in zip(mine, theirs, strict=True):
                np.testing.assert_array_equal(*pair)
            mine, theirs = (file.metadata for file in files)
            assert {key for key in mine if mine[key] != theirs[key]} <= {"checkpoint_dir", "log_dir", *but}
        logs = [json.loads((folder / "dqn_CartPole-v0_log.json").read_text()) for folder in (one, other)]
        assert all(log.pop("duration") for log in logs)
        assert logs[0] == logs[1]

    return check
