"""Old scripts are run in forks of one process that has imported TensorFlow."""

import contextlib
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]


class Ran(NamedTuple):
    """What became of a script."""

    status: int
    output: list[str]
    errors: list[str]


@contextlib.contextmanager
def _serving(*arguments):
    """Yield a function that runs a command in a folder, without a screen, in a fork of script_server.py."""
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("script_server.py")), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:

        def run(folder, *command, **environment):
            environment = {"SDL_VIDEODRIVER": None, "DISPLAY": None, **environment}
            print(json.dumps([str(folder), command, environment]), file=process.stdin, flush=True)
            status = int(process.stdout.readline())
            output, errors = ((folder / part).read_text().splitlines() for part in (".output", ".errors"))
            return Ran(status, output, errors)

        yield run
        process.stdin.close()


@pytest.fixture(scope="session")
def run_in():
    """Run `python -m kerasrl COMMAND` in a folder."""
    with _serving() as run:
        yield run


@pytest.fixture(scope="session")
def run_plainly():
    """Run `python COMMAND` in a folder, with the package kerasrl within reach."""
    with _serving("plain") as run:
        yield run


@pytest.fixture
def run_old(run_in, tmp_path):
    """Run a text as `python -m kerasrl OPTIONS script.py ARGUMENTS` in tmp_path, without a screen."""

    def run(text, *options, arguments=(), name="script.py", **environment):
        (tmp_path / name).write_text(text)
        return run_in(tmp_path, *options, name, *arguments, **environment)

    return run


# Runs modules beside it, and prints the `answer` of each, or how it failed.
_EACH = """
import importlib, json, sys, warnings

warnings.simplefilter("error", UserWarning)
warnings.simplefilter("error", FutureWarning)
answers = {}
for name in sys.argv[1:]:
    try:
        answers[name] = repr(importlib.import_module(name).answer)
    except Exception as error:
        answers[name] = f"{type(error).__name__}: {error}"
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers_of(tmp_path_factory):
    """Run snippets as modules of one script in a process of their own, which imports what they import."""

    def run(snippets):
        folder = tmp_path_factory.mktemp("snippets")
        for name, source in {"script": _EACH, **snippets}.items():
            (folder / f"{name}.py").write_text(textwrap.dedent(source))
        done = subprocess.run(
            [sys.executable, "-m", "kerasrl", "script.py", *snippets],
            cwd=folder,
            # oneDNN: without it, TensorFlow does not learn from channels-first images on a CPU.
            env={**os.environ, "PYTHONPATH": str(ROOT), "TF_ENABLE_ONEDNN_OPTS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1]), done.stderr.splitlines()

    return run
