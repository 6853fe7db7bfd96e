"""The script that is translated: which files and lines are its own, what it imports and seeds, how to understand it."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Literal


@dataclass
class Options:
    """How to understand the script, and how much to print about it."""

    notes: Literal["at the end", "at once", "never"] = "at the end"
    keras_rl: Literal[1, 2] | None = None
    """Whose defaults hold: 1 is keras-rl 0.4.2, 2 is keras-rl2; None is 1 for scripts that import plain keras."""
    time_limits_end: bool = False
    """Take a time limit for a real end of the episode, as Keras-RL does."""


@dataclass
class Script:
    """What is known about the script while it runs."""

    options: Options = field(default_factory=Options)
    folder: Path | None = None
    """The script's folder; modules in it are the script's own."""
    file: str | None = None
    """The script's file; if None, whatever runs as `__main__`."""
    keras: set[str] = field(default_factory=set)
    """What the script imports of 'keras' and 'tensorflow.keras'."""

    def is_own(self, file: str) -> bool:
        """Return whether a file belongs to the script: itself, a module in its folder, or a notebook's cell."""
        if file == self.file:
            return True
        if self.file is None and (file == getattr(sys.modules["__main__"], "__file__", None) or is_cell(file)):
            return True
        if self.folder is None or file.startswith("<"):
            return False
        path = Path(file)
        is_below = path.is_relative_to(self.folder)
        return is_below and not {"site-packages", "kerasrl"} & set(path.relative_to(self.folder).parts)

    def is_for_keras_rl_1(self) -> bool:
        """Return whether the script was written for keras-rl 0.4.2 or older, not for keras-rl2."""
        return self.is_for_plain_keras() if self.options.keras_rl is None else self.options.keras_rl == 1

    def is_for_plain_keras(self) -> bool:
        """Return whether the script imports Keras by its own name only, as before TensorFlow had it."""
        return self.keras == {"keras"}

    def running_line(self) -> FrameType | None:
        """Return the frame of the script's line that is running, None if there is none."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and not self.is_own(frame.f_code.co_filename):
            frame = frame.f_back
        return frame

    def is_asking(self, depth: int = 2) -> bool:
        """Return whether a line of the script called what asks, `depth` frames above: 2 for the caller's caller."""
        frame: FrameType | None = sys._getframe(depth)
        while frame is not None and _passes_on(frame):
            frame = frame.f_back
        return frame is not None and self.is_own(frame.f_code.co_filename)

    def is_asking_for_a_name(self, depth: int = 2) -> bool:
        """Return whether a module is looked for on behalf of `from package import name`; `depth` as for `is_asking`."""
        frame: FrameType | None = sys._getframe(depth)
        while frame is not None and _passes_on(frame):
            if frame.f_code.co_name == "_handle_fromlist":
                return True
            frame = frame.f_back
        return False


def _passes_on(frame: FrameType) -> bool:
    """Return whether a frame is one of Python's import or TensorFlow's late import, which ask for somebody else."""
    file = frame.f_code.co_filename
    return file.startswith("<frozen importlib") or file.endswith(("importlib/__init__.py", "lazy_loader.py"))


def is_cell(file: str) -> bool:
    """Return whether code comes from a notebook's cell or a prompt."""
    return "ipykernel_" in file or file.startswith(("<ipython-input", "<stdin>", "<string>"))


script = Script()
