"""What an environment's maker is given: `--env-arg NAME=VALUE`, a table in a TOML file, a dictionary in Python."""

import ast
import json
from collections.abc import Iterable, Mapping
from typing import Any

from kerasrl.errors import UserError

_DEEPEST, _MOST = 8, 20_000  # containers within each other; values and letters in all
# What these commands choose themselves.
_OURS = {
    "render_mode": "visualize and record choose it",
    **dict.fromkeys(("id", "disable_env_checker", "apply_api_compatibility", "autoreset"), "it is chosen here"),
}


def require_plain(setting: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of arguments, with lists for tuples.

    Raises:
        UserError: They are not what a file can hold, or not an environment's to take; the message names `setting`.
    """
    size = 0

    def copied(name: str, value: Any, depth: int) -> Any:
        nonlocal size
        size += 1 + (len(value) if isinstance(value, str) else 0)
        if size > _MOST:
            raise UserError(f"{setting} may have at most {_MOST:,} values and letters, and has more by {name}")
        if depth <= _DEEPEST:
            if type(value) is bool or (type(value) is float and value == value):
                return value
            if type(value) is int and -(2**63) <= value < 2**63:
                return value
            if type(value) is str and value.isprintable():
                return value
            if type(value) in (list, tuple):
                return [copied(name, part, depth + 1) for part in value]
            if type(value) is dict and all(type(key) is str and key.isprintable() for key in value):
                return {key: copied(name, part, depth + 1) for key, part in value.items()}
        raise UserError(
            f"{setting} {name} must be a number, true or false, text, or a list or table of these, not {value!r:.60}"
        )

    for name in arguments:
        if not (isinstance(name, str) and name.isascii() and name.isidentifier()):
            raise UserError(f"{setting}: {name!r:.60} cannot be the name of an argument")
        if name in _OURS:
            raise UserError(f"{setting} cannot set {name}: {_OURS[name]}")
    return {name: copied(name, value, 1) for name, value in arguments.items()}


def parsed(option: str, words: Iterable[str]) -> dict[str, Any]:
    """Return the arguments that words of the form NAME=VALUE mean; of several for one name, the last.

    A value is what TOML or Python takes it for, or else text.

    Raises:
        UserError: A word has another form; the message begins with `option`.
    """
    found = {}
    for word in words:
        name, is_given, text = word.partition("=")
        if not (is_given and name.strip()):
            raise UserError(f"{option}: {word!r:.60} is not of the form NAME=VALUE")
        found[name.strip().replace("-", "_")] = _value(text.strip())
    return found


def _value(text: str) -> Any:
    from kerasrl.config.files import decoded_toml  # which needs all settings

    if text == "None":  # which no file can hold
        return None
    for language in ("TOML", "Python"):
        try:
            found = (
                decoded_toml(f"value = {text}".encode()) if language == "TOML" else {"value": ast.literal_eval(text)}
            )
            if list(found) == ["value"]:
                return require_plain("", found)["value"]
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):  # UserError is a ValueError
            continue
    return text


def words(arguments: Mapping[str, Any]) -> list[str]:
    """Return what to type for arguments, each as NAME=VALUE."""
    return [f"{name}={_written(value)}" for name, value in arguments.items()]


def _written(value: Any) -> str:
    return value if isinstance(value, str) and _value(value) == value else _as_toml(value)


def _as_toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_as_toml, value))}]"
    if isinstance(value, dict):
        pairs = [f"{json.dumps(key, ensure_ascii=False)} = {_as_toml(part)}" for key, part in value.items()]
        return f"{{{', '.join(pairs)}}}"
    return repr(value)


def evaluated_in(config: Any) -> dict[str, Any]:
    """Return `env` and `env_arg` of the environment that settings name to evaluate in, {} if they name none."""
    if config.eval_env is not None:
        return {"env": config.eval_env, "env_arg": config.eval_env_arg}
    return {"env": config.env, "env_arg": {**config.env_arg, **config.eval_env_arg}} if config.eval_env_arg else {}
