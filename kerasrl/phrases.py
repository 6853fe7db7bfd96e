"""Phrases that several parts use: what to type, in a shell or in Python, and how a reward is written."""

import contextlib
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from kerasrl import installation

_NAME = "kerasrl" if installation.IS_INSTALLED else "."  # what to tell pip to install: the package, or the folder
_ON_WINDOWS = os.name == "nt"
_from_shell = ContextVar("from_shell", default=False)


@contextlib.contextmanager
def shell(is_shell: bool = True) -> Iterator[None]:
    """While the block runs, `to_type` answers for a shell, or for Python if not `is_shell`; outside, for Python."""
    token = _from_shell.set(is_shell)
    try:
        yield
    finally:
        _from_shell.reset(token)


def is_shell() -> bool:
    """Return whether the program was started from a shell."""
    return _from_shell.get()


def to_type(in_shell: str, in_python: str) -> str:
    """Return what to type where the program was started: in a shell, or in Python (a notebook, a script)."""
    return in_shell if _from_shell.get() else in_python


def called(setting: str) -> str:
    """Return what a setting is called where the program was started: an option, or the argument of that name."""
    return to_type(f"--{setting.replace('_', '-')}", setting)


def to_give(**settings: Any) -> str:
    """Return what to type to give settings: options with their values, or arguments."""
    words = [word for name, value in settings.items() for word in _option(name, value)]
    return to_type(to_paste(*words), arguments(**settings))


def _option(name: str, value: Any) -> list[str]:
    option = name.replace("_", "-")
    return [f"--no-{option}"] if value is False else [f"--{option}", *([] if value is True else [str(value)])]


def typed() -> str:
    """Return the command that was typed, "" in Python."""
    script, *arguments = sys.argv
    named = ["-m", "kerasrl"] if Path(script).name == "__main__.py" else [script]
    return to_type(to_paste("python", *named, *arguments), "")


def to_paste(*words: str) -> str:
    """Return words as a line to paste: sh, cmd.exe and PowerShell take it apart into these words again.

    All three know double quotes, but only sh and PowerShell single ones.
    """
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    plain = r"[\w+=:./\\-]+" if _ON_WINDOWS else r"[\w+=:./-]+"
    if re.fullmatch(plain, word, re.ASCII):
        return word
    # What sh reads even within double quotes can hardly be in a path on Windows.
    return f'"{word}"' if _ON_WINDOWS or not re.search(r'[$`"\\!]', word) else shlex.quote(word)


def python() -> str:
    """Return what to type for this interpreter in the current folder."""
    found = Path(sys.executable)
    if Path(shutil.which("python") or "").parent == found.parent:
        return "python"
    # A virtual environment that is not activated is given by its path.
    return str(found.relative_to(Path.cwd()) if found.is_relative_to(Path.cwd()) else found)


def to_install(extra: str) -> str:
    """Return the line that installs an extra of this project; in a checkout, it has to be typed in its folder."""
    return to_paste(python(), "-m", "pip", "install", f"{_NAME}[{extra}]")


def missing(library: str | None) -> str:
    """Say that this Python lacks a library that the project requires."""
    own = Path(".venv", "Scripts" if _ON_WINDOWS else "bin", "python")
    use = "" if installation.IS_INSTALLED else f"use {own}, or "
    return f"this Python has no {library}; {use}install what is needed: pip install {_NAME}"


def command_to_type(command: str, *arguments: str) -> str:
    """Return the line that runs a command with this interpreter from the current folder."""
    return to_paste(python(), *installation.words(command), *arguments)


def arguments(*given: Any, **named: Any) -> str:
    """Return what to type between the brackets of a call in Python."""
    return ", ".join([*map(repr, given), *(f"{name}={value!r}" for name, value in named.items())])


def reward_text(reward: float) -> str:
    """Return a reward as text, a small one with more decimals."""
    return f"{reward:.1f}" if abs(reward) >= 10 or reward == 0 else f"{reward:.2f}"
