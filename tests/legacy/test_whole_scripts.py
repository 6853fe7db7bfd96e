"""Whole scripts of each year learn through the runner, and the same after `--migrate` with plain Python.

Each is a folder of scripts/, with a `script.py`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).with_name("scripts")


class Whole(NamedTuple):
    """What is expected of a script.

    `learned` is asked about the folder and the lines that all runs printed, `weights` are files that are the same after
    the migration, `runs` holds the arguments of each run. `path` is a folder of packages that pip would install,
    `starts` says that plain Python is started for it, instead of forked with TensorFlow imported.
    """

    learned: Callable[[Path, list[str]], bool]
    weights: tuple[str, ...]
    runs: tuple[tuple[str, ...], ...] = ((),)
    path: str = "."
    starts: bool = False


def _logged(file):
    """What FileLogger wrote."""
    return json.loads(file.read_text())


def _pushed(folder, output):
    (log,) = folder.glob("log.json")
    return output[0].startswith("60 pushed, ") and _logged(log)["nb_steps"] == [200, 400]


def _caught(folder, output):
    log = _logged(folder / "dqn_Catcher_log.json")
    played = [line for line in output if line.startswith("Episode ")]
    between = [arrays(folder / f"dqn_Catcher_weights_{step}.h5f") for step in (100, 200)]
    return (
        len(log["episode"]) >= 5
        and set(log["episode_reward"]) <= {-3.0, -2.0, -1.0, 0.0}
        and len(played) == 3
        and any((between[0][name] != between[1][name]).any() for name in between[0])
    )


def _swung(folder, output):
    kept = {file.name for file in (folder / "checkpoints").iterdir()}
    return (
        {f"Acrobot-v1_{step}.h5f" for step in (100, 200, 300)} <= kept
        and _logged(folder / "Acrobot-v1_log.json")["nb_episode_steps"] == [60] * 5
        and any(line.startswith("episodes: 5, highest: ") for line in output)
        and "300 [-120.0, -120.0, -120.0, -120.0, -120.0]" in output
    )


def _filmed(folder, output):
    # Episodes 1 and 11; a migrated script has lost its Monitor.
    return len([*folder.glob("videos/*00000.*"), *folder.glob("videos/*00010.*")]) == 2 and len(output) > 10


def _walked(folder, output):
    return (
        output[0] == "gridworld-v0 40"
        and output[1] == "changed: [True, True, True, True, True]"
        and output[2] == "longest episode: 40"
        and {*"".join(output[4:9])} == {".", *"oG"[: len({*"".join(output[4:9])}) - 1]}
        and (folder / "gridworld.json").exists()
    )


def _remembered(folder, output):
    return output.count("no weights yet") == output.count("weights loaded") == 1 and (folder / "models").is_dir()


WHOLE = {
    "dots_2016": Whole(lambda folder, output: output == [], ("w.h5f",)),
    "mountaincar_2016": Whole(_pushed, ("dqn_MountainCar-v0_weights.h5f",)),
    "catcher_2017": Whole(
        _caught,
        ("dqn_Catcher_weights.h5f", "dqn_Catcher_weights_200.h5f"),
        (("--mode", "train"), ("--mode=test", "--weights", "dqn_Catcher_weights_200.h5f")),
    ),
    "acrobot_2017": Whole(_swung, ("dqn_Acrobot-v1_weights.h5f", "checkpoints/Acrobot-v1_100.h5f"), (("300",),)),
    "pong_2017": Whole(lambda folder, output: output[0].endswith("(210, 160, 3)"), ("pong.h5f",)),
    "cartpole_2018": Whole(lambda folder, output: 5 <= float(output[-1]) <= 200, ("w.h5f",), starts=True),
    "gridworld_2018": Whole(_walked, ("weights/gridworld.h5",), path="gym-gridworld"),
    "duel_2019": Whole(
        lambda folder, output: sum("layers 7" in line for line in output) == 4,
        tuple(
            f"duel_{policy}QPolicy_{kind}_weights.h5f"
            for policy in ("MaxBoltzmann", "BoltzmannGumbel")
            for kind in ("avg", "max")
        ),
    ),
    "monitor_2019": Whole(_filmed, ("cartpole.h5f",), starts=True),
    "taxi_2020": Whole(
        lambda folder, output: any(line.startswith("states learned: ") and int(line[16:]) > 5 for line in output),
        ("dqn_taxi_weights.h5f",),
    ),
    "trader_2021": Whole(_remembered, ("trader_weights.h5f",), ((), ())),
    "shower_2022": Whole(lambda folder, output: len(output) == 3 and -20 <= float(output[-1]) <= 20, ("w.h5f",)),
    "corridor_2023": Whole(
        lambda folder, output: output[-1].startswith("total ") and "........o" in output,
        ("corridor.h5f",),
        (("train",), ("play", "--seed", "4")),
    ),
}


def arrays(file):
    """All arrays of a weights file, by their names."""
    with h5py.File(file) as opened:
        names: list[str] = []
        opened.visit(names.append)
        return {name: opened[name][()] for name in names if isinstance(opened[name], h5py.Dataset)}


def without_times(lines):
    """Printed lines without durations and speeds, which differ each time."""
    time = r"[\d.,]+ ?(?=s\b|ms|us|seconds|steps/s)|steps per second: *[\d.]+|\d+:\d\d:\d\d"
    return [re.sub(time, "", line) for line in lines]


def started(folder, *command, **environment):
    """Run `python COMMAND` in a folder, without a screen."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("SDL_VIDEODRIVER", "DISPLAY")}
    path = os.pathsep.join([str(ROOT), environment["PYTHONPATH"]])
    ran = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**inherited, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.returncode, ran.stdout.splitlines(), ran.stderr.splitlines()


def printed(run, folder, runs, **options):
    """What the runs of a script printed, all of which succeeded."""
    lines = []
    for arguments in runs:
        status, output, errors = run(folder, "script.py", *arguments, **options)
        assert status == 0, errors
        lines += output
    return lines


@pytest.mark.parametrize(
    "name", [name if k == 0 else pytest.param(name, marks=pytest.mark.long) for k, name in enumerate(WHOLE)]
)
def test_a_script_learns_and_learns_the_same_bits_after_its_migration(name, run_in, run_plainly, tmp_path):
    if name == "pong_2017":
        pytest.importorskip("ale_py")
    whole = WHOLE[name]
    old, new = (Path(shutil.copytree(SCRIPTS / name, tmp_path / part)) for part in ("old", "new"))
    output = printed(run_in, old, whole.runs, wanted=["xla"] * whole.starts)
    assert whole.learned(old, output), output

    status, told, errors = run_plainly(new, "-m", "kerasrl", "--migrate", "--write", "script.py")
    assert (status, told) == (0, []), errors
    run = started if whole.starts else run_plainly
    after = printed(run, new, whole.runs, PYTHONPATH=str(new / whole.path))
    assert without_times(after) == without_times(output)
    for file in whole.weights:
        old_arrays, new_arrays = arrays(old / file), arrays(new / file)
        assert old_arrays.keys() == new_arrays.keys() and len(old_arrays) >= 4
        assert all(np.array_equal(old_arrays[part], new_arrays[part]) for part in old_arrays)
