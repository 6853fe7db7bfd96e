"""What a processor holds - statistics, counters, a generator - beside the weights that were learned with it.

It is kept as training states keep it: numbers, texts and arrays, in bytes that name no code. A processor with
`get_state` and `set_state` says itself what belongs to it; of others, all attributes do that can be kept.
"""

import warnings
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from kerasrl.errors import Note, UserError, WeightsError, one_line
from kerasrl.phrases import to_give, to_type
from kerasrl.storage.callback_state import has_state, is_no_state
from kerasrl.storage.encoding import CannotBeKept, Held, decode, nb_values, require_sound
from kerasrl.storage.files import DamagedError
from kerasrl.storage.object_state import ObjectEncoder, attributes, real

MOST_BYTES, _MOST_VALUES = 2**26, 2**16  # in a weights file; the values are those apart from arrays
_WITHOUT = {"MultiInputProcessor"}  # of Keras-RL; what it holds was given to its constructor
_told: Any = weakref.WeakSet()  # classes whose users know that something of theirs is left out


def encoded(things: Mapping[str, Any]) -> bytes | None:
    """Return what things hold, None if that is nothing; a `Note` names, once for each class, what cannot be kept.

    Args:
        things: By the names by which `put_back` knows them; those that an agent lacks are None.
    """
    tree = {name: held for name, thing in things.items() if (held := _held(thing))}
    if not tree:
        return None
    content = ObjectEncoder(tuple(things.values())).encode(tree)
    if len(content) > MOST_BYTES or nb_values(content) > _MOST_VALUES:
        _note(
            next(iter(things.values())), "holds more than a weights file keeps, 64 MB and 65,536 values beside arrays"
        )
        return None
    return content


def _held(thing: Any) -> Held | None:
    """Return what a thing holds, None if that is nothing."""
    full_name, name = type(thing).__qualname__, type(thing).__name__
    if thing is None or name in _WITHOUT:
        return None
    if has_state(thing):
        state = thing.get_state()
        if not _can_be_kept(state, ["()"]):
            _note(thing, f"what {name}.get_state returns cannot be saved: it is not in weights files")
            return None
        return Held("state", full_name, state) if state else None
    kept = {}
    for attribute, value in attributes(thing).items():
        if is_no_state(value, {id(thing)}):
            continue
        if _can_be_kept(value, []):
            kept[attribute] = value
        else:
            _note(
                thing,
                f"{name}.{attribute} cannot be saved: it is not in weights files; give {name} get_state and set_state "
                "to say what is",
            )
    return Held("attributes", full_name, kept) if kept else None


def _can_be_kept(value: Any, path: list[str]) -> bool:
    encoder = ObjectEncoder()
    encoder.path = path
    try:
        encoder.encode(value)
    except (CannotBeKept, UserError):
        return False
    return True


def _note(thing: Any, what: str) -> None:
    if type(thing) not in _told:
        _told.add(type(thing))
        warnings.warn(what, Note, stacklevel=4)


def put_back(content: bytes | None, things: Mapping[str, Any], file: str, shapes: Sequence[tuple[Any, ...]]) -> None:
    """Let things hold what `encoded` returned.

    Args:
        content: What the file has, None if it has nothing; then a `Note` says so of each thing that holds something.
        things: As for `encoded`.
        file: The weights file, for messages.
        shapes: Those of the states that the networks take.

    Raises:
        WeightsError: The content is damaged, or is that of other things; these are then left as they are, unless it is
            their own `set_state` that fails.
    """
    if content is None:
        for thing in things.values():
            if _held(thing) is not None:
                what = f"{file} has no state of {type(thing).__name__}, which stays as it is"
                warnings.warn(what, Note, stacklevel=4)
        return
    tree = _decoded(content, file)
    for name, held in tree.items():
        _require_same(name, held, things.get(name), file)
        _require_shape(held, file, shapes)
    for name, held in tree.items():
        try:
            _restore(things[name], held)
        except Exception as error:
            kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
            reason = f"{kind}{one_line(error)}"
            raise WeightsError(
                f"the state of {held.name} in {file} does not fit the one here: {reason:.200}"
            ) from error


def _decoded(content: bytes, file: str) -> dict[str, Held]:
    try:
        if len(content) > MOST_BYTES or nb_values(content) > _MOST_VALUES:
            raise DamagedError
        tree: dict[str, Held] = decode(content)
        require_sound(tree)
        for held in tree.values():
            if held.kind not in ("state", "attributes") or type(held.name) is not str:
                raise DamagedError
            if held.kind == "attributes" and not (isinstance(held.content, dict) and all(map(_is_text, held.content))):
                raise DamagedError
    except Exception:  # anyone can write a file, so it may hold anything
        raise WeightsError(f"{file} is damaged: the state of its processor cannot be read; use another file") from None
    return tree


def _is_text(name: Any) -> bool:
    return type(name) is str


def _require_same(name: str, held: Held, thing: Any, file: str) -> None:
    """Raise `WeightsError` unless a thing is of the class that was held, or of one derived from it."""
    if held.name in [base.__qualname__ for base in type(thing).__mro__]:
        return
    if name == "normalizer":
        cure = to_give(normalize_observations=True) + to_type("", ", or the agent a NormalizingProcessor")
        raise WeightsError(f"the weights in {file} were learned from normalised observations: give {cure}")
    here = "no processor" if thing is None else f"a {type(thing).__name__}"
    raise WeightsError(
        f"{file} has the state of a processor, {held.name:.60}, with which its weights were learned, but the agent has "
        f"{here}: give it one of that class"
    )


def _require_shape(held: Held, file: str, shapes: Sequence[tuple[Any, ...]]) -> None:
    """Raise `WeightsError` if Keras-RL's statistics are those of states that the networks do not take."""
    is_whitening = held.name == "WhiteningNormalizerProcessor" and held.kind == "attributes"
    normalizer = held.content.get("normalizer") if is_whitening else None
    content = normalizer.content if isinstance(normalizer, Held) else {}
    shape = content.get("shape") if isinstance(content, dict) else None
    if shape is not None and shape not in shapes:
        raise WeightsError(
            f"the statistics of {held.name} in {file} are those of states of shape {shape!s:.60}, but the networks "
            f"take {', '.join(map(str, shapes))}"
        )


def _restore(thing: Any, held: Held) -> None:
    if held.kind == "state":
        thing.set_state(real(held.content))
        return
    present = attributes(thing)
    for name, value in held.content.items():
        setattr(thing, name, real(value, present.get(name)))
