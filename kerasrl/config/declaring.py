"""What makes a dataclass of settings one that people can use from Python: what is wrong is said, `help` lists them."""

import functools
from dataclasses import MISSING, fields
from inspect import Parameter, Signature, cleandoc
from textwrap import wrap
from typing import Any, TypeVar

from kerasrl.errors import UserError

Kind = TypeVar("Kind")


def settings_of(kind: type[Kind]) -> type[Kind]:
    """Make a class of settings know which of them were given, answer an unknown one as files do, and list them all."""
    declared: Any = kind
    set_fields, names = declared.__init__, [field.name for field in fields(declared)]

    @functools.wraps(set_fields)
    def init(self: Any, *values: Any, **settings: Any) -> None:
        from kerasrl.config.files import require_known  # which knows all agents

        if "agent" in settings and kind.__name__ == "Config":
            raise UserError("the agent follows from the class: Config is of DQN, DDPGConfig of DDPG, and so on")
        for name in settings:
            require_known(name, kind)
        set_fields(self, *values, **settings)
        given = frozenset([*names[: len(values)], *settings])
        object.__setattr__(self, "given", None if len(given) == len(names) else given)

    # Without the types, whose bounds would fill a page: a value that is impossible is told what it must be.
    how = Parameter.POSITIONAL_OR_KEYWORD
    parameters = [Parameter(field.name, how, default=_default(field)) for field in fields(declared)]
    declared.__signature__ = Signature(parameters)
    signed: Any = init
    signed.__signature__ = Signature([Parameter("self", how), *parameters])
    declared.__init__ = init
    declared.__doc__ = f"{cleandoc(kind.__doc__ or '')}\n\n{_listed(declared)}"
    return kind


def _default(field: Any) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _listed(kind: Any) -> str:
    """Return all settings with their defaults and meanings, for `help`."""
    defaults, lines = {field.name: _default(field) for field in fields(kind)}, []
    for group in kind.groups:
        lines += ["", (group.__doc__ or "").partition("\n")[0]]
        for field in fields(group):
            declared: Any = field.type
            text = f"{field.name} = {defaults[field.name]!r}: {declared.__metadata__[-1]}"
            lines += wrap(text, 110, initial_indent="    ", subsequent_indent="        ", break_long_words=False)
    return "\n".join(lines[1:])
