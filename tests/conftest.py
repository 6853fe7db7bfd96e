"""TensorFlow takes its number of threads once in a process: all tests have what train.py chooses for vectors."""

from kerasrl import device

# isort: split

import keras
import pygame  # noqa: F401  # whatever it warns of when it is imported is no test's failure
import pytest

device.configure((4,))


@pytest.fixture(autouse=True)
def same_draws_every_time():
    keras.utils.set_random_seed(0)
