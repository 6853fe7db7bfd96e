"""Check a dataclass's settings against the types and bounds in their annotations, and say those in words."""

import itertools
import typing
from typing import Annotated, Any, Literal

import msgspec

from kerasrl.errors import UserError


def kind_in_words(kind: Any) -> str:
    """Say what a value of a type is."""
    if typing.get_origin(kind) is Literal:
        return f"one of {', '.join(map(repr, typing.get_args(kind)))}"
    words = {bool: "true or false", str: "text in quotes", float: "a number", float | None: "a number"}
    if typing.get_origin(kind) is tuple:
        return "texts in quotes, in brackets" if str in typing.get_args(kind) else "whole numbers in brackets"
    return words.get(kind, "a whole number")


def bounds(kind: Any) -> list[msgspec.Meta]:
    """Return what an annotated type asks of its value, or of each of its values."""
    is_bound = isinstance(kind, msgspec.Meta)
    return [kind] if is_bound else [bound for part in typing.get_args(kind) for bound in bounds(part)]


def requirement(bound: msgspec.Meta) -> str:
    """Say what a bound asks of a value."""
    numbers = f"at least {bound.ge}" if bound.le is None else f"between {bound.ge} and {bound.le}"
    return bound.description or numbers


def shown(value: Any) -> str:
    """Return a value as Python writes it, shortened where it is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # Python does not write what it would take long to
        return "too long to be shown"
    return text if len(text) <= 200 else f"{text[:200]}..."


def check(settings: Any) -> None:
    """Check each field of a dataclass; 1 becomes 1.0 and a list a tuple where they are meant.

    Raises:
        UserError: A value is of another type or out of bounds.
    """
    annotated = typing.get_type_hints(type(settings), include_extras=True)
    for name, kind in typing.get_type_hints(type(settings)).items():
        given = getattr(settings, name)
        try:
            value = msgspec.convert(list(given) if isinstance(given, tuple) else given, kind)
        except (msgspec.ValidationError, ValueError):  # ValueError: a number of thousands of digits
            raise UserError(f"{name} must be {kind_in_words(kind)}, is {shown(given)}") from None
        object.__setattr__(settings, name, value)
        if isinstance(value, str) and not value.isprintable():
            raise UserError(f"{name} must be without control characters, is {shown(value)}")
        parts = value if isinstance(value, tuple) else () if value is None else (value,)
        for bound, part in itertools.product(bounds(annotated[name]), parts):
            try:
                msgspec.convert(part, Annotated[type(part), bound])
            except msgspec.ValidationError:
                several = "" if part is value or isinstance(part, str) else "numbers "
                raise UserError(f"{name} must be {several}{requirement(bound)}, is {shown(value)}") from None
