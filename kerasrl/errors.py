"""The errors that a person can act on: one line that says what is wrong and what to do."""

from collections.abc import Sequence

_LONGEST, _END = 800, 300  # characters: a message may quote a whole file; its end is the cure


def printable(text: str) -> str:
    """Return a text on one line that cannot control a terminal: control characters are escaped as in Python."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def one_line(error: BaseException) -> str:
    """Return an exception's text on one line."""
    return " ".join(str(error).split())


def require_keras_3(thing: object, what: str) -> None:
    """Raise `UserError` if an object is one of Keras 2: of tf_keras, or of TensorFlow's private copy."""
    homes = [f"{base.__module__}." for base in type(thing).__mro__]
    if any(home.startswith(("tf_keras.", "tensorflow.python.keras.")) for home in homes):
        if any(home.startswith("rl.") for home in homes):
            raise UserError(
                f"{what} derives from Keras-RL as it is before its repair: import kerasrl.callbacks before rl"
            )
        raise UserError(f"{what} is of Keras 2 (tf_keras), but kerasrl needs Keras 3: import it from keras")


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - _END]} ... {text[-_END:]}"


class UserError(ValueError):
    """A wrong setting, environment or file. The commands print its text and exit with status 2."""

    def __str__(self) -> str:
        return _shortened(printable(_shortened(super().__str__())))  # first, since a character may become ten

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows: the line that says it all, without where it was raised."""
        return [f"{type(self).__name__}: {self}"]


class WeightsError(UserError):
    """A weights file that cannot be used."""

    misfits: Sequence[str] = ()
    """Which of its layers have other shapes than a model's, in words."""
    are_others = False
    """Whether anything else in it fits."""


class DivergenceError(ArithmeticError):
    """A training whose loss is no longer a finite number."""


class WriteError(OSError):
    """A weights, log or state file that cannot be written."""


class Note(UserWarning):
    """Something that works but is hardly intended. The commands print its text as a line on stderr."""
