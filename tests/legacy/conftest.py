"""Old scripts are run in forks of one process that has imported TensorFlow."""

import json
import os
import subprocess
import sys
import textwrap
from collections import namedtuple
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Ran = namedtuple("Ran", ["status", "output", "errors"])


@pytest.fixture(scope="session")
def run_in(legacy_python):
    """Run `python -m kerasrl COMMAND` in a folder; return status, output and errors in lines."""

    def run(folder, *command, **environment):
        status, output, errors = legacy_python.run(folder, "-m", "kerasrl", *command, **environment)
        return Ran(status, output.splitlines(), errors.splitlines())

    return run


@pytest.fixture(scope="session")
def run_plainly(python):
    """Run `python COMMAND` in a folder; return status, output and errors in lines."""

    def run(folder, *command, **environment):
        status, output, errors = python.run(folder, *command, **environment)
        return Ran(status, output.splitlines(), errors.splitlines())

    return run


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
