"""What is printed about the script: the lines where something was translated, and where its meaning differs."""

import atexit
import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kerasrl.legacy.script import is_cell, script


@dataclass
class Report:
    """Collects each note once, with the line of the script that asked for it."""

    is_silent: bool = False
    """Whether translations are not noted."""
    _lines: dict[tuple[str, int, str], None] = field(default_factory=dict)
    _differences: dict[str, None] = field(default_factory=dict)

    @contextlib.contextmanager
    def silence(self) -> Iterator[None]:
        """Do not note translations, such as those of an old file that is being read."""
        before, self.is_silent = self.is_silent, True
        try:
            yield
        finally:
            self.is_silent = before

    def translated(self, what: str) -> None:
        """Note a translation, such as 'Adam(lr=0.001) -> learning_rate', and the script's line."""
        if self.is_silent:
            return
        frame = script.running_line()
        key = (frame.f_code.co_filename, frame.f_lineno, what) if frame is not None else ("", 0, what)
        if key not in self._lines:
            self._lines[key] = None
            if script.options.notes == "at once":
                print(_line(*key), file=sys.stderr)

    def differs(self, what: str) -> None:
        """Note, once, something that the script may have meant differently, and how to choose that."""
        if what not in self._differences:
            self._differences[what] = None
            if script.options.notes == "at once":
                print(f"note: {what}", file=sys.stderr)

    def show(self) -> None:
        """Print what was collected, unless it has been printed or is not wanted."""
        if script.options.notes == "at the end":
            ordered = sorted(self._lines, key=lambda key: (key[0] != script.file, key[0], key[1]))
            lines = [*(_line(*key) for key in ordered), *(f"note: {what}" for what in self._differences)]
            sys.stderr.writelines(f"{line}\n" for line in lines)
        self._lines.clear()
        self._differences.clear()


def _line(file: str, number: int, what: str) -> str:
    if not number:
        return what
    if file == script.file or is_cell(file) or script.folder is None:
        return f"line {number}: {what}"
    return f"{Path(file).relative_to(script.folder)}, line {number}: {what}"


report = Report()
atexit.register(report.show)
