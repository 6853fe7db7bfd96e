"""Settings in TOML files (presets, configuration files, those that runs write), and how they override each other."""

import dataclasses
import difflib
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from kerasrl import installation
from kerasrl.config.checks import shown
from kerasrl.config.trust import require_trust
from kerasrl.errors import UserError, one_line
from kerasrl.phrases import to_paste, to_type
from kerasrl.reading import read_file

_MOST_TOML = 2**20  # bytes
_DEEPEST = 16  # parts of a key; parsing takes the square of their number
PRESETS = installation.FOLDER / "presets"


Settings = TypeVar("Settings")  # a dataclass whose fields all have defaults


def load(config: Settings, preset: str | None, file: str | Path | None, others: Mapping[str, Any]) -> Settings:
    """Return settings changed by a preset, then by a TOML file, then by others; raises as `Config.load`."""
    if preset is not None:
        config = changed_by(config, preset_file(preset))
    for name in others:
        require_known(name, type(config))
    if file is not None:
        config = changed_by(config, Path(file))
        if not others.get("trust"):
            require_trust(shown_path(Path(file)), read(Path(file), type(config)), others)
    return replace(config, others)


def replace(config: Settings, others: Mapping[str, Any]) -> Settings:
    """Return settings with some of them replaced."""
    changed: Settings = dataclasses.replace(config, **others)  # type: ignore[type-var]
    return changed


def changed_by(config: Settings, file: Path) -> Settings:
    """Return settings changed by those of a TOML file; raises as `Config.load`."""
    settings = read(file, type(config))
    try:
        return replace(config, settings)
    except UserError as error:
        raise UserError(f"{shown_path(file)}: {error}") from None


def changes(config: Settings, before: Settings) -> dict[str, Any]:
    """Return the settings that differ from `before`."""
    return {name: value for name, value in vars(config).items() if value != getattr(before, name)}


def to_toml(config: Any, run: Mapping[str, str | float]) -> str:
    """Return all settings as TOML that `Config.load` reads, followed by the table [run], which it ignores."""
    import tomli_w  # here, so that --help does not wait for it

    values = dataclasses.asdict(config)
    groups = [base for base in reversed(type(config).__mro__[1:]) if dataclasses.is_dataclass(base)]
    parts = []
    for group in groups:
        names = [field.name for field in dataclasses.fields(group)]
        known = {name: values[name] for name in names if values[name] is not None}  # TOML has no word for None
        parts.append(f"# {group.__name__.removesuffix('Settings')}\n{tomli_w.dumps(known)}")
    return "\n".join([*parts, tomli_w.dumps({"run": run})])


def preset_file(name: str) -> Path:
    """Return the file of a preset; raises `UserError` with similar names if it does not exist."""
    names = sorted(file.stem for file in PRESETS.glob("*.toml"))
    if name not in names:
        nearest = difflib.get_close_matches(name, names, n=3)
        hint = f"did you mean {' or '.join(nearest)}?" if nearest else f"the presets are {', '.join(names)}"
        raise UserError(f"no preset is called {name!r}; {hint}")
    return PRESETS / f"{name}.toml"


def read_toml(file: Path, what: str = "configuration file") -> dict[str, Any]:
    """Return what a TOML file says; raises `UserError` if it does not exist or cannot be read."""
    try:
        return decoded_toml(read_file(file, _MOST_TOML))
    except FileNotFoundError:
        raise UserError(f"there is no {what} {shown_path(file)}") from None
    except OSError as error:
        raise UserError(f"{shown_path(file)} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{shown_path(file)} is not TOML: {one_line(error):.200}") from None


def decoded_toml(content: bytes) -> dict[str, Any]:
    """Return what TOML says; raises `ValueError` if it is not TOML or is nested too deeply."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    if len(content) > _MOST_TOML:
        raise ValueError(f"it is larger than {_MOST_TOML:,} bytes")
    keys = re.sub(rb"\"[^\"\n]*\"|'[^'\n]*'|#[^\n]*", b"", content)  # without texts and comments
    if any(part.count(b".") > _DEEPEST for part in re.split(rb"[=,\[\]{}\n]", keys)):
        raise ValueError("it is nested too deeply")
    try:
        settings: dict[str, Any] = tomllib.loads(content.decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return settings


def read(file: Path, kind: Any) -> dict[str, Any]:
    """Return the settings in a TOML file, without its table [run]; raises `UserError` if `kind` lacks one of them."""
    content = read_toml(file)
    try:
        if "run" in content and isinstance(content["run"], dict):
            del content["run"]
        for name, value in content.items():
            if isinstance(value, dict):
                raise UserError(f"there is no table {shown(name)}; settings belong at the top, outside all tables")
            require_known(name, kind)
        if content.get("trust"):
            raise UserError("a file cannot ask for trust; give --trust yourself")
    except UserError as error:
        raise UserError(f"{shown_path(file)}: {error}") from None
    return content


def require_known(name: str, kind: Any) -> None:
    """Raise `UserError` with similar names if a dataclass has no such setting."""
    known = [field.name for field in dataclasses.fields(kind)]
    if name not in known:
        nearest = difflib.get_close_matches(name, known, n=3)
        known_by = to_type(to_paste("python", *installation.words("train"), "--help"), "help(kerasrl.Config)")
        hint = f"did you mean {' or '.join(nearest)}?" if nearest else f"{known_by} lists them all"
        raise UserError(f"there is no setting {shown(name)}; {hint}")


def shown_path(file: Path) -> str:
    """Return a path relative to the current folder if it is inside it."""
    return str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)
