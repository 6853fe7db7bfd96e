"""The settings that a file carries, and those with which its run continues."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from kerasrl.config.agents import AGENTS, DQN, AnyConfig, require_agent
from kerasrl.config.files import changes
from kerasrl.errors import UserError

# What may change: how long the run is, what it shows, and where its parts are now.
_FREE = {"nb_steps", "resume", "overwrite", "trust", "verbose", "visualize", "checkpoint_dir", "log_dir", "play"}
_FREE |= {"record_every", "stop_when_solved", "stop_at", "tensorboard", "recipe", "max_time"}
# After they were too high; each begins with the name of the network, if there are several.
LEARNING_RATES = {"learning_rate", "actor_learning_rate", "critic_learning_rate"}
_FREE |= LEARNING_RATES


def new_id(config: AnyConfig, objects: Mapping[str, Any], number: int) -> str:
    """Return an id for a run: the same for the same settings, so that the same seed gives the same files.

    Args:
        config: Its settings, with a seed; those that may change in a resume do not matter.
        objects: What `OwnParts.metadata` says.
        number: Tells it from earlier runs in its folders.
    """
    settings = {name: value for name, value in dataclasses.asdict(config).items() if name not in _FREE}
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
) -> AnyConfig:
    """Return the configuration with which a run continues: as it was, except for what is given.

    Args:
        config: Settings of the call.
        given: Names of those given; None, as in Python, means all that differ from the defaults.
        metadata: The run's settings, from its state.
        source: File that the metadata is from.

    Raises:
        UserError: A given setting differs, and it is not one of those for length and output.
    """
    before = from_metadata(metadata, source)
    if before.agent != config.agent:
        raise UserError(f"{source}: the run is of {before.agent}, not of {config.agent}")
    said = {name: getattr(config, name) for name in (changes(config, type(config)()) if given is None else given)}
    differences = [
        f"{name} is {value} here but was {getattr(before, name)!s:.200} there"
        for name, value in said.items()
        if name not in _FREE and value != getattr(before, name)
    ]
    if differences:
        raise UserError(f"cannot resume with different settings: {'; '.join(differences)}")
    if said.get("nb_steps", before.nb_steps) < before.nb_steps:
        raise UserError(f"cannot resume with fewer steps: nb_steps is {config.nb_steps} but was {before.nb_steps}")
    # From here on it is the same run; a state does not choose where it is written.
    here = {"checkpoint_dir": config.checkpoint_dir, "log_dir": config.log_dir}
    return dataclasses.replace(before, **{**said, "resume": False, "trust": False, **here})
