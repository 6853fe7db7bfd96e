"""TensorFlow takes its number of threads once in a process: all tests have what train.py chooses for vectors."""

from kerasrl import device

# isort: split

import pygame  # noqa: F401  # whatever it warns of when it is imported is no test's failure

device.configure((4,))
