"""What has to be known of an exported network: its inputs, and what makes them of observations."""

from typing import Any

import rl.core

from kerasrl.environments.processors import OneHotProcessor
from kerasrl.export.formats import OUTPUT


def input_names(model: Any, by_key: bool) -> list[str]:
    """Return the names that a model's inputs get, in their order: a Dict's keys, or else `state`.

    Args:
        model: Keras model.
        by_key: Whether observations are dictionaries.
    """
    if isinstance(model.input, dict):
        return sorted(model.input)
    return [tensor.name for tensor in model.inputs] if by_key or len(model.inputs) > 1 else ["state"]


def about(env_name: str, agent: Any, names: list[str], action_repetition: int) -> dict[str, Any]:
    """Return what a file says of its network, for programs and, in sentences, for people.

    Args:
        env_name: Environment that the network acts in.
        agent: DQNAgent.
        names: Names of the inputs.
        action_repetition: Times each action is taken.
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
    """Say what has to be done to an observation, step by step."""
    said = []
    if own and _has_own(processor, "process_observation"):
        said.append(f"hand it to {own}.process_observation")
    for key, n, start in one_hot:
        what = "it" if key is None else f"its {key}"
        where = "there" if start == 0 else f"{start} places before"
        said.append(f"make of {what} a vector of {n} zeros with a one in the place that it names, {where}")
    if window > 1:
        said.append(
            f"put the latest {window} together, the oldest first; at the beginning of an episode, zeros take the "
            "places of those that are missing"
        )
    if own and _has_own(processor, "process_state_batch"):
        said.append(f"hand the state to {own}.process_state_batch")
    shapes = ", ".join(f"{tensor['name']} {tensor['dtype']} {[1, *tensor['shape'][1:]]}" for tensor in inputs)
    return [*said, f"give it as {shapes}"]


def _action(processor: Any, own: str | None, action_repetition: int) -> list[str]:
    """Say what has to be done with the Q-values, step by step."""
    said = [f"the place of the largest of the {OUTPUT}, from 0"]
    if own and _has_own(processor, "process_action"):
        said.append(f"hand it to {own}.process_action")
    if action_repetition > 1:
        said.append(f"take it {action_repetition} times")
    return said


def _has_own(processor: Any, method: str) -> bool:
    return getattr(type(processor), method) is not getattr(rl.core.Processor, method)


def _tensor(name: str, tensor: Any) -> dict[str, Any]:
    shape = ["batch", *("any" if size is None else size for size in tensor.shape[1:])]
    return {"name": name, "shape": shape, "dtype": tensor.dtype}
