"""A training's settings in layers: defaults, a preset, a file, options."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

from kerasrl.cli.options import flag, given_options, options_of, print_help, shown_value
from kerasrl.config import Config
from kerasrl.config.files import changed_by, changes, preset_file
from kerasrl.config.settings import GROUPS, File, Name
from kerasrl.config.trust import require_trust
from kerasrl.errors import UserError

Own = TypeVar("Own")


@dataclass(frozen=True)
class Start:
    """Options override a file, which overrides a preset, which overrides the defaults."""

    preset: Annotated[Name | None, "Name of a file in presets/, without .toml."] = None
    config: Annotated[
        File | None,
        "TOML file with any of the settings below. An earlier run's logs/..._config.toml repeats that run.",
    ] = None


@dataclass(frozen=True)
class Layered:
    """A training's settings, and where they come from."""

    config: Config
    given: frozenset[str]
    """Names of the settings that a preset, a file or an option sets."""
    told: tuple[str, ...]
    """A line for each layer: what it changes."""


@dataclass(frozen=True)
class WithOwn(Generic[Own]):
    """The settings of a training, and those of a command around it."""

    own: Own
    start: Start
    layered: Layered


def parse_config(words: Sequence[str], program: str) -> Layered:
    """Read a training's settings from a command line; prints help and exits if asked to.

    Raises:
        UserError: An option or a setting in a file is unknown, or its value is impossible.
    """
    groups = [Start, *GROUPS]
    return _layered(given_options(groups, words), groups, Config.__doc__, program)


def parse_with_config(own: type[Own], refused: Mapping[str, str], words: Sequence[str], program: str) -> WithOwn[Own]:
    """Read the dataclass `own` and a training's settings from one command line.

    Raises:
        UserError: As `parse_config`, or one of the settings in `refused` is given, whose values say what to do instead.
    """
    groups: list[type] = [Start, own, *GROUPS]
    given = given_options(groups, words)
    if "help" not in given and (wrong := [name for name in given if name in refused]):
        raise UserError(f"{flag(wrong[0])} is not an option of this command: {refused[wrong[0]]}")
    names = {option.name for option in options_of(own)}
    settings = {name: value for name, value in given.items() if name not in names}
    layered = _layered(dict(settings), groups, own.__doc__, program)
    start = Start(given.get("preset"), given.get("config"))
    return WithOwn(own(**{name: given[name] for name in names if name in given}), start, layered)


def _layered(given: dict[str, Any], groups: Sequence[type], description: str | None, program: str) -> Layered:
    layers = [("", Config())]
    preset, file = given.pop("preset", None), given.pop("config", None)
    if preset is not None:
        layers.append((f"preset {preset}", changed_by(layers[-1][1], preset_file(preset))))
    if file is not None:
        layers.append((f"file {file}", changed_by(layers[-1][1], Path(file))))
        if not given.get("trust"):
            require_trust(file, changes(layers[-1][1], layers[-2][1]), given)
    if "help" in given:
        print_help(groups, (description or "").partition("\n")[0], program, layers[-1][1])
    config = dataclasses.replace(layers[-1][1], **given)
    named = frozenset([*changes(layers[-1][1], Config()), *given])
    layers.append(("options", config))
    told = []
    for (_, before), (source, after) in itertools.pairwise(layers):
        changed = [_told(name, value, getattr(before, name)) for name, value in changes(after, before).items()]
        if changed:
            told.append(f"{source}: {', '.join(changed)}")
    return Layered(config, named, tuple(told))


def _told(name: str, value: Any, before: Any) -> str:
    instead = "" if before == getattr(Config(), name) else f" instead of {shown_value(before)}"
    return f"{name} {shown_value(value)}{instead}"
