"""A new training that begins with the weights of an earlier run."""

import warnings
from collections.abc import Sequence
from typing import Any

from kerasrl.config import AnyConfig
from kerasrl.config.resuming import id_of
from kerasrl.errors import Note, UserError, WeightsError
from kerasrl.phrases import to_give
from kerasrl.storage import weights
from kerasrl.training.files import weights_files

_MOST = 5  # layers that are named


def source_of(config: AnyConfig) -> dict[str, str]:
    """Return, as `started_from`, the run whose weights a new one starts from, or else what wrote them; {} if none.

    Of the run's id there are two halves: a file that has an id as a whole somewhere in it is one of that run's own.

    Raises:
        UserError: The weights cannot be read.
    """
    if not config.start_from:
        return {}
    files, _ = weights_files(config.start_from)
    saved = weights.read(files[0])
    run = id_of(saved.metadata)
    return {"started_from": f"run {run[:6]}-{run[6:]}" if run else f"written by {saved.origin}"}


def kept_source(metadata: Any) -> dict[str, str]:
    """Return what `source_of` returned when a run began, from its metadata."""
    source = metadata.get("started_from") if isinstance(metadata, dict) else None
    return {"started_from": source} if isinstance(source, str) else {}


def start(agent: Any, config: AnyConfig, source: dict[str, str]) -> None:
    """Let a new training begin with the weights that the settings name, and say so; raises `UserError` if none fit."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "the weights of these layers are not taken", Note)  # which is told below
            agent.start_from(config.start_from, config.skip_mismatch)
    except WeightsError as error:
        leave_out = to_give(skip_mismatch=True)
        cure = f"; {leave_out} leaves that out" if error.are_others else ""
        told = f"{config.start_from} does not fit {config.env}: {_listed(error.misfits) or error}"
        if str(error).startswith(config.start_from):  # it says already what it is about
            told = str(error)
        raise UserError(f"{told}{cure}") from None
    if config.verbose:
        which = f" but {_listed(agent.left_out)}" if agent.left_out else ""
        print(f"start from {config.start_from}, {source['started_from']}: all layers{which}")


def _listed(layers: Sequence[str]) -> str:
    more = [f"and {len(layers) - _MOST} more"] if len(layers) > _MOST else []
    return ", ".join([*layers[:_MOST], *more])
