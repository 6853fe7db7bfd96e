"""What ends a training as a kill does, but leaves the test's process alone."""

from kerasrl.compat import keras_rl  # noqa: F401  # before the import that it makes possible

# isort: split

import rl.callbacks


class Killed(Exception):
    """The training was killed."""


class KillAt(rl.callbacks.Callback):
    """Kill the training at the end of a step."""

    def __init__(self, step):
        super().__init__()
        self.at = step

    def on_step_end(self, step, logs):
        if self.model.step == self.at:
            raise Killed
