"""TensorFlow takes its number of threads once in a process: all tests have what train.py chooses for vectors."""

from kerasrl.learning import device

# isort: split

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import keras
import pygame  # here: whatever it warns of when it is imported is no test's failure
import pytest

from kerasrl import DQNAgent

ROOT = Path(__file__).parents[1]

device.configure((4,))
os.environ["PYTHONPATH"] = str(ROOT)  # what tests start is this checkout, not an installed copy

# What is started with nohup or in the background ignores these, and so would every process that a test starts.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


# XLA takes a second or more for each agent: where nobody asks for it, only tests that are marked `xla` compile with it.
_compile, _with_xla = DQNAgent.compile, False


def _compile_as_marked(self, optimizer, metrics=(), jit_compile="auto"):
    _compile(self, optimizer, metrics, False if jit_compile == "auto" and not _with_xla else jit_compile)


DQNAgent.compile = _compile_as_marked


def pytest_runtest_setup(item):
    global _with_xla
    _with_xla = item.get_closest_marker("xla") is not None


@pytest.fixture(autouse=True)
def same_draws_every_time(monkeypatch):
    keras.utils.set_random_seed(0)
    monkeypatch.setattr("secrets.randbelow", random.Random(0).randrange)  # the seeds of trainings that are given none


@pytest.fixture
def shown(monkeypatch):
    """The pictures that pygame has shown on an invisible screen."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    frames, flip = [], pygame.display.flip
    monkeypatch.setattr(pygame.display, "flip", lambda: (frames.append(0), flip()))
    yield frames
    pygame.quit()


class Ran(NamedTuple):
    """What became of a command."""

    status: int
    output: str
    errors: str


class Started:
    """A command that runs."""

    def __init__(self, ask, process, files):
        self.ask, self.process, self.files = ask, process, files

    def send_signal(self, number):
        os.kill(self.process, number)

    def wait(self):
        """Return what becomes of it."""
        return Ran(self.ask(self.process), *(file.read_text() for file in self.files))


class Python:
    """Commands as after `python`, in forks of fork_server.py, which is started for the first of them."""

    def __init__(self, folder, *arguments):
        self.folder, self.arguments, self.server, self.nb_started = folder, arguments, None, 0

    def ask(self, request):
        if self.server is None:
            command = [sys.executable, ROOT / "tests/fork_server.py", *self.arguments]
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            self.server = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        print(json.dumps(request, default=str), file=self.server.stdin, flush=True)
        return int(self.server.stdout.readline())

    def start(self, folder, *command, before="", xla=False, **environment):
        """Start a command in a folder, without a screen; `before` is code that its process runs first."""
        self.nb_started += 1
        files = [self.folder / f"{self.nb_started}.{name}" for name in ("output", "errors")]
        environment = {"SDL_VIDEODRIVER": None, "DISPLAY": None, **environment}
        process = self.ask([folder, command, environment, files, before, xla])
        return Started(self.ask, process, files)

    def run(self, folder, *command, **options):
        return self.start(folder, *command, **options).wait()

    def close(self):
        if self.server is not None:
            self.server.kill()  # to end in order takes TensorFlow a second
            self.server.communicate()


@pytest.fixture(scope="session")
def python(tmp_path_factory):
    """Run `python COMMAND` in a folder, with the package kerasrl within reach."""
    with contextlib.closing(Python(tmp_path_factory.mktemp("python"))) as python:
        yield python


@pytest.fixture(scope="session")
def legacy_python(tmp_path_factory):
    """Run `python -m kerasrl SCRIPT` in a folder, where what a script imports has been imported for it before."""
    with contextlib.closing(Python(tmp_path_factory.mktemp("legacy"), "legacy")) as python:
        yield python
