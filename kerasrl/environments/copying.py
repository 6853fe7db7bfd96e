"""Copies of an environment as it is at the moment: with what its owner changed and what its wrappers have gathered."""

import contextlib
import copy
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from kerasrl.environments.display import render_modes, require_able_to_draw
from kerasrl.environments.instances import close, name_of, wrapper_chain
from kerasrl.errors import Note, UserError, one_line
from kerasrl.phrases import to_type

_CONSTANTS = (type(None), bool, int, float, complex, str, bytes, np.generic, tuple)


def copied(env: Any, render_mode: str | None = None) -> Any:
    """Return a deep copy of an environment, which will be shown as `render_mode` says: see `show_as`.

    Windows and what pygame draws on stay behind. An environment that makes itself anew where it is copied, as gym's
    EzPickle has it, gets the numbers, texts and arrays that it had.

    Raises:
        Exception: What keeps it from being copied.
    """
    with _without_pygame(env):
        made = copy.deepcopy(env)
        carry_over(env, made, [layer for layer in wrapper_chain(env) if _makes_itself(layer)])
    show_as(made, render_mode)
    return made


def show_as(env: Any, render_mode: str | None) -> None:
    """Let an environment draw in another way than it was made for; None: as it was made, but not in a window."""
    unwrapped = getattr(env, "unwrapped", env)
    now = getattr(unwrapped, "render_mode", None)
    if render_mode is None and now == "human":
        unwrapped.render_mode = None
    if render_mode in render_modes(unwrapped) and hasattr(unwrapped, "render_mode"):
        unwrapped.render_mode = render_mode


def carry_over(source: Any, target: Any, layers: list[Any] | None = None) -> None:
    """Give an environment what the wrappers of another one, which was made in the same way, have gathered.

    Args:
        source: The other one.
        target: Environment that it is given to.
        layers: The layers of `source` to copy from instead; of the innermost environment only numbers, texts, arrays.
    """
    # gym adds the wrapper that opens a window only where one is asked for.
    olds, news = ([layer for layer in wrapper_chain(env) if not _is_window(layer)] for env in (source, target))
    if list(map(type, olds)) != list(map(type, news)):
        return
    inner, of_target = olds[-1], dict(_held(news[-1]))
    chosen = [id(layer) for layer in (olds[:-1] if layers is None else layers)]
    # What wrappers hold of what is below them, they hold of the target's.
    layer_of = {id(old): new for old, new in zip(olds, news, strict=True)}
    known = {
        id(value): of_target[name]
        for name, value in _held(inner)
        if name in of_target and not isinstance(value, _CONSTANTS)
    }
    for old, new in zip(olds, news, strict=True):
        for name, value in _held(old) if id(old) in chosen else ():
            if old is not inner or _is_plain(value):
                with contextlib.suppress(Exception):  # what cannot be copied, the target keeps of its own
                    setattr(new, name, copy.deepcopy(value, layer_of | ({} if old is inner else known)))


class Copies:
    """Where evaluations and films take place: copies of the environment trained in, as it is at the moment.

    Where it cannot be copied, they take place in one that `make` makes, with what the wrappers have gathered, and a
    `Note` says so.

    Args:
        env: The environment trained in.
        make: Makes another one; None if the one trained in was given as an object.
        render_mode: What they are drawn for.

    Raises:
        UserError: It can be neither copied nor made again, or does not draw.
    """

    def __init__(self, env: Any, make: Callable[[], Any] | None = None, render_mode: str | None = None) -> None:
        require_able_to_draw(env, render_mode)
        self._env, self._make, self._render_mode = env, make, render_mode
        self._made: Any = None  # the one in their place, if it was needed
        self.latest = self._copy_or_make(env)
        """The latest copy."""

    def require_copyable(self, env: Any) -> None:
        """Find out whether an environment of this kind can still be copied after it was played; raises as the class."""
        if self._made is None and self._copy_or_make(env) is self._made:
            self.latest = self._made

    def now(self) -> Any:
        """Return an environment to play in, as the one trained in is now; the one before is not needed any more."""
        if self._made is None:
            before, self.latest = self.latest, self._copy_or_make(self._env)
            if any(map(_makes_itself, wrapper_chain(before))):  # others may share with the original what `close` closes
                close(before)
        if self._made is not None:
            carry_over(self._env, self._made)
        return self.latest

    def _copy_or_make(self, env: Any) -> Any:
        if self._make is not None and _has_window(env):  # whose wrappers and libraries may show themselves in copies
            self._made = self._make_another()
            return self._made
        try:
            return copied(env, self._render_mode)
        except Exception as error:
            self._made = self._make_another(error)
            return self._made

    def _make_another(self, failure: Exception | None = None) -> Any:
        name = name_of(self._env)
        without = f"do without evaluations: {to_type('--eval-interval 0', 'Config(eval_interval=0)')}"
        cannot = f"the environment {name} cannot be copied ({failure and one_line(failure)})"
        if self._make is None:
            raise UserError(
                f"{cannot}, and evaluations need one of their own; give a function that makes one: env=lambda: ..., "
                f"or {without}"
            ) from failure
        try:
            made = self._make()
        except Exception as error:
            raise UserError(
                f"evaluations need a second environment {name}, which cannot be made beside the first "
                f"({one_line(error)}); {without}"
            ) from error
        if getattr(made, "unwrapped", made) is getattr(self._env, "unwrapped", self._env):
            raise UserError(
                f"the function given as env always returns the same {name}, and evaluations need one of their own; "
                f"return another one each time, or {without}"
            )
        if failure is not None:
            warnings.warn(
                f"{cannot}: evaluations and films take place in one made anew, which has what the wrappers have "
                "gathered, but not what is changed in the environment itself; a method __deepcopy__ would mend that",
                Note,
                stacklevel=5,
            )
        return made


def _has_window(env: Any) -> bool:
    return "human" in [getattr(layer, "render_mode", None) for layer in wrapper_chain(env)]


def _is_window(layer: Any) -> bool:
    return type(layer).__name__ == "HumanRendering"


def _held(layer: Any) -> list[tuple[str, Any]]:
    """Return what a layer holds, by name."""
    return list(getattr(layer, "__dict__", {}).items())


def _is_plain(value: Any) -> bool:
    """Return whether something is no more than numbers, texts, arrays, and containers of these."""
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    if isinstance(value, tuple | list | set):
        return all(map(_is_plain, value))
    return isinstance(value, _CONSTANTS) or (isinstance(value, np.ndarray) and value.dtype != object)


def _makes_itself(layer: Any) -> bool:
    """Return whether a layer says itself how it is copied."""
    kind = type(layer)
    return any(hasattr(kind, name) for name in ("__deepcopy__", "__setstate__")) or any(
        getattr(kind, name) is not getattr(object, name) for name in ("__reduce__", "__reduce_ex__")
    )


@contextlib.contextmanager
def _without_pygame(env: Any) -> Iterator[None]:
    """Let an environment have, while the block runs, none of the surfaces and clocks of pygame's that it made."""
    held = [(layer, name, value) for layer in wrapper_chain(env) for name, value in _held(layer) if _is_pygames(value)]
    for layer, name, _ in held:
        setattr(layer, name, None)
    try:
        yield
    finally:
        for layer, name, value in held:
            setattr(layer, name, value)


def _is_pygames(value: Any) -> bool:
    """Return whether something is a surface or a clock of pygame's, or a container of such."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return bool(value) and _is_pygames(value[0])
    return type(value).__module__.partition(".")[0] == "pygame"
