"""What a user's subclass of an agent or a memory holds besides the engine's own, when a training is to be resumed."""

import warnings
import weakref
from typing import Any

import keras

from kerasrl.errors import Note, UserError
from kerasrl.overrides import overrides, own_attributes, takes

_told: Any = weakref.WeakSet()  # the classes whose users know


def check_own_state(agent: Any) -> None:
    """Issue a `Note`, once for each class, about what a resume will not restore.

    Raises:
        UserError: A subclass's `get_state` or `set_state` loses what the engine has to keep.
    """
    for thing, needed in ((agent, "step"), (agent.memory, "nb_appended")):
        if thing is None:
            continue
        name = type(thing).__name__
        has_state = overrides(thing, "get_state") and overrides(thing, "set_state")
        if has_state and needed not in thing.get_state():
            raise UserError(f"{name}.get_state has to return what super().get_state() returns, with its own added")
        if has_state and thing is agent and not takes(thing.set_state, "warm_up"):
            raise UserError(f"{name}.set_state needs the arguments (state, warm_up), which super().set_state takes")
        own = [attribute for attribute in own_attributes(thing) if not _is_saved(agent, getattr(thing, attribute))]
        if own and not has_state and type(thing) not in _told:
            _told.add(type(thing))
            warnings.warn(
                f"{name}.{own[0]} is not saved for a resume; if it changes during a training, give {name} get_state "
                "and set_state, which add to what super() returns and takes",
                Note,
                stacklevel=4,
            )


def _is_saved(agent: Any, value: Any) -> bool:
    """Return whether a value is a part of the agent, or holds only models, whose weights are saved as its own."""
    models = keras.tree.flatten(value)
    if models and all(isinstance(model, keras.Model) for model in models):
        return True
    return any(value is part for part in agent.parts().values())
