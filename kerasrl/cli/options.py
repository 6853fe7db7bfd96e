"""From the words of a command line to settings: each field of a dataclass is an option.

argparse, fed from a dataclass's fields, reports the wrong option as data; `train.py --help` takes 0.14 s. tyro took
0.26 s and, like jsonargparse, reports mistakes only as texts of several lines. cyclopts reports them as data, but its
--help is slower and shows neither metavars nor bounds.
"""

import argparse
import dataclasses
import re
import sys
import typing
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import msgspec

from kerasrl.cli.meant import cure
from kerasrl.cli.streams import DEBUG
from kerasrl.config.arguments import parsed
from kerasrl.config.arguments import words as written
from kerasrl.config.checks import bounds, kind_in_words, requirement
from kerasrl.config.files import group_title
from kerasrl.errors import UserError

Settings = TypeVar("Settings")


class Option(NamedTuple):
    """A field of a dataclass of settings."""

    name: str
    kind: Any
    """Its type, annotated with its bounds."""
    default: Any
    text: str


def parse(settings: type[Settings], words: Sequence[str], program: str) -> Settings:
    """Read a dataclass from a command line; prints help and exits if asked to.

    Each field is an option; a tuple without a default holds the positional arguments.

    Raises:
        UserError: An option is unknown or missing, or its value is impossible.
    """
    given = given_options([settings], words)
    if "help" in given:
        print_help([settings], settings.__doc__, program)
    for option in options_of(settings):
        if option.default is dataclasses.MISSING and option.name not in given:
            missing = f"{flag(option.name)} {_metavar(option.kind)} is missing: {option.text.rstrip('.')}"
            raise UserError(missing)
    return settings(**given)


def given_options(groups: Sequence[type], words: Sequence[str]) -> dict[str, Any]:
    """Return the settings given on a command line, and "help" if it is asked for.

    Raises:
        UserError: An option is unknown, or its value has the wrong type.
    """
    # --batch_size is --batch-size
    words = [re.sub("^--[^=]+", lambda option: option[0].replace("_", "-"), word) for word in words]
    parser = _parser(groups, "")
    parse_known = parser.parse_known_args if "--" in words else parser.parse_known_intermixed_args
    try:
        found, unknown = parse_known(words)
    except argparse.ArgumentError as error:
        option = error.argument_name or ""
        is_switch = "/" in option  # --x/--no-x
        raise UserError(f"{option} {'takes no value' if is_switch else 'needs a value'}") from None
    given = {name: value for name, value in vars(found).items() if value is not None}
    given.pop("debug", None)  # which is looked for before anything can go wrong
    kinds = {name: kind for group in groups for name, kind in typing.get_type_hints(group).items()}
    unknown = [word for word in unknown if word != "--"]
    if unknown and "help" not in given:
        options = [DEBUG, *map(flag, kinds), *(flag(f"no_{name}") for name, kind in kinds.items() if kind is bool)]
        wrong, instead = cure(unknown, options)
        what = "option" if any(word.startswith("-") for word in wrong) else "word"
        raise UserError(f"unknown {what}: {', '.join(wrong)}; {instead}")
    return {name: _value(name, value, kinds.get(name, bool)) for name, value in given.items()}


def _value(name: str, text: Any, kind: Any) -> Any:
    if typing.get_origin(kind) is dict:
        return parsed(flag(name), text)
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
        raise UserError(f"{flag(name)}: {text!r} is not {kind_in_words(kind)}") from None


def options_of(settings: Any) -> Iterator[Option]:
    """Yield a dataclass's fields; the last annotation of each is its help text."""
    kinds = typing.get_type_hints(settings, include_extras=True)
    for field in dataclasses.fields(settings):
        kind, (*others, text) = kinds[field.name].__origin__, kinds[field.name].__metadata__
        bounded = (kind, *others)
        default = field.default_factory() if callable(field.default_factory) else field.default
        yield Option(field.name, Annotated[bounded] if others else kind, default, text)


def flag(name: str) -> str:
    """Return the option that sets a setting."""
    return f"--{name.replace('_', '-')}"


def _is_words(kind: Any, default: Any) -> bool:
    """Return whether a field holds what is given without an option."""
    return typing.get_origin(kind) is tuple and default is dataclasses.MISSING


def _bare(kind: Any) -> Any:
    """Return a type without its annotations."""
    return typing.get_args(kind)[0] if typing.get_origin(kind) is Annotated else kind


def _holds_several(kind: Any) -> bool:
    return typing.get_origin(_bare(kind)) in (tuple, dict)


def _holds_numbers(kind: Any) -> bool:
    """Return whether what a field holds several of are numbers."""
    return typing.get_origin(_bare(kind)) is tuple and _bare(typing.get_args(_bare(kind))[0]) is int


def _metavar(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return f"{{{','.join(map(str, typing.get_args(kind)))}}}"
    titles = [bound.title for bound in bounds(kind) if bound.title is not None]
    while typing.get_args(kind):
        kind = typing.get_args(kind)[0]
    return titles[0] if titles else kind.__name__.upper()


def shown_value(value: Any) -> str:
    """Return a setting's value as one would type it."""
    if isinstance(value, dict):
        return " ".join(written(value))
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _parser(
    groups: Sequence[type], program: str, description: str | None = None, values: object = None
) -> argparse.ArgumentParser:
    """Make options of dataclasses' fields; `values` holds defaults to show in place of the fields' own."""
    how_written = "Whole numbers may also be written as 50_000 or 5e4."
    parser = argparse.ArgumentParser(
        program, description=description, epilog=how_written, add_help=False, allow_abbrev=False, exit_on_error=False
    )
    parser._negative_number_matcher = re.compile(r"-(\.?\d|inf$)")  # -1e3 and -inf are numbers too
    for flags, text in ((("-h", "--help"), "Show this help and exit."), ((DEBUG,), "Show whole tracebacks of errors.")):
        parser.add_argument(*flags, action="store_const", const=True, help=text)
    usage, known = ["%(prog)s"], set[str]()
    # Beside words without an option, one that holds several values takes one each time that it is given.
    has_words = any(_is_words(option.kind, option.default) for group in groups for option in options_of(group))
    for group in groups:
        title = f"{group_title(group)} options"
        section: Any = parser if len(groups) == 1 else parser.add_argument_group(title, group.__doc__)
        for name, kind, own_default, about in options_of(group):
            if name in known:  # another agent has it, too
                continue
            known.add(name)
            default, metavar = getattr(values, name, own_default), _metavar(kind)
            several, needed = _holds_several(kind), default is dataclasses.MISSING
            notes = [requirement(bound) for bound in bounds(kind)[:1] if bound.title is None]
            shown = [] if default in (None, "", (), {}) else [f"default: {shown_value(default)}"]
            notes += ["required"] if needed else shown
            text = f"{about} ({', '.join(notes)})" if notes else about
            if needed:
                usage.append(f"{metavar} [{metavar} ...]" if several else f"{flag(name)} {metavar}")
            how: dict[str, Any] = {"metavar": metavar}
            if several:
                # Of numbers, such as hidden_layers, the last ones given count, of names all.
                several_values = (
                    {"nargs": "*"} if needed or _holds_numbers(kind) else {"nargs": "*", "action": "extend"}
                )
                how |= {"action": "append"} if has_words and not needed else several_values
            if kind is bool:
                how = {"action": argparse.BooleanOptionalAction}
            section.add_argument(name if _is_words(kind, default) else flag(name), help=text.replace("%", "%%"), **how)
    parser.usage = " ".join([*usage, "[OPTIONS]"])
    return parser


def print_help(
    groups: Sequence[type], description: str | None, program: str, values: object = None, more: str = ""
) -> None:
    """Print help, with `more` at its end, and exit."""
    print(_parser(groups, program, description, values).format_help() + more, end="")
    sys.exit(0)
