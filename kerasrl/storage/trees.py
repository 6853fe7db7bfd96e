"""What objects hold as trees of dictionaries, lists, numbers, texts and arrays, and such trees as bytes."""

import io
import json
from typing import Any

import numpy as np

from kerasrl.errors import UserError


def attributes(thing: Any) -> dict[str, Any] | None:
    """Return what an object holds as a tree: `get_state()` if it has it, else its attributes.

    Raises:
        UserError: It holds something that cannot be saved.
    """
    if thing is None or hasattr(thing, "get_state"):
        return None if thing is None else {"__state__": thing.get_state()}
    return {name: _kept(thing, name, value) for name, value in vars(thing).items() if name != "agent"}


def _kept(thing: Any, name: str, value: Any) -> Any:
    from rl.policy import Policy  # here, so that train.py finds a wrong --resume before TensorFlow is imported
    from rl.util import WhiteningNormalizer

    if isinstance(value, WhiteningNormalizer):
        return {"__normalizer__": {**vars(value), "dtype": np.dtype(value.dtype).str}}
    if isinstance(value, Policy):
        return {"__attributes__": attributes(value)}
    if isinstance(value, np.random.Generator):
        return {"__generator__": value.bit_generator.state}
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value
    try:
        json.dumps(value, default=lambda item: item.item() if isinstance(item, np.generic) else _refuse(item))
    except (TypeError, ValueError):
        raise UserError(
            f"{type(thing).__name__}.{name} cannot be saved for a resume; give the class get_state and set_state"
        ) from None
    return value


def _refuse(item: Any) -> Any:
    raise TypeError


def set_attributes(thing: Any, tree: dict[str, Any] | None) -> None:
    """Undo `attributes`."""
    if tree is None:
        return
    if "__state__" in tree:
        thing.set_state(tree["__state__"])
        return
    for name, value in tree.items():
        present: Any = getattr(thing, name, None)
        if isinstance(value, dict) and "__normalizer__" in value:
            from rl.util import WhiteningNormalizer

            saved = value["__normalizer__"]
            normalizer = WhiteningNormalizer(tuple(saved["shape"]), dtype=np.dtype(saved["dtype"]))
            vars(normalizer).update({**saved, "shape": normalizer.shape, "dtype": normalizer.dtype})
            setattr(thing, name, normalizer)
        elif isinstance(value, dict) and "__attributes__" in value:
            set_attributes(present, value["__attributes__"])
        elif isinstance(value, dict) and "__generator__" in value:
            present.bit_generator.state = value["__generator__"]
        else:
            setattr(thing, name, tuple(value) if isinstance(present, tuple) else value)


def encode(tree: Any) -> bytes:
    """Write a tree of dictionaries, lists, numbers, strings and arrays as JSON with the arrays beside it."""
    arrays: list[np.ndarray] = []

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            arrays.append(value)
            return {"__array__": len(arrays) - 1}
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, list | tuple) else value

    text = json.dumps(plain(tree)).encode()
    buffer = io.BytesIO()
    np.savez(buffer, np.frombuffer(text, np.uint8), *arrays)
    return buffer.getvalue()


def decode(content: bytes) -> Any:
    """Undo `encode`."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:

        def rich(value: Any) -> Any:
            if isinstance(value, dict):
                if "__array__" in value:
                    return file[f"arr_{value['__array__'] + 1}"]
                return {key: rich(item) for key, item in value.items()}
            return [rich(item) for item in value] if isinstance(value, list) else value

        return rich(json.loads(file["arr_0"].tobytes()))
