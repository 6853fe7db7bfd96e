"""What is told about a script: the lines where something was translated, and where its meaning differs."""

import atexit
import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Literal


@dataclass
class Options:
    """How the script is to be understood, and how much is told about it."""

    tell: Literal["at the end", "at once", "never"] = "at the end"
    keras_rl: Literal[1, 2] | None = None
    """Keras-RL whose defaults hold: 1 is 0.4.2, 2 is keras-rl2; None: 1 for scripts that import plain keras."""
    time_limits_end: bool = False
    """Take a time limit for a real end of the episode, as Keras-RL does."""


@dataclass
class Notes:
    """Collects each note once, with the line of the script that asked for it."""

    options: Options = field(default_factory=Options)
    root: Path | None = None
    """The script's folder; modules in it are the script's own."""
    script: str | None = None
    """The script's file; without one, whatever runs as `__main__`."""
    seed: int | None = None
    """What the script seeded NumPy, TensorFlow or an environment with last."""
    keras: set[str] = field(default_factory=set)
    """Kerases that the script imports: 'keras', 'tensorflow.keras'."""
    is_silent: bool = False
    """Whether translations go unnoted."""
    _lines: dict[tuple[str, int, str], None] = field(default_factory=dict)
    _differences: dict[str, None] = field(default_factory=dict)

    def is_own(self, file: str) -> bool:
        """Return whether a file belongs to the script: itself, a module in its folder, or a notebook's cell."""
        if file == self.script:
            return True
        if self.script is None and (file == getattr(sys.modules["__main__"], "__file__", None) or _is_cell(file)):
            return True
        if self.root is None or file.startswith("<"):
            return False
        path = Path(file)
        return path.is_relative_to(self.root) and not {"site-packages", "kerasrl"} & set(
            path.relative_to(self.root).parts
        )

    def is_for_keras_rl_1(self) -> bool:
        """Return whether the script was written for keras-rl 0.4.2 or older, not for keras-rl2."""
        if self.options.keras_rl is not None:
            return self.options.keras_rl == 1
        return self.keras == {"keras"}

    def caller(self) -> FrameType | None:
        """Return the frame of the script's line that is being run, None if there is none."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and not self.is_own(frame.f_code.co_filename):
            frame = frame.f_back
        return frame

    def is_asked_by_script(self, depth: int = 2) -> bool:
        """Return whether the function that calls this one was itself called by a line of the script.

        Args:
            depth: Frames between here and the line: 2 for the caller's caller.
        """
        frame: FrameType | None = sys._getframe(depth)
        while frame is not None and _passes_on(frame):
            frame = frame.f_back
        return frame is not None and self.is_own(frame.f_code.co_filename)

    def is_attribute(self, depth: int = 2) -> bool:
        """Return whether a module is looked for on behalf of `from package import name`, where a name is wanted.

        Args:
            depth: As for `is_asked_by_script`.
        """
        frame: FrameType | None = sys._getframe(depth)
        while frame is not None and _passes_on(frame):
            if frame.f_code.co_name == "_handle_fromlist":
                return True
            frame = frame.f_back
        return False

    @contextlib.contextmanager
    def silence(self) -> Iterator[None]:
        """Note no translations, as of an old file that is being read."""
        before, self.is_silent = self.is_silent, True
        try:
            yield
        finally:
            self.is_silent = before

    def translated(self, what: str) -> None:
        """Note a translation, such as 'Adam(lr=0.001) -> learning_rate', with the script's line."""
        if self.is_silent:
            return
        frame = self.caller()
        key = (frame.f_code.co_filename, frame.f_lineno, what) if frame is not None else ("", 0, what)
        if key not in self._lines:
            self._lines[key] = None
            if self.options.tell == "at once":
                print(self._line(*key), file=sys.stderr)

    def differs(self, what: str) -> None:
        """Note, once, something that the script may have meant otherwise, and how to choose that."""
        if what not in self._differences:
            self._differences[what] = None
            if self.options.tell == "at once":
                print(f"note: {what}", file=sys.stderr)

    def _line(self, file: str, number: int, what: str) -> str:
        if not number:
            return what
        if file == self.script or _is_cell(file) or self.root is None:
            return f"line {number}: {what}"
        return f"{Path(file).relative_to(self.root)}, line {number}: {what}"

    def tell(self) -> None:
        """Print what was collected, unless that was done at once or is not wanted."""
        if self.options.tell == "at the end":
            ordered = sorted(self._lines, key=lambda key: (key[0] != self.script, key[0], key[1]))
            for line in [*(self._line(*key) for key in ordered), *(f"note: {what}" for what in self._differences)]:
                print(line, file=sys.stderr)
        self._lines.clear()
        self._differences.clear()


def _passes_on(frame: FrameType) -> bool:
    """Return whether a frame only passes a line's question on: Python's import, TensorFlow's late import."""
    file = frame.f_code.co_filename
    return file.startswith("<frozen importlib") or file.endswith(("importlib/__init__.py", "lazy_loader.py"))


def _is_cell(file: str) -> bool:
    """Return whether code comes from a notebook's cell or a prompt."""
    return "ipykernel_" in file or file.startswith(("<ipython-input", "<stdin>", "<string>"))


notes = Notes()
atexit.register(notes.tell)
