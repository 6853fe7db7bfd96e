"""A training's settings in layers: defaults, a preset, a file, options."""

import dataclasses
import itertools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from kerasrl.cli.options import flag, given_options, options_of, print_help, shown_value
from kerasrl.config import AnyConfig, Config
from kerasrl.config.agents import AGENTS, DQN
from kerasrl.config.files import changed_by, changes, chosen_agent, preset_file, presets, require_of_agent
from kerasrl.config.settings import File, Name
from kerasrl.config.trust import require_trust
from kerasrl.errors import UserError

Own = TypeVar("Own")
_ALL_GROUPS = tuple(dict.fromkeys(group for kind in AGENTS.values() for group in kind.settings.groups))


@dataclass(frozen=True)
class Start:
    """Options override a file, which overrides a preset, which overrides the defaults."""

    preset: Annotated[Name | None, "Settings for a task, by name: a file in presets/, without .toml."] = None
    config: Annotated[
        File | None,
        "TOML file with any of the settings below. An earlier run's logs/..._config.toml repeats that run.",
    ] = None
    agent: Annotated[
        Literal["dqn", "ddpg", "naf", "sarsa", "cem"],
        "Agent to train: ddpg and naf for continuous actions, the others for discrete ones. Each has settings of its "
        "own, which --agent NAME --help shows.",
    ] = "dqn"


@dataclass(frozen=True)
class Layered:
    """A training's settings, and where they come from."""

    config: AnyConfig
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


def parse_config(words: Sequence[str], program: str, agent: str = DQN) -> Layered:
    """Read a training's settings from a command line; prints help and exits if asked to.

    `agent` is the one to train if neither an option nor a file names another.

    Raises:
        UserError: An option or a setting in a file is unknown, or its value is impossible.
    """
    return _layered(_given([Start, *_ALL_GROUPS], words), None, program, agent)


def parse_with_config(own: type[Own], refused: Mapping[str, str], words: Sequence[str], program: str) -> WithOwn[Own]:
    """Read the dataclass `own` and a training's settings from one command line.

    Raises:
        UserError: As `parse_config`, or one of the settings in `refused` is given, whose values say what to do instead.
    """
    given = _given([Start, own, *_ALL_GROUPS], words)
    if "help" not in given and (wrong := [name for name in given if name in refused]):
        raise UserError(f"{flag(wrong[0])} is not an option of this command: {refused[wrong[0]]}")
    names = {option.name for option in options_of(own)}
    settings = {name: value for name, value in given.items() if name not in names}
    layered = _layered(dict(settings), own, program)
    start = Start(given.get("preset"), given.get("config"))
    return WithOwn(own(**{name: given[name] for name in names if name in given}), start, layered)


def _given(groups: Sequence[type], words: Sequence[str]) -> dict[str, Any]:
    """Return the settings given on a command line; for --preset alone, print the presets and exit."""
    if words and words[-1] == "--preset":
        print(_list_of_presets(), end="")
        sys.exit(0)
    return given_options(groups, words)


def _list_of_presets() -> str:
    found = presets()
    width = max(map(len, found))
    return "".join(["presets:\n", *(f"  {name:{width}}  {what}\n" for name, what in found.items())])


def _layered(given: dict[str, Any], own: type | None, program: str, default: str = DQN) -> Layered:
    preset, file = given.pop("preset", None), given.pop("config", None)
    files = [None if preset is None else preset_file(preset), None if file is None else Path(file)]
    named = given.pop("agent", None)
    if given.get("resume") and named is None and files == [None, None]:
        from kerasrl.training.files import agent_to_resume  # here, so that --help does not wait for it

        default = agent_to_resume(given.get("checkpoint_dir", Config.checkpoint_dir), given.get("env"), default)
    kind: Any = AGENTS[chosen_agent(named, *files, default=default)].settings
    layers: list[tuple[str, AnyConfig]] = [("", kind())]
    if files[0] is not None:
        layers.append((f"preset {preset}", changed_by(layers[-1][1], files[0])))
    if files[1] is not None:
        layers.append((f"file {file}", changed_by(layers[-1][1], files[1])))
        if not given.get("trust"):
            require_trust(file, changes(layers[-1][1], layers[-2][1]), given)
    if "help" in given:
        groups = [Start, *([] if own is None else [own]), *kind.groups]
        print_help(
            groups, ((own or kind).__doc__ or "").partition("\n")[0], program, layers[-1][1], f"\n{_list_of_presets()}"
        )
    for name in given:
        require_of_agent(name, flag(name), kind)
    config = dataclasses.replace(layers[-1][1], **given)
    changed_so_far = frozenset([*changes(layers[-1][1], kind()), *given])
    layers.append(("options", config))
    told = [] if kind.agent == DQN else [f"agent {kind.agent}"]
    for (_, before), (source, after) in itertools.pairwise(layers):
        changed = [_told(name, value, getattr(before, name), kind) for name, value in changes(after, before).items()]
        if changed:
            told.append(f"{source}: {', '.join(changed)}")
    return Layered(config, changed_so_far, tuple(told))


def _told(name: str, value: Any, before: Any, kind: Any) -> str:
    instead = "" if before == getattr(kind(), name) else f" instead of {shown_value(before)}"
    return f"{name} {shown_value(value)}{instead}"
