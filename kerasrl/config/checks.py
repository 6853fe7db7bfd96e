"""Check settings against the types and bounds in their annotations and against each other, and put those into words."""

import dataclasses
import itertools
import os
import typing
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec

from kerasrl.config.arguments import require_plain
from kerasrl.config.durations import WRITTEN, seconds
from kerasrl.errors import UserError

# Settings may come from strangers: anything above these would not fit into memory.
_MOST_LAYERS, _MOST_WEIGHTS, _MOST_TRANSITIONS = 100, 2**27, 2**20
# Weights of a network for which several threads are worth their while: a step with 512 x 512 nodes, 268,290 weights,
# takes 1.0 ms with two threads and 1.3 with one; with 256 x 256, 68,610 weights, 0.6 and 0.5.
LARGE = 250_000


def kind_in_words(kind: Any) -> str:
    """Put a type into words."""
    if typing.get_origin(kind) is Literal:
        return f"one of {', '.join(map(repr, typing.get_args(kind)))}"
    words: dict[Any, str] = {bool: "true or false", str: "text in quotes", float: "a number", float | None: "a number"}
    words[str | float | None] = WRITTEN
    if typing.get_origin(kind) is dict:
        return "a table of names and values"
    if typing.get_origin(kind) is tuple:
        return "texts in quotes, in brackets" if str in typing.get_args(kind) else "whole numbers in brackets"
    return words.get(kind, "a whole number")


def bounds(kind: Any) -> list[msgspec.Meta]:
    """Return the bounds that an annotated type sets for its value, or for each of its values."""
    is_bound = isinstance(kind, msgspec.Meta)
    return [kind] if is_bound else [bound for part in typing.get_args(kind) for bound in bounds(part)]


def requirement(bound: msgspec.Meta) -> str:
    """Put a bound into words."""
    numbers = f"at least {bound.ge}" if bound.le is None else f"between {bound.ge} and {bound.le}"
    return bound.description or numbers


def shown(value: Any) -> str:
    """Return a value as Python writes it, shortened if it is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # Python refuses to write very long numbers
        return "too long to be shown"
    return text if len(text) <= 200 else f"{text[:200]}..."


def check(settings: Any) -> None:
    """Check each field of a dataclass; where it calls for them, 1 becomes 1.0, a list a tuple, and a path text.

    Raises:
        UserError: A value has the wrong type or is out of bounds.
    """
    annotated = typing.get_type_hints(type(settings), include_extras=True)
    kinds = typing.get_type_hints(type(settings))
    for name in [field.name for field in dataclasses.fields(settings)]:
        kind, given = kinds[name], getattr(settings, name)
        given = os.fspath(given) if kind is str and isinstance(given, os.PathLike) else given
        if isinstance(given, str) and given.encode(errors="replace").decode() != given:
            raise UserError(f"{name} has characters that are not UTF-8: {given!a}; in a C locale set LANG=C.UTF-8")
        try:
            value = msgspec.convert(list(given) if isinstance(given, tuple) else given, kind)
        except (msgspec.ValidationError, ValueError):  # ValueError: a number of thousands of digits
            raise UserError(f"{name} must be {kind_in_words(kind)}, not {shown(given)}") from None
        value = require_plain(name, value) if isinstance(value, dict) else value
        object.__setattr__(settings, name, value)
        if isinstance(value, str) and not value.isprintable():
            raise UserError(f"{name} must not contain control characters: {shown(value)}")
        parts = value if isinstance(value, tuple) else () if value is None else (value,)
        for bound, part in itertools.product(bounds(annotated[name]), parts):
            try:
                msgspec.convert(part, Annotated[type(part), bound])
            except msgspec.ValidationError:
                several = "" if part is value or isinstance(part, str) else "numbers "
                raise UserError(f"{name} must be {several}{requirement(bound)}, not {shown(value)}") from None


def check_together(config: Any) -> None:
    """Check the settings of an agent that are possible one by one, but not together.

    Raises:
        UserError: Two settings contradict each other, or together ask for more memory than any machine has.
    """
    known = vars(config)
    if "n_step" in known:
        _check_memory(config)
    if "elite_frac" in known and int(config.batch_size * config.elite_frac) < 1:
        raise UserError(f"elite_frac {config.elite_frac} of batch_size {config.batch_size} is less than an episode")
    if known.get("learning_rate_end") and not config.learning_rate_nb_steps:
        raise UserError("learning_rate_end needs learning_rate_nb_steps, the steps until it is reached")
    if known.get("noise_sigma_min") and not config.noise_nb_steps:
        raise UserError("noise_sigma_min needs noise_nb_steps, the steps until it is reached")
    if "random_process" in known:
        _require_use(config, ("noise_theta", "noise_dt"), "random_process", "ornstein-uhlenbeck")
    if "policy" in known:
        _require_use(config, [name for name in known if name.startswith("eps_")], "policy", "eps")
        _require_use(config, ["tau"], "policy", "boltzmann")
    if "eps_min" in known and config.eps_min > config.eps_max:
        raise UserError(f"eps_min must be at most eps_max, which is {config.eps_max}; it is {config.eps_min}")
    for name in ("hidden_layers", "critic_hidden_layers"):
        _check_layers(name, known.get(name, ()))
    if "gradient_steps" in known and config.batch_size * config.gradient_steps > _MOST_TRANSITIONS:
        raise UserError(
            f"batch_size * gradient_steps must be at most {_MOST_TRANSITIONS:,}, not "
            f"{config.batch_size * config.gradient_steps:,}"
        )
    if config.eval_interval == 0 and (config.stop_when_solved or config.stop_at is not None or config.record_every):
        raise UserError("stop_when_solved, stop_at and record_every need evaluations: eval_interval must not be 0")
    if config.eval_interval == 0 and (config.eval_env is not None or config.eval_env_arg):
        raise UserError("eval_env and eval_env_arg need evaluations: eval_interval must not be 0")
    if config.playoff == 1:
        raise UserError("playoff must be at least 2, since a single candidate cannot lose, or 0 for none")
    if config.max_time is not None:
        seconds("max_time", config.max_time)
    if config.skip_mismatch and not config.start_from:
        raise UserError("skip_mismatch needs start_from, the weights whose layers may be left out")
    if config.resume and config.overwrite:
        raise UserError("resume and overwrite cannot be used together: a run is continued or replaced")


def _check_memory(config: Any) -> None:
    fewest = config.window_length + config.n_step + 2  # one of which is never the beginning of an episode
    if config.memory_limit < fewest:
        raise UserError(
            f"memory_limit must be at least window_length + n_step + 2 = {fewest}, so that there is always a step "
            f"to draw; it is {config.memory_limit}"
        )
    priorities = [name for name in vars(config) if name.startswith("priority_")]
    _require_use(config, priorities, "memory", "prioritized")
    if config.priority_beta > config.priority_beta_end:
        raise UserError(
            f"priority_beta must be at most priority_beta_end, which is {config.priority_beta_end}; "
            f"it is {config.priority_beta}"
        )


def _check_layers(name: str, layers: Sequence[int]) -> None:
    nb_hidden = nb_weights(layers)
    if len(layers) > _MOST_LAYERS or nb_hidden > _MOST_WEIGHTS:
        raise UserError(
            f"{name} must be at most {_MOST_LAYERS} with {_MOST_WEIGHTS:,} weights between them; there are "
            f"{len(layers):,} with {nb_hidden:,}"
        )


def _require_use(config: Any, names: Sequence[str], by: str, value: str) -> None:
    """Raise `UserError` if settings that matter only if `by` has `value` were given, but it has another."""
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    unused = [name for name in names if getattr(config, name) != defaults[name]]
    if getattr(config, by) != value and unused:
        raise UserError(f"{', '.join(unused)} need{'s' if len(unused) == 1 else ''} {by} to be {value!r}")


def nb_weights(widths: Sequence[int]) -> int:
    """Return how many weights, not counting biases, are between dense layers of these numbers of nodes."""
    return sum(nodes * following for nodes, following in itertools.pairwise(widths))
