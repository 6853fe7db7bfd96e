"""The settings that a file carries, and those with which its run continues."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from kerasrl.config import arguments
from kerasrl.config.agents import AGENTS, DQN, AnyConfig, require_agent
from kerasrl.config.files import changes
from kerasrl.config.other_agents import NoiseSettings, PolicySettings
from kerasrl.config.settings import ExplorationSettings
from kerasrl.errors import UserError

# What may change without a word: how long the run is, what it shows, and where its parts are now.
_FREE = {"nb_steps", "resume", "overwrite", "trust", "verbose", "visualize", "checkpoint_dir", "log_dir", "play"}
_FREE |= {"record_every", "stop_when_solved", "stop_at", "tensorboard", "recipe", "max_time"}
# What people change in a run that goes on, whose result is no longer that of a single run.
LEARNING_RATES = {"learning_rate", "actor_learning_rate", "critic_learning_rate"}  # after the networks' names
EXPLORATION = {f.name for g in (ExplorationSettings, NoiseSettings, PolicySettings) for f in dataclasses.fields(g)}
EXPLORATION |= {"noise_ampl", "noise_decay_const"}
_CHANGEABLE = (
    LEARNING_RATES | EXPLORATION | {"eval_interval", "eval_episodes", "playoff", "callback", "threads", "device"}
)


def new_id(config: AnyConfig, objects: Mapping[str, Any], number: int) -> str:
    """Return an id for a run: the same for the same settings, so that the same seed gives the same files.

    Args:
        config: Its settings, with a seed; those that change no result do not matter.
        objects: What `OwnParts.metadata` says.
        number: Tells it from earlier runs in its folders.
    """
    left_out = _FREE | {"playoff"}  # which changes nothing in a training
    settings = {name: value for name, value in dataclasses.asdict(config).items() if name not in left_out}
    text = json.dumps([settings, objects, number], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def id_of(metadata: Any) -> str:
    """Return the id of the run that metadata are from, "" if they have none."""
    run = metadata.get("run") if isinstance(metadata, dict) else None
    return run if isinstance(run, str) and re.fullmatch("[0-9a-f]{12}", run) else ""


def from_metadata(metadata: dict[str, Any] | None, source: str | Path | None = None, agent: str = DQN) -> AnyConfig:
    """Rebuild the configuration that a file carries; the defaults of `agent` if it carries none.

    Raises:
        UserError: The settings cannot be used; the message begins with `source`.
    """
    try:
        if not isinstance(metadata, dict | None):
            raise UserError("the settings are not a table")
        kind = AGENTS[agent if metadata is None else require_agent(metadata.get("agent", DQN))].settings
        fields = {field.name for field in dataclasses.fields(kind)}
        config: AnyConfig = kind(**{name: value for name, value in (metadata or {}).items() if name in fields})
        return config
    except UserError as error:
        raise UserError(f"{source}: {error}" if source else str(error)) from None


def resumed(
    config: AnyConfig,
    given: Collection[str] | None,
    metadata: dict[str, Any] | None,
    source: str | Path | None = None,
    reached: int = 0,
) -> AnyConfig:
    """Return the configuration with which a run continues: as it was, except for what is given.

    Args:
        config: Settings of the call.
        given: Names of those given; None, as in Python, means all that differ from the defaults.
        metadata: The run's settings, from its state.
        source: File that the metadata is from.
        reached: The step that the run has come to.

    Raises:
        UserError: A given setting differs, and it is not one of those that may.
    """
    before = from_metadata(metadata, source)
    if before.agent != config.agent:
        raise UserError(f"{source}: the run is of {before.agent}, not of {config.agent}")
    said = {name: getattr(config, name) for name in (changes(config, type(config)()) if given is None else given)}
    differences = [
        f"{name} is {value} here but was {getattr(before, name)!s:.200} there"
        for name, value in said.items()
        if name not in _FREE | _CHANGEABLE and value != getattr(before, name)
    ]
    if differences:
        raise UserError(f"cannot resume with different settings: {'; '.join(differences)}")
    if said.get("nb_steps", before.nb_steps) < reached:
        raise UserError(
            f"cannot resume with fewer steps: nb_steps is {config.nb_steps}, but the run has come to {reached}, and "
            "what it has learned since cannot be undone; weights saved on the way can be played, or started from"
        )
    # From here on it is the same run; a state does not choose where it is written.
    here = {"checkpoint_dir": config.checkpoint_dir, "log_dir": config.log_dir}
    return dataclasses.replace(before, **{**said, "resume": False, "trust": False, **here})


# What has changed on the way

_SEGMENT: dict[str, type] = {"number": int, "from_step": int, "command": str, "before": dict, "after": dict}
_MOST_SEGMENTS = 1_000


def changes_on_the_way(config: AnyConfig, metadata: dict[str, Any] | None) -> dict[str, tuple[Any, Any]]:
    """Return what is different from now on in a run with these metadata, by setting: before and after."""
    before = from_metadata(metadata)
    changed = changes(config, before)
    return {name: (getattr(before, name), value) for name, value in changed.items() if name in _CHANGEABLE}


def told_of(changed: Mapping[str, tuple[Any, Any]]) -> str:
    """Return changes as text."""
    return ", ".join(f"{name} {_text(after)} instead of {_text(before)}" for name, (before, after) in changed.items())


def _text(value: Any) -> str:
    return " ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)


def history(saved: Any) -> dict[str, Any]:
    """Return what a state says of how its run came about: the first `command`, and a `segment` for each later change.

    What cannot be right is left out.
    """
    found = saved if isinstance(saved, dict) else {}
    segments = found.get("segment")
    known = [_segment(part) for part in segments[:_MOST_SEGMENTS]] if isinstance(segments, list) else []
    command = _segment({**{name: kind() for name, kind in _SEGMENT.items()}, "command": found.get("command")})
    return {"command": command.get("command", ""), "segment": list(filter(None, known))}


def _segment(found: Any) -> dict[str, Any]:
    """Return a segment with plain values; {} if it is none."""
    try:
        plain = arguments.require_plain("segment", {name: found[name] for name in _SEGMENT})
    except (UserError, TypeError, KeyError):
        return {}
    return plain if all(type(plain[name]) is kind for name, kind in _SEGMENT.items()) else {}


def continued(
    before: dict[str, Any], step: int, command: str, changed: Mapping[str, tuple[Any, Any]]
) -> dict[str, Any]:
    """Return the history of a run in which something is different from a step on."""
    if not changed:
        return before
    segments = before.get("segment", [])
    old, new = ({name: values[i] for name, values in changed.items()} for i in (0, 1))
    segment = {"number": len(segments) + 2, "from_step": step, "command": command, "before": old, "after": new}
    return {**before, "segment": [*segments, segment]}
