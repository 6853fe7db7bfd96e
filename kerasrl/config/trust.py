"""Files name modules and recipes, and using one means running it: only what the user also names, or trusts, is run."""

from collections.abc import Iterator, Mapping
from typing import Any

from kerasrl.errors import UserError
from kerasrl.named import OWN
from kerasrl.phrases import to_paste, to_type


def require_trust(file: str, settings: Mapping[str, Any], said: Mapping[str, Any]) -> None:
    """Check that each module that a file's settings name belongs to this project or is also named by the user.

    Raises:
        UserError: `settings` names a module that does neither; the message names `file`.
    """
    strange = [(name, value) for name, value in modules(settings) if value not in _values(said, name)]
    if strange:
        named = ", ".join(f"{name} {value}" for name, value in strange)
        # All modules of a setting: an option replaces what the file says.
        values = {name: [value for of, value in modules(settings) if of == name] for name, _ in strange}
        options = to_paste(*(word for name in values for word in (f"--{name}", *values[name])))
        python = ", ".join(
            f"{name}={(value[0] if isinstance(settings[name], str) else tuple(value))!r}"
            for name, value in values.items()
        )
        also = to_type(f"give {options}, or --trust", f"give {python}, or trust=True")
        raise UserError(f"{file} names {named}, which would be imported and run; {also}, if you trust it")


def modules(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield setting and name of each module or recipe that is not this project's."""
    for setting in ("env", "network", "processor", "callback"):
        for value in _values(settings, setting):
            is_named = ":" in value and not (setting == "env" and value.rpartition(":")[0] == "gymnasium")
            if is_named and value not in OWN:
                yield setting, value
    if settings.get("recipe"):
        yield "recipe", str(settings["recipe"])


def options(settings: Mapping[str, Any]) -> list[str]:
    """Return the options that name these modules again, for the command that plays: it needs no callbacks."""
    return [word for name, value in named_to_play(settings).items() for word in (f"--{name}", value)]


def named_to_play(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that name these modules, as far as playing needs them."""
    return dict(modules({**settings, "callback": ()}))


def _values(settings: Mapping[str, Any], name: str) -> list[str]:
    value = settings.get(name) or ()
    return [value] if isinstance(value, str) else [str(part) for part in value]
