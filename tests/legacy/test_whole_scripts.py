"""Whole scripts of each year learn through the runner, and the same after `--migrate` with plain Python.

Each is a folder of scripts/, with a `script.py`.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).with_name("scripts")


class Whole(NamedTuple):
    """What is expected of a script.

    `runs` holds the arguments of each run, `weights` the files that are the same after the migration, `learned` is
    asked about the folder and the lines that all runs printed.
    """

    runs: tuple[tuple[str, ...], ...] = ((),)
    weights: tuple[str, ...] = ("w.h5f",)
    learned: Callable[[Path, list[str]], Any] = lambda folder, output: True
    path: str = "."


WHOLE = {
    "cartpole_2018": Whole(learned=lambda folder, output: 5 <= float(output[-1]) <= 200),
    "shower_2022": Whole(learned=lambda folder, output: len(output) == 3 and -20 <= float(output[-1]) <= 20),
    "dots_2016": Whole(),
}


def arrays(file):
    """All arrays of a weights file, by their names."""
    with h5py.File(file) as opened:
        names: list[str] = []
        opened.visit(names.append)
        return {name: opened[name][()] for name in names if isinstance(opened[name], h5py.Dataset)}


def without_times(lines):
    """Printed lines without durations and speeds, which differ each time."""
    return [
        re.sub(r"[\d.]+ ?(?=s\b|ms|us|seconds|steps per second)|steps per second: +[\d.]+", "", line) for line in lines
    ]


def run_plainly(folder, runs, path):
    """Run a migrated script with plain Python; return what it printed."""
    environment = {name: os.environ[name] for name in os.environ if name not in ("SDL_VIDEODRIVER", "DISPLAY")}
    environment |= {"PYTHONPATH": os.pathsep.join([str(ROOT), str(folder / path)]), "PYTHONWARNINGS": "ignore"}
    output = []
    for arguments in runs:
        command = [sys.executable, "script.py", *arguments]
        ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        output += ran.stdout.splitlines()
    return output


@pytest.mark.parametrize("name", WHOLE)
def test_a_script_learns_the_same_bits_after_its_migration(name, run_in, tmp_path):
    whole = WHOLE[name]
    old, new = (Path(shutil.copytree(SCRIPTS / name, tmp_path / part)) for part in ("old", "new"))
    output = []
    for arguments in whole.runs:
        status, printed, errors = run_in(old, "script.py", *arguments)
        assert status == 0, errors
        output += printed
    assert whole.learned(old, output)

    status, printed, errors = run_in(new, "--migrate", "--write", "script.py")
    assert (status, printed) == (0, []), errors
    assert without_times(run_plainly(new, whole.runs, whole.path)) == without_times(output)
    for file in whole.weights:
        before, after = arrays(old / file), arrays(new / file)
        assert before.keys() == after.keys() and len(before) >= 4
        assert all(np.array_equal(before[part], after[part]) for part in before)
