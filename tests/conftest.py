"""TensorFlow takes its number of threads once in a process: all tests have what train.py chooses for vectors."""

from kerasrl.dqn import device

# isort: split

import random
import signal

import keras
import pygame  # here: whatever it warns of when it is imported is no test's failure
import pytest

device.configure((4,))

# What is started with nohup or in the background ignores these, and so would every process that a test starts.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


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
