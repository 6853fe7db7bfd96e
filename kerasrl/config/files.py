"""Settings in TOML files (presets, configuration files, those that runs write), and how they override each other."""

import dataclasses
import difflib
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from kerasrl import installation
from kerasrl.config.agents import AGENTS, DQN, AnyConfig, listed, owners, require_agent
from kerasrl.config.checks import shown
from kerasrl.config.other_names import called_here
from kerasrl.config.trust import require_trust
from kerasrl.errors import UserError, one_line
from kerasrl.phrases import to_give, to_paste, to_type
from kerasrl.reading import read_file

_MOST_TOML = 2**20  # bytes
_DEEPEST = 16  # parts of a key; parsing takes the square of their number
_TABLES = ("env_arg", "eval_env_arg")
PRESETS = installation.FOLDER / "presets"


Settings = TypeVar("Settings")  # a dataclass whose fields all have defaults


def load(agent: str | None, preset: str | None, file: str | Path | None, others: Mapping[str, Any]) -> AnyConfig:
    """Return an agent's settings changed by a preset, then by a TOML file, then by others; raises as `Config.load`.

    Without `agent`, it is the one that the others or the files name.
    """
    others = dict(others)
    named = others.pop("agent", agent)
    if agent not in (None, named):
        raise UserError(f"these are the settings of {agent}, not of {named}")
    preset_at = None if preset is None else preset_file(preset)
    file_at = None if file is None else Path(file)
    config: AnyConfig = AGENTS[chosen_agent(named, preset_at, file_at)].settings()
    if preset_at is not None:
        config = changed_by(config, preset_at)
    for name in others:
        require_known(name, type(config))
    if file_at is not None:
        config = changed_by(config, file_at)
        if not others.get("trust"):
            require_trust(shown_path(file_at), read(file_at, type(config)), others)
    return replace(config, others)


def chosen_agent(named: str | None, *files: Path | None, default: str = DQN) -> str:
    """Return the agent that is named, or that files name by the key `agent`, or else the default.

    Raises:
        UserError: There is no such agent, or two different ones are named.
    """
    agent = None if named is None else require_agent(named)
    for file in filter(None, files):
        content = read_toml(file)
        if "agent" not in content:
            continue
        try:
            of_file = require_agent(content["agent"])
        except UserError as error:
            raise UserError(f"{shown_path(file)}: {error}") from None
        if agent not in (None, of_file):
            raise UserError(f"{shown_path(file)} has the settings of {of_file}, not of {agent}")
        agent = of_file
    return agent or default


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


def to_toml(config: Any, run: Mapping[str, Any]) -> str:
    """Return all settings as TOML that `Config.load` reads, followed by the table [run], which it ignores."""
    import tomli_w  # here, so that --help does not wait for it

    values = dataclasses.asdict(config)
    parts = [] if config.agent == DQN else [tomli_w.dumps({"agent": config.agent})]
    for group in config.groups:
        names = [field.name for field in dataclasses.fields(group)]
        # TOML has no word for None, and what follows a table belongs to it.
        known = {name: values[name] for name in names if values[name] is not None and name not in _TABLES}
        parts.append(f"# {group_title(group).capitalize()}\n{tomli_w.dumps(known)}")
    tables = [tomli_w.dumps({name: values[name]}) for name in _TABLES if values[name]]
    return "\n".join([*parts, *tables, tomli_w.dumps({"run": run})])


def presets() -> dict[str, str]:
    """Return what each preset is, by name: the beginning of the comment in its file."""
    found = {}
    for file in sorted(PRESETS.glob("*.toml"), key=lambda file: file.stem):
        comment = " ".join(re.findall("^# (.*)", file.read_text(encoding="utf-8"), re.MULTILINE))
        beginning = re.match(r"(.+?)(?<!et al)[.:;](?: |$)", comment)
        found[file.stem] = beginning[1] if beginning else ""
    return found


def preset_file(name: str) -> Path:
    """Return the file of a preset; raises `UserError` with similar names if it does not exist."""
    names = list(presets())
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
    content.pop("agent", None)  # which `kind` follows from
    try:
        if "run" in content and isinstance(content["run"], dict):
            del content["run"]
        for name, value in content.items():
            if isinstance(value, dict) and name not in _TABLES:
                raise UserError(f"there is no table {shown(name)}; settings belong at the top, outside all tables")
            require_known(name, kind)
        if content.get("trust"):
            raise UserError(f"a file cannot ask for trust; give {to_give(trust=True)} yourself")
    except UserError as error:
        raise UserError(f"{shown_path(file)}: {error}") from None
    return content


def require_known(name: str, kind: Any) -> None:
    """Raise `UserError` with similar names if a dataclass has no such setting."""
    known = [field.name for field in dataclasses.fields(kind)]
    if name not in known:
        require_of_agent(name, name, kind)
        other = called_here(name, [one.replace("_", "-") for one in known])
        nearest = difflib.get_close_matches(name, known, n=3) or [own for own in known if name in own][:3]
        nearest = nearest if other is None else []
        others = [field.name for one in AGENTS.values() for field in dataclasses.fields(one.settings)]
        of_others = [] if nearest else [other for other in dict.fromkeys(others) if name in other][:1]
        of_agent = ["--agent", kind.agent] * (kind.agent != DQN)
        in_shell = to_paste("python", *installation.words("train"), *of_agent, "--help")
        hint = f"{to_type(in_shell, f'help(kerasrl.{kind.__name__})')} lists them all"
        if other:
            setting, _, value = other.replace("-", "_").partition(" ")
            hint = f"did you mean {setting}{value and f' = {int(value) if value.isdigit() else value!r}'}?"
        elif nearest:
            hint = f"did you mean {' or '.join(nearest)}?"
        elif of_others:
            hint = f"{of_others[0]} is a setting of {listed(owners(of_others[0]), 'and')}, not of {kind.agent}"
        raise UserError(f"there is no setting {shown(name)}; {hint}")


def require_of_agent(setting: str, called: str, kind: Any) -> None:
    """Raise `UserError` if other agents have a setting, but not the one whose settings are `kind`."""
    of = owners(setting)
    if of and kind.agent not in of:
        raise UserError(f"{called} is a setting of {listed(of, 'and')}, not of {kind.agent}")


def group_title(group: type) -> str:
    """Return what a group of settings is called."""
    name = group.__name__.removesuffix("Settings").removesuffix("Config")
    return re.sub("(?<=[a-z])(?=[A-Z])", " ", name).lower()


def shown_path(file: Path) -> str:
    """Return a path relative to the current folder if it is inside it."""
    return str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)
