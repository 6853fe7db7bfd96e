"""Whether an actor and a critic go together, and how the critic's inputs follow from the actor's."""

import math
from typing import Any

import keras
import tensorflow as tf

from kerasrl.errors import UserError


class CriticInputs:
    """Makes the critic's inputs of the actor's inputs and actions.

    The critic takes the actor's inputs in their order or, if they have the same names, by name; its action input may
    stand anywhere among them.

    Args:
        actor: Keras model from states to actions [B, nb_actions].
        critic: Keras model from states and actions to values [B, 1].
        action_input: The critic's input for the actions.
        nb_actions: How many numbers make an action.

    Attributes:
        index: The place of the action input among the critic's inputs.

    Raises:
        UserError: The models do not go together.
    """

    def __init__(self, actor: Any, critic: Any, action_input: Any, nb_actions: int) -> None:
        inputs = keras.tree.flatten(critic.input)
        places = [i for i, tensor in enumerate(inputs) if tensor is action_input]  # tensors do not compare with ==
        if not places:
            raise UserError(
                f'Critic "{critic.name}" does not have designated action input "{_name(action_input)}": it has '
                f"{', '.join(_name(tensor) for tensor in inputs)}; critic_action_input must be one of these tensors"
            )
        (self.index,) = places
        if len(inputs) < 2:
            raise UserError(
                f'Critic "{critic.name}" does not have enough inputs. It must have one for the action and at least one '
                "for the observation."
            )
        _require_numbers(actor, nb_actions, "the actor's output", "one number for each action")
        _require_numbers(critic, 1, "the critic's output", "one value for each state and action")
        self._action_shape = tuple(action_input.shape[1:])
        if math.prod(size or 0 for size in self._action_shape) != nb_actions:
            raise UserError(
                f"the critic's action input has shape {action_input.shape}, but nb_actions is {nb_actions}: start it "
                f"with keras.Input(({nb_actions},))"
            )
        states, own = keras.tree.flatten(actor.input), [t for t in inputs if t is not action_input]
        if len(states) != len(own):
            raise UserError(
                f"the critic has {len(own)} inputs beside its action input, the actor has {len(states)}: both must "
                "take the same observation"
            )
        names = [_name(tensor) for tensor in states]
        by_name = len(set(names)) == len(names) and sorted(names) == sorted(map(_name, own))
        self._order = [names.index(_name(tensor)) for tensor in own] if by_name else list(range(len(own)))
        for tensor, place in zip(own, self._order, strict=True):
            if not tf.TensorShape(tensor.shape).is_compatible_with(states[place].shape):
                raise UserError(
                    f"the critic's input {_name(tensor)} has shape {tensor.shape}, the actor's input {names[place]} "
                    f"shape {states[place].shape}: both must take the same observation"
                )
        if {id(v) for v in actor.variables} & {id(v) for v in critic.variables}:
            raise UserError("actor and critic share layers, but each learns by itself: give each layers of its own")

    def __call__(self, states: list[Any], actions: Any) -> list[Any]:
        """Return a list of the critic's inputs, for the actor's inputs and actions [B, nb_actions], all tensors."""
        inputs = [states[place] for place in self._order]
        inputs.insert(self.index, tf.reshape(actions, [-1, *self._action_shape]))
        return inputs


def _name(tensor: Any) -> str:
    return str(getattr(tensor, "name", tensor))


def _require_numbers(model: Any, number: int, what: str, expected: str) -> None:
    shape = model.output.shape
    if math.prod(size or 0 for size in shape[1:]) != number:
        raise UserError(f"{what} has shape {shape}, but DDPG expects {expected}: (None, {number})")
