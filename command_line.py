"""From a command line to settings, and from an error to one line and an exit status."""

import argparse
import contextlib
import dataclasses
import io
import itertools
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

try:
    import tyro
except ModuleNotFoundError:
    sys.exit("error: this Python has no tyro; use .venv/bin/python, or install what is needed: pip install .")

from config import GROUPS, Config, preset_file
from kerasrl.errors import UserError, describe, failing_component, python

Settings = TypeVar("Settings")


def parse(settings: type[Settings], argv: Sequence[str] | None = None) -> Settings:
    """Read settings from a command line; prints help and exits if asked to.

    Raises:
        UserError: An option is unknown, or its value is impossible.
    """
    panel = io.StringIO()
    try:
        with contextlib.redirect_stderr(panel):
            return tyro.cli(settings, args=argv, config=(tyro.conf.OmitArgPrefixes,))
    except SystemExit as stop:
        if stop.code == 0:
            raise
        raise UserError(_panel_text(panel.getvalue())) from None


@dataclasses.dataclass(frozen=True)
class _Start:
    """Options below override a file, a file overrides a preset, a preset overrides the defaults."""

    preset: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Name of a file in presets/, without .toml."""
    config: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
    """TOML file with any of the settings below, such as logs/..._config.toml of an earlier run, which it repeats."""


def parse_config(argv: Sequence[str] | None = None) -> Config:
    """Read a training's configuration: defaults < preset < file < options; prints what was overridden.

    Raises:
        UserError: An option or a setting in a file is unknown, or its value is impossible.
    """
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    first.add_argument("--preset")
    first.add_argument("--config")
    with contextlib.suppress(argparse.ArgumentError):  # an option without a value: tyro will tell
        chosen, _ = first.parse_known_args(argv)
        return _overridden(chosen.preset, chosen.config, argv)
    return _overridden(None, None, argv)


def _overridden(preset: str | None, file: str | None, argv: Sequence[str] | None) -> Config:
    layers = [("", Config())]
    if preset is not None:
        layers.append((f"preset {preset}", layers[-1][1].changed_by(preset_file(preset))))
    if file is not None:
        layers.append((f"file {file}", layers[-1][1].changed_by(Path(file))))
    below = dataclasses.asdict(layers[-1][1])
    groups = [
        (group.__name__.lower(), group, group(**{field.name: below[field.name] for field in dataclasses.fields(group)}))
        for group in GROUPS
    ]
    form = dataclasses.make_dataclass("Config", [("start", _Start, _Start()), *groups], frozen=True)
    form.__doc__ = (Config.__doc__ or "").partition("\n")[0]
    filled: Any = parse(form, argv)
    values = {name: value for group, *_ in groups for name, value in vars(getattr(filled, group)).items()}
    layers.append(("options", Config(**values)))
    if layers[-1][1].verbose:
        for (_, before), (source, after) in itertools.pairwise(layers):
            changes = [_told(name, value, getattr(before, name)) for name, value in after.changes(before).items()]
            if changes:
                print(f"{source}: {', '.join(changes)}")
    return layers[-1][1]


def _told(name: str, value: Any, before: Any) -> str:
    """Tell a setting's value, and what it replaces if that is not the default."""
    instead = "" if before == getattr(Config(), name) else f" instead of {_shown(before)}"
    return f"{name} {_shown(value)}{instead}"


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


# What tyro says -> what a person needs to know.
_PLAIN = (
    (r"Error parsing (Test)?Config: ", ""),
    (r"Error parsing (--\S+): ", r"\1: "),
    (r"invalid literal for int\(\) with base 10: (.*)", r"\1 is not a whole number"),
    (r"could not convert string to float: (.*)", r"\1 is not a number"),
    (r"Could not find valid parse for arguments: \[(.*)\]", r"\1 cannot be used"),
    (r"no type matching \{None\}\|INT could be instantiated from \[(.*?)\]\..*", r"\1 is not a whole number"),
    (r"no type matching \S+ could be instantiated from \[(.*?)\]\..*", r"\1 cannot be used"),
    (r"invalid choice (.*) for argument '(.*)'\. Expected one of \((.*)\) ?\.", r"\2: \1 is not one of \3"),
    (r"Missing value for argument '(.*)'\..*", r"\1 needs a value"),
    (r"Missing from .*?: (--\S+ \S+) (.*)\. \(required\)", r"\1 is missing: \2"),
    (r"Unrecognized options: (.*)", r"unknown option: \1"),
)


def _panel_text(panel: str) -> str:
    """Put tyro's panel, which says what is wrong in a box above its hints, on one line."""
    lines = [line.strip("│| ") for line in panel.splitlines() if not line.startswith(("╭", "╰", "+-"))]
    # Drawn with - where the output is not UTF-8.
    sections = [section.strip("\n") for section in re.split("[─-]{8,}", "\n".join(lines))]
    problems: list[str] = []
    meant: list[str] = []
    for section in sections:
        if section.startswith(("Perhaps you meant", "Arguments similar")):
            meant += [line.split()[0] for line in section.splitlines() if line.startswith("--")]
        elif section and not section.startswith(("Argument helptext", "For full helptext")):
            problems.append(" ".join(section.split()))
    for said, plain in _PLAIN:
        problems = [re.sub(said, plain, problem) for problem in problems]
    text = "; ".join(problems)
    if meant:
        return f"{text}; did you mean {' or '.join(meant)}?"
    says_enough = "unknown option" not in text and "cannot be used" not in text
    return text if says_enough else f"{text}; see --help"


@contextlib.contextmanager
def _errors_on_one_line() -> Iterator[None]:
    """End the program with a line on stderr: status 2 for a wrong call, 1 for a failure, 130 for Ctrl-C."""
    try:
        yield
        sys.stdout.flush()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if isinstance(error, BrokenPipeError) and failing_component(error) is None:
            # `| head` has read enough; without this Python complains once more when it exits
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        print(f"error: {describe(error)}", file=sys.stderr)
        sys.exit(1)


def in_words(reward: float) -> str:
    """Return a reward as text, small ones with more decimals."""
    return f"{reward:.1f}" if abs(reward) >= 10 or reward == 0 else f"{reward:.2f}"


def command_to_type(script: str, *arguments: str) -> str:
    """Return the line that runs a script beside this file, by this interpreter, from the current folder."""
    return shlex.join([python(), os.path.relpath(Path(__file__).with_name(script)), *arguments])


def command_line(read: Callable[[], Settings], run: Callable[[Settings], int]) -> int:
    """Call `run` with the settings that `read` returns; return its exit status or exit with an error's."""
    with _errors_on_one_line():
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)  # into a file too: a killed run leaves its seed there
        return run(read())
