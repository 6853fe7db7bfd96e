"""The threads of scripts whose authors never heard of `kerasrl.configure`."""

import contextlib
import functools
import inspect
import os
from typing import Any

import keras

from kerasrl.learning import device


def choose_at_first_input() -> None:
    """Give networks that are built from now on the number of threads that `kerasrl.configure` would choose.

    TensorFlow's number is fixed once there are weights; before that, only a network's input shows what it is for. A
    number that was chosen by `configure`, tf.config.threading or an environment variable stays.
    """
    initialise = keras.layers.InputLayer.__init__
    if hasattr(initialise, "chooses_threads"):
        return
    device.say_nothing()
    ours = 0  # as many as TensorFlow wants

    @functools.wraps(initialise)
    def choosing(self: Any, *args: Any, **kwargs: Any) -> None:
        nonlocal ours
        initialise(self, *args, **kwargs)
        if os.environ.keys().isdisjoint(device.VARIABLES) and device.threads() == (ours, ours):
            number = 0 if len(self.batch_shape) > 3 else 1  # batch, window, observation: an image
            with contextlib.suppress(RuntimeError):  # there are weights already
                device.set_threads(number)
                ours = number

    choosing.__signature__ = inspect.signature(initialise)  # type: ignore[attr-defined]  # which Keras reads
    choosing.chooses_threads = True  # type: ignore[attr-defined]
    keras.layers.InputLayer.__init__ = choosing
