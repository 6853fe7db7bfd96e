"""Files name modules and recipes, and using one means running it: only what the user also names, or trusts, is run.

What they would hand to an environment is treated in the same way: it may be a path, or a command.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from kerasrl.config import arguments
from kerasrl.errors import UserError
from kerasrl.named import OWN
from kerasrl.phrases import to_paste, to_type

_NAMES = ("env", "eval_env", "network", "processor", "callback")
_ARGUMENTS = ("env_arg", "eval_env_arg")
NOT_PLAYED: Mapping[str, Any] = {"callback": (), "eval_env": None, "eval_env_arg": {}}  # what playing does without


def require_trust(file: str, settings: Mapping[str, Any], said: Mapping[str, Any]) -> None:
    """Check that what a file's settings name or hand over belongs to this project or is also given by the user.

    Raises:
        UserError: `settings` has a module or an argument that does neither; the message names `file`.
    """
    strange = [(name, value) for name, value in _brought(settings) if value not in _texts(said, name)]
    if strange:
        named = ", ".join(f"{name} {value}" for name, value in strange)
        # All texts of a setting: an option replaces what the file says.
        values = {name: [value for of, value in _brought(settings) if of == name] for name, _ in strange}
        options = to_paste(*(word for name in values for word in (_flag(name), *values[name])))
        python = ", ".join(f"{name}={_in_python(settings[name], value)}" for name, value in values.items())
        also = to_type(f"give {options}, or --trust", f"give {python}, or trust=True")
        is_run = any(name not in _ARGUMENTS for name in values)
        what = "would be imported and run" if is_run else "the environment would be given"
        raise UserError(f"{file} names {named}, which {what}; {also}, if you trust it")


def _in_python(value: Any, texts: list[str]) -> str:
    return repr(value if isinstance(value, dict) else texts[0] if isinstance(value, str) else tuple(texts))


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def modules(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield setting and name of each module or recipe that is not this project's."""
    for setting in _NAMES:
        for value in _texts(settings, setting):
            is_named = ":" in value and not (setting in ("env", "eval_env") and value.rpartition(":")[0] == "gymnasium")
            if is_named and value not in OWN:
                yield setting, value
    if settings.get("recipe"):
        yield "recipe", str(settings["recipe"])


def _brought(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield setting and text of all that only whoever wrote the settings has chosen."""
    yield from modules(settings)
    for setting in _ARGUMENTS:
        for text in _texts(settings, setting):
            yield setting, text


def options(named: Mapping[str, Any]) -> list[str]:
    """Return the options that give settings which `brought` or `named_to_play` returned."""
    return [word for name in named for word in (_flag(name), *_texts(named, name))]


def brought(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that name modules or hand over arguments: a command that reads a file has to name them."""
    return {name: settings[name] for name, _ in _brought(settings)}


def named_to_play(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `brought` does, as far as playing needs it: it needs no callbacks."""
    return brought({**settings, **NOT_PLAYED})


def _texts(settings: Mapping[str, Any], name: str) -> list[str]:
    value = settings.get(name) or ()
    if isinstance(value, dict):
        return arguments.words(value)
    return [value] if isinstance(value, str) else [str(part) for part in value]
