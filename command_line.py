"""From a command line to settings, and from an error to one line and an exit status.

argparse, fed from a dataclass's fields, names the option that is wrong as data; `train.py --help` takes 0.14 s. tyro
took 0.26 s, and like jsonargparse tells mistakes only in texts of several lines. cyclopts tells them as data, but its
--help is slower and shows neither metavars nor bounds.
"""

import argparse
import ast
import contextlib
import dataclasses
import difflib
import inspect
import io
import itertools
import os
import re
import shlex
import sys
import traceback
import typing
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from kerasrl.errors import missing

# isort: split

try:
    import msgspec

    from bounds import bounds, kind_in_words, requirement
except ModuleNotFoundError as error:
    sys.exit(f"error: {missing(error.name)}")

from config import GROUPS, Config, File, Name, preset_file
from kerasrl import commands, signals
from kerasrl.errors import Note, UserError, describe, failing_component, is_unexpected, python, shell
from trust import require_trust

Settings = TypeVar("Settings")
_DEBUG = "--debug"


def parse(settings: type[Settings], argv: Sequence[str] | None = None) -> Settings:
    """Read a dataclass from a command line; prints help and exits if asked to.

    Each field is an option; a tuple without a default is what stands beside the options.

    Raises:
        UserError: An option is unknown or missing, or its value is impossible.
    """
    given = _given([settings], argv)
    if "help" in given:
        _print_help([settings], settings.__doc__)
    for name, kind, default in _fields(settings):
        if default is dataclasses.MISSING and name not in given:
            text = _texts(settings)[name].rstrip(".")
            raise UserError(f"{_option(name)} {_metavar(kind)} is missing: {text}")
    return settings(**given)


@dataclasses.dataclass(frozen=True)
class Start:
    """Options override a file, a file overrides a preset, a preset overrides the defaults."""

    preset: Name | None = None
    """A file in presets/, without .toml."""
    config: File | None = None
    """TOML file with any of the settings below. The logs/..._config.toml of an earlier run repeats that run."""


def parse_config(argv: Sequence[str] | None = None) -> Config:
    """Read a training's configuration: defaults < preset < file < options; prints what was overridden.

    Raises:
        UserError: An option or a setting in a file is unknown, or its value is impossible.
    """
    return _layered(_given([Start, *GROUPS], argv), [Start, *GROUPS], Config.__doc__)


def parse_with_config(
    own: type[Settings], refused: Mapping[str, str], argv: Sequence[str] | None = None
) -> tuple[Settings, Start, Config]:
    """Read a dataclass and a training's configuration from one command line.

    Args:
        own: The dataclass.
        refused: Settings of a training that are no options here, and what to say instead.
        argv: The command line.

    Raises:
        UserError: As `parse_config`, or a setting is given that is refused.
    """
    groups: list[type] = [Start, own, *GROUPS]
    given = _given(groups, argv)
    if "help" not in given and (wrong := [name for name in given if name in refused]):
        raise UserError(f"{_option(wrong[0])} is no option of this command: {refused[wrong[0]]}")
    names = {field.name for field in dataclasses.fields(own)}  # type: ignore[arg-type]
    settings = {name: value for name, value in given.items() if name not in names}
    config = _layered(dict(settings), groups, own.__doc__)
    start = Start(given.get("preset"), given.get("config"))
    return own(**{name: given[name] for name in names if name in given}), start, config


def _layered(given: dict[str, Any], groups: Sequence[type], description: str | None) -> Config:
    """Return the configuration that the words of a command line stand for; prints what was overridden, or help."""
    layers = [("", Config())]
    preset, file = given.pop("preset", None), given.pop("config", None)
    if preset is not None:
        layers.append((f"preset {preset}", layers[-1][1].changed_by(preset_file(preset))))
    if file is not None:
        layers.append((f"file {file}", layers[-1][1].changed_by(Path(file))))
        if not given.get("trust"):
            require_trust(file, layers[-1][1].changes(layers[-2][1]), given)
    if "help" in given:
        _print_help(groups, (description or "").partition("\n")[0], layers[-1][1])
    config = dataclasses.replace(layers[-1][1], **given)
    object.__setattr__(config, "given", frozenset([*layers[-1][1].changes(Config()), *given]))
    layers.append(("options", config))
    if config.verbose:
        for (_, before), (source, after) in itertools.pairwise(layers):
            changes = [_told(name, value, getattr(before, name)) for name, value in after.changes(before).items()]
            if changes:
                print(f"{source}: {', '.join(changes)}")
    return config


def _told(name: str, value: Any, before: Any) -> str:
    """Tell a setting's value, and what it replaces if that is not the default."""
    instead = "" if before == getattr(Config(), name) else f" instead of {_shown(before)}"
    return f"{name} {_shown(value)}{instead}"


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _given(groups: Sequence[type], argv: Sequence[str] | None) -> dict[str, Any]:
    """Return the settings that stand on a command line, and "help" if that does.

    Raises:
        UserError: An option is unknown, or its value is of another type.
    """
    words = [
        re.sub("^--[^=]+", lambda option: option[0].replace("_", "-"), word)  # --batch_size is --batch-size
        for word in (sys.argv[1:] if argv is None else argv)
    ]
    try:
        found, unknown = _parser(groups).parse_known_args(words)
    except argparse.ArgumentError as error:
        option = error.argument_name or ""
        is_switch = "/" in option  # --x/--no-x
        raise UserError(f"{option} {'takes no value' if is_switch else 'needs a value'}") from None
    given = {name: value for name, value in vars(found).items() if value is not None}
    given.pop("debug", None)  # which `command_line` looks for, before anything can be wrong
    kinds = {name: kind for group in groups for name, kind in typing.get_type_hints(group).items()}
    unknown = [word for word in unknown if word != "--"]
    if unknown and "help" not in given:
        options = [
            _DEBUG,
            *map(_option, kinds),
            *(_option(f"no_{name}") for name, kind in kinds.items() if kind is bool),
        ]
        meant = [near for word in unknown for near in difflib.get_close_matches(word.partition("=")[0], options, n=1)]
        cure = f"did you mean {' or '.join(meant)}?" if meant else "see --help"
        raise UserError(f"unknown option: {', '.join(unknown)}; {cure}")
    return {name: _value(name, value, kinds.get(name, bool)) for name, value in given.items()}


def _value(name: str, text: Any, kind: Any) -> Any:
    """Return what a text on the command line stands for, or a list of them, or what a switch was set to."""
    if isinstance(text, list):
        return tuple(_value(name, one, typing.get_args(kind)[0]) for one in text)
    if text == "None" and type(None) in typing.get_args(kind):
        return None
    if isinstance(text, str) and str not in (kind, *typing.get_args(kind)):
        text = re.sub(r"(?<=\d)_(?=\d)", "", text)  # 50_000, as in Python
        is_count = int in (kind, *typing.get_args(kind)) and re.fullmatch(r"[\d.]+e\+?\d{1,2}", text, re.IGNORECASE)
        if is_count and float(text).is_integer():  # 5e4
            text = str(int(float(text)))
    try:
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError:
        raise UserError(f"{_option(name)}: {text!r} is not {kind_in_words(kind)}") from None


def _fields(settings: Any) -> Iterator[tuple[str, Any, Any]]:
    """Return name, annotated type and default of each field of a dataclass."""
    kinds = typing.get_type_hints(settings, include_extras=True)
    return ((field.name, kinds[field.name], field.default) for field in dataclasses.fields(settings))


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _metavar(kind: Any) -> str:
    """Return what stands for a value in --help."""
    if typing.get_origin(kind) is Literal:
        return f"{{{','.join(map(str, typing.get_args(kind)))}}}"
    titles = [bound.title for bound in bounds(kind) if bound.title is not None]
    while typing.get_args(kind):
        kind = typing.get_args(kind)[0]
    return titles[0] if titles else kind.__name__.upper()


def _texts(settings: type) -> dict[str, str]:
    """Return the text below each field of a dataclass."""
    names = {base.__name__ for base in settings.__mro__}
    module = ast.parse(Path(inspect.getfile(settings)).read_text(encoding="utf-8"))
    texts = {}
    for node in module.body:
        for pair in itertools.pairwise(node.body if isinstance(node, ast.ClassDef) and node.name in names else ()):
            match pair:
                case (ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(text)))):
                    texts[name] = text
    return texts


def _parser(groups: Sequence[type], description: str | None = None, values: object = None) -> argparse.ArgumentParser:
    """Make the options of dataclasses; `values` has the defaults to show where they are not the fields' own."""
    how_written = "Whole numbers may be written as 50_000 or 5e4, too."
    parser = argparse.ArgumentParser(
        f"python -m kerasrl {Path(sys.argv[0]).stem}" if commands.IS_INSTALLED else None,
        description=description,
        epilog=how_written,
        add_help=False,
        allow_abbrev=False,
        exit_on_error=False,
    )
    parser._negative_number_matcher = re.compile(r"-(\.?\d|inf$)")  # -1e3 and -inf are numbers too
    for flags, text in (
        (("-h", "--help"), "Show this help and exit."),
        ((_DEBUG,), "Show whole tracebacks of errors."),
    ):
        parser.add_argument(*flags, action="store_const", const=True, help=text)
    usage = ["%(prog)s"]
    for group in groups:
        title = f"{group.__name__.strip('_').lower()} options"
        section: Any = parser if len(groups) == 1 else parser.add_argument_group(title, group.__doc__)
        texts = _texts(group)
        for name, kind, own_default in _fields(group):
            default, metavar = getattr(values, name, own_default), _metavar(kind)
            several, needed = typing.get_origin(kind) is tuple, default is dataclasses.MISSING
            notes = [requirement(bound) for bound in bounds(kind)[:1] if bound.title is None]
            notes += ["required"] if needed else [] if default in (None, "", ()) else [f"default: {_shown(default)}"]
            text = f"{texts[name]} ({', '.join(notes)})" if notes else texts[name]
            if needed:
                usage.append(f"{metavar} [{metavar} ...]" if several else f"{_option(name)} {metavar}")
            how: dict[str, Any] = {"nargs": "*" if several else None, "metavar": metavar}
            if kind is bool:
                how = {"action": argparse.BooleanOptionalAction}
            section.add_argument(name if needed and several else _option(name), help=text.replace("%", "%%"), **how)
    parser.usage = " ".join([*usage, "[OPTIONS]"])
    return parser


def _print_help(groups: Sequence[type], description: str | None, values: object = None) -> None:
    """Print help and exit."""
    print(_parser(groups, description, values).format_help(), end="")
    sys.exit(0)


@contextlib.contextmanager
def _errors_on_one_line(debug: bool) -> Iterator[None]:
    """End the program with a line on stderr: status 2 for a wrong call, 1 for a failure, 130 for Ctrl-C.

    With `debug` the traceback comes before it.
    """
    try:
        yield
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if isinstance(error, BrokenPipeError) and failing_component(error) is None:
            # `| head` has read enough; without this Python complains once more when it exits
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        hint = "" if debug or not is_unexpected(error) else f"; {_DEBUG} shows the whole traceback"
        if debug:
            traceback.print_exception(error)
        print(f"error: {describe(error)}{hint}", file=sys.stderr)
        sys.exit(2 if isinstance(error, UserError) else 1)


@contextlib.contextmanager
def _notes_on_one_line() -> Iterator[None]:
    """Print each `Note` as a line on stderr; other warnings look as they always do."""
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(message: Any, category: type[Warning], *place: Any) -> None:
            if issubclass(category, Note):
                from tqdm import tqdm  # here, so that --help does not wait for it

                tqdm.write(f"note: {message}", file=sys.stderr)  # not into a live line
            else:
                others(message, category, *place)

        warnings.showwarning = show  # type: ignore[assignment]
        warnings.simplefilter("always", Note)
        yield


def _prepare_streams() -> None:
    """Let output that has no reader go nowhere, and characters that a reader's alphabet lacks be written as codes."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # closed by `>&-`; a file must not take its place
        pass
    os.close(descriptor)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Line by line into a file too: a killed run leaves its seed there.
            stream.reconfigure(line_buffering=True, errors="backslashreplace")


def in_words(reward: float) -> str:
    """Return a reward as text, small ones with more decimals."""
    return f"{reward:.1f}" if abs(reward) >= 10 or reward == 0 else f"{reward:.2f}"


def command_to_type(command: str, *arguments: str) -> str:
    """Return the line that runs a command, by this interpreter, from the current folder."""
    return shlex.join([python(), *commands.words(command), *arguments])


def command_line(
    read: Callable[[Sequence[str]], Settings], run: Callable[[Settings], int], argv: Sequence[str] | None = None
) -> int:
    """Call `run` with the settings that `read` finds in `argv`; return its exit status or exit with an error's."""
    words = sys.argv[1:] if argv is None else argv
    _prepare_streams()
    with shell(), signals.raised(), _errors_on_one_line(_DEBUG in words), _notes_on_one_line():
        settings = read(words)
        if getattr(settings, "verbose", 1) == 0:
            warnings.simplefilter("ignore", Note)
        return run(settings)
