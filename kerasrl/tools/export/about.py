"""What one has to know about an exported network: its inputs, and how to make them from observations."""

from kerasrl.compat import keras_rl  # noqa: F401  # before the imports that it makes possible

# isort: split

from typing import Any

from kerasrl.environments.processors import OneHotProcessor  # first: it lets Keras-RL import

# isort: split

import rl.core

from kerasrl.tools.export.formats import OUTPUT


def input_names(model: Any, by_key: bool) -> list[str]:
    """Return the names for a Keras model's inputs, in order: a Dict's keys (`by_key`), or else `state`."""
    if isinstance(model.input, dict):
        return sorted(model.input)
    return [tensor.name for tensor in model.inputs] if by_key or len(model.inputs) > 1 else ["state"]


def about(env_name: str, agent: Any, names: list[str], action_repetition: int) -> dict[str, Any]:
    """Return what a file says about its network, for programs and, in sentences, for people.

    Args:
        env_name: Environment that the network acts in.
        agent: DQNAgent.
        names: Names of the inputs.
        action_repetition: How many times each action is taken.
    """
    model, processor, window = agent.model, agent.processor, agent.memory.window_length
    one_hot = processor.parts if isinstance(processor, OneHotProcessor) else []
    own = None if processor is None or one_hot else f"{type(processor).__module__}:{type(processor).__name__}"
    inputs = [_tensor(name, tensor) for name, tensor in zip(names, model.inputs, strict=True)]
    return {
        "environment": env_name,
        "inputs": inputs,
        "outputs": [_tensor(OUTPUT, model.outputs[0])],
        "processor": own,
        "one_hot": [{"key": key, "n": n, "start": start} for key, n, start in one_hot],
        "window_length": window,
        "action_repetition": action_repetition,
        "observation": _observation(processor, own, one_hot, window, inputs),
        "action": _action(processor, own, action_repetition),
    }


def _observation(processor: Any, own: str | None, one_hot: Any, window: int, inputs: list[dict[str, Any]]) -> list[str]:
    said = []
    if own and _has_own(processor, "process_observation"):
        said.append(f"pass it to {own}.process_observation")
    for key, n, start in one_hot:
        what = "it" if key is None else f"its {key}"
        index = "value" if start == 0 else f"value minus {start}"
        said.append(f"turn {what} into a vector of {n} zeros with a one at the index that is its {index}")
    if window > 1:
        said.append(
            f"stack the latest {window}, oldest first; at the beginning of an episode, zeros stand in for missing ones"
        )
    if own and _has_own(processor, "process_state_batch"):
        said.append(f"pass the state to {own}.process_state_batch")
    shapes = ", ".join(f"{tensor['name']} {tensor['dtype']} {[1, *tensor['shape'][1:]]}" for tensor in inputs)
    return [*said, f"feed it as {shapes}"]


def _action(processor: Any, own: str | None, action_repetition: int) -> list[str]:
    said = [f"the index of the largest of the {OUTPUT}, counting from 0"]
    if own and _has_own(processor, "process_action"):
        said.append(f"pass it to {own}.process_action")
    if action_repetition > 1:
        said.append(f"take it {action_repetition} times")
    return said


def _has_own(processor: Any, method: str) -> bool:
    return getattr(type(processor), method) is not getattr(rl.core.Processor, method)


def _tensor(name: str, tensor: Any) -> dict[str, Any]:
    shape = ["batch", *("any" if size is None else size for size in tensor.shape[1:])]
    return {"name": name, "shape": shape, "dtype": tensor.dtype}
