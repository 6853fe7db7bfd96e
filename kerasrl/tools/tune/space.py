"""What a search may vary: a TOML file of ranges and choices, checked as Config checks. It is data, never code."""

import dataclasses
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasrl.config import AnyConfig
from kerasrl.config.checks import shown
from kerasrl.config.files import read_toml, require_known, shown_path
from kerasrl.config.trust import require_trust
from kerasrl.errors import UserError
from kerasrl.tools.tune.seeds import OWN

_CHOSEN = {
    *OWN,
    "threads",
    "device",
    "env",
    "env_arg",
    "eval_env",
    "eval_env_arg",
    "agent",
    "max_time",
    "playoff",
}  # what tune chooses itself, and what would make trials incomparable


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`."""

    low: float
    high: float
    log: bool = False
    """Whether factors matter rather than differences."""
    whole: bool = False

    def suggest(self, trial: Any, name: str) -> Any:
        """Let Optuna propose a value."""
        return (trial.suggest_int if self.whole else trial.suggest_float)(name, self.low, self.high, log=self.log)

    def ends(self) -> list[Any]:
        """Return the values to check."""
        return [self.low, self.high]


@dataclass(frozen=True)
class Choice:
    """Values to choose from."""

    values: tuple[Any, ...]

    def suggest(self, trial: Any, name: str) -> Any:
        """Let Optuna propose a value; it knows lists only as text."""
        texts = [_text(value) for value in self.values]
        return self.values[texts.index(trial.suggest_categorical(name, texts))]

    def ends(self) -> list[Any]:
        """Return the values to check."""
        return list(self.values)


Space = Mapping[str, Range | Choice]


def read_space(file: Path, config: AnyConfig, said: Mapping[str, Any]) -> Space:
    """Return what a search may vary, according to a TOML file.

    Args:
        file: TOML file.
        config: The other settings.
        said: Settings given by the user, for modules that the file names.

    Raises:
        UserError: The file cannot be read, or contains what no training can have.
    """
    content = read_toml(file, "file")
    try:
        if not content:
            raise UserError("it names no setting to vary, such as batch_size = [32, 64]")
        space = {name: _read(name, value, type(config)) for name, value in content.items()}
        for name, part in space.items():
            for value in part.ends():
                dataclasses.replace(config, **{name: value})
    except UserError as error:
        raise UserError(f"{shown_path(file)}: {error}") from None
    if not said.get("trust"):
        for name, part in space.items():
            for value in part.ends():
                require_trust(shown_path(file), {name: value}, said)
    return space


def _read(name: str, value: Any, settings: Any) -> Range | Choice:
    require_known(name, settings)
    if name in _CHOSEN:
        raise UserError(f"{name} cannot be varied in a search")
    if isinstance(value, list):
        if not value:
            raise UserError(f"{name} has no choices")
        texts = [_text(one) for one in value]
        if len(set(texts)) < len(texts):
            raise UserError(f"{name} names {next(text for text in texts if texts.count(text) > 1)} twice")
        return Choice(tuple(tuple(one) if isinstance(one, list) else one for one in value))
    if not isinstance(value, dict):
        raise UserError(f"{name} must be a range {{low = ..., high = ...}} or a list of choices, not {shown(value)}")
    kind = typing.get_type_hints(settings)[name]
    if kind not in (int, float, float | None, int | None):
        raise UserError(f"{name} cannot have a range; give a list of choices")
    if unknown := set(value) - {"low", "high", "log"}:
        raise UserError(f"{name} has no {shown(min(unknown))}; a range has low, high and, if you like, log = true")
    if missing := {"low", "high"} - set(value):
        raise UserError(f"{name} needs {min(missing)}: a range has low, high and, if you like, log = true")
    low, high, log = value["low"], value["high"], value.get("log", False)
    whole = kind in (int, int | None)
    for end in (low, high):
        if isinstance(end, bool) or not isinstance(end, int if whole else int | float) or not math.isfinite(end):
            raise UserError(f"{name}: low and high must be {'whole ' if whole else ''}numbers, not {shown(end)}")
    if not isinstance(log, bool):
        raise UserError(f"{name}: log must be true or false, not {shown(log)}")
    if low > high:
        raise UserError(f"{name}: low must be at most high, {shown(low)} is above {shown(high)}")
    if log and low <= 0:
        raise UserError(f"{name}: low must be positive for log = true, not {shown(low)}")
    return Range(low, high, log, whole)


def _text(value: Any) -> str:
    return str(list(value)) if isinstance(value, list | tuple) else shown(value)


def settings_text(settings: Mapping[str, Any]) -> str:
    """Return settings as short text."""
    return ", ".join(
        f"{name} {f'{value:.3g}' if isinstance(value, float) else _text(value)}" for name, value in settings.items()
    )
