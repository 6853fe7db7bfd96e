"""What Keras takes from KERAS_BACKEND and keras.json, so that results do not depend on whose home folder it is."""

import contextlib
import os
from collections.abc import Iterator


def choose_tensorflow() -> str:
    """Let Keras run on TensorFlow in this process; return the other backend that its environment named, if any."""
    before = os.environ.get("KERAS_BACKEND", "").lower()
    os.environ["KERAS_BACKEND"] = "tensorflow"
    return before.replace("tensorflow", "")


@contextlib.contextmanager
def as_tested() -> Iterator[None]:
    """While the block or function runs, Keras computes as it does where no keras.json says otherwise."""
    from kerasrl.compat import keras_rl  # noqa: F401  # first: it keeps TensorFlow quiet

    # isort: split

    import keras

    before = keras.config.floatx(), keras.config.epsilon(), keras.config.image_data_format()
    _set("float32", 1e-7, "channels_last")
    try:
        yield
    finally:
        _set(*before)


def _set(floatx: str, epsilon: float, image_data_format: str) -> None:
    import keras

    keras.config.set_floatx(floatx)
    keras.config.set_epsilon(epsilon)
    keras.config.set_image_data_format(image_data_format)
