"""Logs as a picture shows them, and the settings beside them that say which runs are alike."""

import dataclasses
import json
import os
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasrl.config.agents import AGENTS, DQN
from kerasrl.config.checks import shown
from kerasrl.config.files import decoded_toml
from kerasrl.config.settings import EvaluationSettings, RunSettings
from kerasrl.environments.rewards import OWN, PROCESSED
from kerasrl.errors import UserError
from kerasrl.reading import parse_json, read_file
from kerasrl.tools.intervals import Curve

# Columns of a log that are drawn.
COLUMNS = (PROCESSED, OWN, "evaluation_reward", "mean_eps", "loss")
_LARGEST = 1e100  # so that sums and squares stay finite
_LONGEST = 300  # characters of a label
# Settings that change what a run shows, how long it is and where it goes, but neither what it learns nor the task.
_INCIDENTAL = {field.name for group in (EvaluationSettings, RunSettings) for field in dataclasses.fields(group)}
_INCIDENTAL -= {"eval_env", "eval_env_arg", "start_from", "skip_mismatch"}


@dataclasses.dataclass(frozen=True)
class Log:
    """What a picture shows of a log, and what the settings beside it say."""

    name: str
    curves: dict[str, Curve]
    settings: dict[str, Any]
    threshold: float | None
    run: str
    """Id of the run, "" if it has none."""
    label: str = ""
    """Name that the user gives to its group; "": the settings name it."""
    columns: tuple[str, ...] = ()
    """All that it has, drawn or not."""


def read_logs(
    names: Sequence[Path], labels: Sequence[str], threshold: float | None, also: Sequence[str] = ()
) -> list[Log]:
    """Read logs, and those in folders of runs, each with its label if there are any; one named twice is read once.

    `also` are columns to draw beside those of `COLUMNS`.

    Raises:
        UserError: A log or the settings beside it cannot be used, a folder has none, or the labels do not fit.
    """
    if labels and len(labels) != len(names):
        count = f"{len(labels)} {'is' if len(labels) == 1 else 'are'} given for {len(names)}"
        raise UserError(f"each log or folder needs a label, in the same order: {count}")
    if not all(label.strip() for label in labels):
        raise UserError("a label must not be empty")
    named = [(log, label) for name, label in zip(names, labels or [""] * len(names), strict=True) for log in _of(name)]
    logs = dict.fromkeys(named)
    read = [dataclasses.replace(read_log(log, threshold, also), label=label) for log, label in logs]
    for name in also:
        if all(name not in log.curves for log in read):
            known = ", ".join(dict.fromkeys(name for log in read for name in log.columns))
            raise UserError(f"there are no numbers in a column {name} to draw; the columns are {known}")
    return read


def _of(name: Path) -> list[Path]:
    """Return the logs in a folder and in those in it, as `tune` leaves them; what is no folder is a log."""
    if not os.path.isdir(name):
        return [name]
    try:
        list(name.iterdir())
    except OSError as error:
        raise UserError(f"{name} cannot be read: {error.strerror}") from None
    found = sorted([*name.glob("*_log.json"), *name.glob("*/*_log.json")])
    if not found:
        raise UserError(f"{name} has no logs, ..._log.json, nor have the folders in it")
    return found


def read_log(path: Path, threshold: float | None, also: Sequence[str] = ()) -> Log:
    """Read a log of train.py or of Keras-RL, whose JSON may contain bare NaN, and the settings beside it."""
    log = _decoded(path, parse_json, "JSON", "name a log, such as logs/dqn_CartPole-v0_log.json")
    for key in ("episode_reward", "nb_steps"):
        if not isinstance(log, dict) or key not in log:
            raise UserError(f"{path} is not a Keras-RL log: it has no {key}")
    lengths = {len(column) if isinstance(column, list) else None for column in log.values()}
    if len(lengths) > 1 or None in lengths:
        raise UserError(f"{path} is damaged: its lists differ in length")
    try:
        keys = [key for key in dict.fromkeys((*COLUMNS, *also)) if key in log]
        steps, *columns = (np.array(log[key], np.float64).reshape(len(log[key])) for key in ("nb_steps", *keys))
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{path} is damaged: it holds something other than numbers") from None
    is_large = [(np.abs(column[np.isfinite(column)]) > _LARGEST).any() for column in columns]
    if any(is_large) or (steps > 2**53).any():
        raise UserError(f"{path} is damaged: it holds numbers too large to be drawn")
    if not (np.diff(steps, prepend=0) > 0).all():
        raise UserError(f"{path} is damaged or not of a training: nb_steps does not increase from episode to episode")
    known = [(key, values, np.isfinite(values)) for key, values in zip(keys, columns, strict=True)]
    curves = {key: (steps[finite], values[finite]) for key, values, finite in known if finite.any()}
    if OWN in curves:  # these count; what a processor has made of them is shown beside them
        processed, curves[PROCESSED] = curves.get(PROCESSED), curves.pop(OWN)
        if processed is not None and not np.array_equal(processed, curves[PROCESSED]):
            curves["processed_reward"] = processed
    if PROCESSED not in curves:
        raise UserError(f"{path} holds no episodes yet")
    beside = path.with_name(f"{path.stem.removesuffix('_log')}_config.toml")
    settings: dict[str, Any] = {}
    if beside.exists():
        settings = _decoded(beside, _settings, "TOML", "remove it to draw without the run's settings")
    run = settings.pop("run", None)
    solved = run.get("reward_threshold") if isinstance(run, dict) else None
    if threshold is None and isinstance(solved, int | float) and abs(solved) < _LARGEST:
        threshold = solved
    name = str(settings.get("env", re.sub(f"^({'|'.join(AGENTS)})_", "", path.stem).removesuffix("_log")))
    shown = {key: value for key, value in settings.items() if key not in ("checkpoint_dir", "log_dir")}
    identity = run.get("id") if isinstance(run, dict) else None
    return Log(name, curves, shown, threshold, identity if isinstance(identity, str) else "", columns=tuple(log))


def _settings(text: str) -> dict[str, Any]:
    """Return what TOML says, provided that JSON, in which the picture stores it, can say it too."""
    settings = decoded_toml(text.encode())
    json.dumps(settings, default=str)
    return settings


def _decoded(path: Path, decode: Callable[[str], Any], kind: str, hint: str) -> Any:
    try:
        return decode(read_file(path).decode())
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not text") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not {kind}: {error!s:.200}; {hint}") from None


def groups_of(runs: Sequence[Log]) -> list[tuple[str, list[Log]]]:
    """Group runs by their labels, or those that differ only in the seed, after the environment and what differs."""
    groups: dict[str, list[Log]] = {}
    for run in runs:
        others = [other.settings for other in runs if other.name == run.name]
        alike = [other for other in others if _agent(other) == _agent(run.settings)]
        learning = {key: value for key, value in run.settings.items() if key not in _INCIDENTAL and key != "agent"}
        differing = [key for key, value in learning.items() if any(other.get(key) != value for other in alike)]
        of_agent = [f"agent {_text(_agent(run.settings))}"] if len(alike) < len(others) else []
        label = ", ".join([run.name, *of_agent, *(f"{key} {_text(run.settings[key])}" for key in differing)])
        groups.setdefault(run.label or label, []).append(run)
    named = []
    for label, group in groups.items():
        has_seed = "seed" in group[0].settings and not group[0].label
        seed = f", seed {_text(group[0].settings['seed'])}" if has_seed else ""
        label += f", {len(group)} runs" if len(group) > 1 else seed
        label = label[:_LONGEST]
        has_glyphs = "".join(letter if letter.isprintable() and letter < "\u0250" else "?" for letter in label)
        named.append((textwrap.fill(has_glyphs, 42), group))
    return named


def _agent(settings: dict[str, Any]) -> Any:
    return settings.get("agent", DQN)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else shown(value)
