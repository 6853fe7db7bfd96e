"""What one has to know about an exported network: its inputs, and how to make them from observations."""

from kerasrl.compat import keras_rl  # noqa: F401  # before the imports that it makes possible

# isort: split

import itertools
import re
import unicodedata
from typing import Any

import numpy as np

from kerasrl.environments.processors import FlatteningProcessor, OneHotProcessor  # first: it lets Keras-RL import

# isort: split

import rl.core


def input_names(model: Any, by_key: bool) -> list[str]:
    """Return the names for a Keras model's inputs, in order: a Dict's keys (`by_key`), or else `state`."""
    if isinstance(model.input, dict):
        return sorted(model.input)
    return [tensor.name for tensor in model.inputs] if by_key or len(model.inputs) > 1 else ["state"]


def plain_names(names: list[str], output: str) -> list[str]:
    """Return names like these with only those characters that all formats take, each another one than `output`, too."""
    taken = [output]
    for name in names:
        plain = _plain(name)
        numbered = (f"{plain}_{k}" for k in itertools.count(2))
        taken.append(plain if plain not in taken else next(other for other in numbered if other not in taken))
    return taken[1:]


def _plain(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()  # without accents
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", letters)
    return plain if re.match("[A-Za-z0-9]", plain) else f"input{plain}"


def about(env_name: str, agent: Any, names: list[str], keys: list[str], action_repetition: int) -> dict[str, Any]:
    """Return what a file says about its network, for programs and, in sentences, for people.

    Args:
        env_name: Environment that the network acts in.
        agent: The agent.
        names: Names of the inputs.
        keys: What `input_names` calls them.
        action_repetition: How many times each action is taken.
    """
    model, processor, output = agent.acting_model, agent.processor, agent.output_name
    window = 1 if agent.memory is None else agent.memory.window_length
    parts = [] if processor is None else _parts(processor)
    own = None if processor is None or parts else f"{type(processor).__module__}:{type(processor).__name__}"
    inputs = [
        {**_tensor(name, tensor), **({} if name == key else {"key": key})}
        for name, key, tensor in zip(names, keys, model.inputs, strict=True)
    ]
    return {
        "environment": env_name,
        "inputs": inputs,
        "outputs": [_tensor(output, model.outputs[0])],
        "processor": own,
        "one_hot": [{"key": key, "n": n, "start": start} for key, _, n, start in parts if n],
        "window_length": window,
        "action_repetition": action_repetition,
        "observation": _observation(processor, own, parts, window, inputs),
        "action": _action(agent, own, action_repetition),
    }


Part = tuple[Any, Any, Any, Any]  # its key, the keys that lead to it, numbers of values, lowest values


def _parts(processor: Any) -> list[Part]:
    """Return what a processor of this project turns into vectors, or takes out of parts of parts."""
    if isinstance(processor, FlatteningProcessor):
        flat = [(name or None, path, list(n), list(start)) for name, path, n, start in processor.parts]
        return [(name, path, *(n + start if len(n) == 1 else (n, start))) for name, path, n, start in flat]
    return [(key, (), n, start) for key, n, start in processor.parts] if isinstance(processor, OneHotProcessor) else []


def _turned(key: Any, n: Any, start: Any) -> str:
    what = "it" if key is None else f"its {key}"
    if isinstance(n, list):
        index = "value" if not any(start) else f"value minus its lowest ({', '.join(map(str, start))})"
        return (
            f"turn {what} into vectors of {', '.join(map(str, n))} zeros, one after the other, each with a one at the "
            f"index that is its number's {index}"
        )
    index = "value" if start == 0 else f"value minus {start}"
    return f"turn {what} into a vector of {n} zeros with a one at the index that is its {index}"


def _observation(
    processor: Any, own: str | None, parts: list[Part], window: int, inputs: list[dict[str, Any]]
) -> list[str]:
    said = []
    named = [f"{key} is {''.join(f'[{part!r}]' for part in path)}" for key, path, _, _ in parts if path]
    if named:
        said.append(f"take it apart: {', '.join(named)}")
    if own and _has_own(processor, "process_observation"):
        said.append(f"pass it to {own}.process_observation")
    said += [_turned(key, n, start) for key, _, n, start in parts if n]
    if window > 1:
        said.append(
            f"stack the latest {window}, oldest first; at the beginning of an episode, zeros stand in for missing ones"
        )
    if own and _has_own(processor, "process_state_batch"):
        said.append(f"pass the state to {own}.process_state_batch")
    shapes = ", ".join(
        f"{tensor['name']} {tensor['dtype']} {[1, *tensor['shape'][1:]]}"
        + (f" (its {tensor['key']})" if "key" in tensor else "")
        for tensor in inputs
    )
    return [*said, f"feed it as {shapes}"]


def _action(agent: Any, own: str | None, action_repetition: int) -> list[str]:
    is_action = agent.output_name == "action"
    said = [
        "the action itself" if is_action else f"the index of the largest of the {agent.output_name}, counting from 0"
    ]
    if own and _has_own(agent.processor, "process_action"):
        said.append(f"pass it to {own}.process_action")
    actions = agent.decode
    if actions is not None and not actions.is_single:
        shape = "" if actions.start.ndim == 1 else f", in the shape {list(actions.start.shape)}"
        said.append(f"make of it what numpy.unravel_index(index, {list(actions.sizes)}) returns{shape}")
    if actions is not None and actions.start.any():
        said.append(f"add {actions.start.tolist()}")
    if agent.bounds is not None:
        if any(np.isfinite(bound).any() for bound in agent.bounds):
            low, high = map(_in_words, agent.bounds)
            said.append(f"clip it to the bounds from {low} to {high}")
        if agent.bounds[0].dtype.kind in "iu":
            said.append("round it")
        if np.ndim(agent.bounds[0]) != 1:
            said.append(f"give it the shape {list(np.shape(agent.bounds[0]))}")
    if action_repetition > 1:
        said.append(f"take it {action_repetition} times")
    return said


def _in_words(bound: np.ndarray) -> str:
    return f"[{', '.join(str(number) if np.isfinite(number) else 'none' for number in bound.ravel().tolist())}]"


def _has_own(processor: Any, method: str) -> bool:
    return getattr(type(processor), method) is not getattr(rl.core.Processor, method)


def _tensor(name: str, tensor: Any) -> dict[str, Any]:
    shape = ["batch", *("any" if size is None else size for size in tensor.shape[1:])]
    return {"name": name, "shape": shape, "dtype": tensor.dtype}
