"""Old scripts are run in forks of one process that has imported TensorFlow."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]


class Ran(NamedTuple):
    """What became of a script."""

    status: int
    output: list[str]
    errors: list[str]


@pytest.fixture(scope="session")
def server():
    """The process that forks."""
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("script_server.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def run_old(server, tmp_path):
    """Run a text as `python -m kerasrl OPTIONS script.py ARGUMENTS` in tmp_path, without a screen."""

    def run(text, *options, arguments=(), name="script.py", **environment):
        (tmp_path / name).write_text(text)
        environment = {"SDL_VIDEODRIVER": None, "DISPLAY": None, **environment}
        print(json.dumps([str(tmp_path), [*options, name, *arguments], environment]), file=server.stdin, flush=True)
        status = int(server.stdout.readline())
        output, errors = ((tmp_path / part).read_text().splitlines() for part in (".output", ".errors"))
        return Ran(status, output, errors)

    return run
