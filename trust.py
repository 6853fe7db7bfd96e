"""Files name modules, and to import one is to run it: only what the user names, too, or trusts, is imported."""

from collections.abc import Iterator, Mapping
from typing import Any

from kerasrl.errors import UserError, to_type

# This project's own, which any file may name.
OWN = frozenset({"atari:AtariProcessor", "atari:build_atari_network", "atari:build_minatar_network"})


def require_trust(file: str, settings: Mapping[str, Any], said: Mapping[str, Any]) -> None:
    """Check that the modules that a file's settings name are this project's or named by the user as well.

    Args:
        file: Whose settings they are, for the message.
        settings: The file's settings.
        said: The settings that the user gives.

    Raises:
        UserError: A module is neither.
    """
    strange = [(name, value) for name, value in modules(settings) if value not in _values(said, name)]
    if strange:
        named = ", ".join(f"{name} {value}" for name, value in strange)
        # All of a setting's modules: an option replaces what the file says.
        values = {name: [value for of, value in modules(settings) if of == name] for name, _ in strange}
        options = " ".join(f"--{name} {' '.join(values[name])}" for name in values)
        python = ", ".join(
            f"{name}={(value[0] if isinstance(settings[name], str) else tuple(value))!r}"
            for name, value in values.items()
        )
        also = to_type(f"give {options}, or --trust", f"give {python}, or trust=True")
        raise UserError(f"{file} names {named}, which would be imported and run; {also}, if you trust it")


def modules(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield setting and name of each module that settings name and that is not this project's."""
    for setting in ("env", "network", "processor", "callback"):
        for value in _values(settings, setting):
            is_named = ":" in value and not (setting == "env" and value.startswith("gymnasium:"))
            if is_named and value not in OWN:
                yield setting, value


def _values(settings: Mapping[str, Any], name: str) -> list[str]:
    value = settings.get(name) or ()
    return [value] if isinstance(value, str) else [str(part) for part in value]
