"""Which models agents can use, and how states, which are lists of observations, become a model's inputs."""

import math
from typing import Any

import keras
import numpy as np
import rl.core

from kerasrl.environments.spaces import in_order, parts
from kerasrl.errors import UserError, require_keras_3


def usable(model: Any, output: str, name: str = "model") -> Any:
    """Return a model with one output, described by `output`, that can learn; raise `UserError` if it cannot."""
    require_keras_3(model, name)
    if not isinstance(model, keras.Model) or not model.built:
        raise UserError(f"{name} must be a Keras model with a known input shape: start it with keras.Input(...)")
    if isinstance(model, keras.Sequential):
        model(model.inputs[0])  # Keras 3 defines the input and output of a Sequential model when it is first called
    stateful = [layer.name for layer in model.layers if getattr(layer, "stateful", False)]
    if stateful:
        raise UserError(f"stateful layers ({', '.join(stateful)}) cannot learn from shuffled transitions")
    if len(model.outputs) != 1:
        raise UserError(f"{name} must have one output, {output}, not {len(model.outputs)}")
    lone_input = len(model.inputs) == 1 and isinstance(getattr(model, "_inputs_struct", None), list)
    if lone_input or not isinstance(model.output, keras.KerasTensor):  # a list of one tensor instead of the tensor
        return keras.Model(model.inputs[0] if lone_input else model.input, model.outputs[0])
    return model


class ModelInputs:
    """Turns states of `window_length` observations into a model's inputs, letting the processor change them first.

    Args:
        model: Keras model.
        processor: rl.core.Processor, None for none.
        window_length: Observations in a state.
        normalizer: kerasrl.environments.normalizing.Normalizer of observations, None for none.

    Attributes:
        are_processed: Whether the processor has its own `process_state_batch`.

    Raises:
        UserError: The model does not take such states.
    """

    def __init__(self, model: Any, processor: Any, window_length: int, normalizer: Any = None) -> None:
        self._model, self._processor, self.normalizer = model, processor, normalizer
        process = getattr(processor, "process_state_batch", None)
        self.are_processed = getattr(process, "__func__", process) not in (None, rl.core.Processor.process_state_batch)
        self._order: list[int] | None = None
        for shape in [] if self.are_processed else [tuple(tensor.shape[1:]) for tensor in model.inputs]:
            if shape[:1] not in ((None,), (window_length,)):
                or_window = f", or set window_length={shape[0]}" if len(shape) > 1 else ""
                raise UserError(
                    f"the model takes states of shape {shape}, but their first axis is the memory's window_length, "
                    f"which is {window_length}: start it with keras.Input(({window_length}, *observation.shape))"
                    f"{or_window}"
                )

    def observation_sizes(self) -> list[int] | None:
        """Return how many numbers each part of an observation has, None if the model does not tell."""
        shapes = [tuple(tensor.shape[2:]) for tensor in self._model.inputs]
        return None if self.are_processed or any(None in shape for shape in shapes) else list(map(math.prod, shapes))

    def require(self, observation: Any) -> None:
        """Raise `UserError` unless an observation has the parts that the model takes, if no processor makes them."""
        if self.are_processed:
            return
        names, wanted = self._input_names(), [tuple(tensor.shape[2:]) for tensor in self._model.inputs]
        arrays = parts(observation)
        if isinstance(observation, dict):
            found = dict(zip(map(str, in_order(observation)), arrays, strict=True))
            if sorted(found) != sorted(names):
                raise UserError(f"the observation's keys {list(found)} are not the names of the model's inputs {names}")
            arrays = [found[name] for name in names]
        fits = len(arrays) == len(wanted) and all(
            array.dtype.kind not in "SU"
            and array.ndim == len(shape)
            and all(size in (None, number) for size, number in zip(shape, array.shape, strict=True))
            for array, shape in zip(arrays, wanted, strict=True)
        )
        if not fits:
            given = ", ".join("text" if array.dtype.kind in "SU" else str(array.shape) for array in arrays)
            taken = ", ".join(
                f"{name} {shape}" if len(names) > 1 else str(shape) for name, shape in zip(names, wanted, strict=True)
            )
            raise UserError(f"the model takes observations of shape {taken}, not {given}")

    def of_states(self, states: list[Any]) -> list[np.ndarray]:
        """Return an array [B, W, *part] for each input of the model."""
        observation = states[0][0]
        if type(observation) is np.ndarray and len(states) == len(states[0]) == 1:  # the usual one in a step
            arrays = [observation[None, None]]
        elif len(states) == 1:
            arrays = [array[None] for array in _stacked(states[0])]
        else:
            arrays = [np.stack(part) for part in zip(*map(_stacked, states), strict=True)]
        return self._processed(arrays, observation) if self.are_processed else self.of_parts(arrays, observation)

    def of_parts(self, arrays: list[np.ndarray], observation: Any) -> list[np.ndarray]:
        """Return states [n, W, *part], an array for each part of an observation, normalised if they are to be.

        A dictionary's parts, which come sorted by key, are put in the order of the inputs of these names.
        """
        if self.normalizer is not None:
            arrays = self.normalizer.normalized(arrays)
        if not isinstance(observation, dict):
            return arrays
        if self._order is None:
            names, keys = self._input_names(), list(map(str, in_order(observation)))
            if sorted(names) != sorted(keys):
                raise UserError(f"the observation's keys {keys} are not the names of the model's inputs {names}")
            self._order = [keys.index(name) for name in names]
        return [arrays[i] for i in self._order]

    def _input_names(self) -> list[str]:
        if isinstance(self._model.input, dict):
            return sorted(self._model.input)
        return [tensor.name for tensor in self._model.inputs]

    def _processed(self, arrays: list[np.ndarray], observation: Any) -> list[np.ndarray]:
        """Show states [B, W, *part] to the processor as Keras-RL does."""
        if isinstance(observation, dict):
            batch: Any = np.empty(arrays[0].shape[:2], object)
            for index in np.ndindex(batch.shape):
                batch[index] = {key: array[index] for key, array in zip(in_order(observation), arrays, strict=True)}
        elif len(arrays) > 1:
            nb_states, window = arrays[0].shape[:2]
            batch = [[tuple(array[i, w] for array in arrays) for w in range(window)] for i in range(nb_states)]
        else:
            batch = arrays[0]
        return self.listed(self._processor.process_state_batch(batch))

    def listed(self, processed: Any) -> list[np.ndarray]:
        """Return processed states [B, W, *part], given as an array, a list or a dictionary, in a list."""
        if isinstance(processed, dict):
            processed = [processed[name] for name in self._input_names()]
        # Copies, since the processor may use its array again. Networks compute in 32 bits; pictures may stay bytes.
        if isinstance(processed, list | tuple):
            return [np.array(part, np.float32) for part in processed]
        processed = np.asarray(processed)
        return [np.array(processed, np.float32 if processed.dtype.kind in "fO" else None)]


def _stacked(state: list[Any]) -> list[np.ndarray]:
    """Return an array [W, *part] for each part of a state's observations."""
    if len(state) == 1:
        return [array[None] for array in parts(state[0])]
    return [np.stack(arrays) for arrays in zip(*map(parts, state), strict=True)]
