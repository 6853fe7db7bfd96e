"""Action masks: which actions an environment says are legal, checked at each step."""

from typing import Any

import numpy as np

from kerasrl.diagnosis import definition
from kerasrl.environments.instances import wrapper_chain
from kerasrl.environments.numbered import NumberedActions
from kerasrl.errors import UserError
from kerasrl.phrases import to_give

KEY = "action_mask"  # in info, as Gymnasium's Taxi has it
_METHOD = "action_masks"  # of the environment or a wrapper, as sb3-contrib has it


class ActionMasks:
    """Which actions are legal for the observation that an environment has shown last.

    It says so in info["action_mask"], at each `reset` and `step`, or by a method `action_masks()`; if there are both,
    info counts. A mask holds a one, or True, for each legal action. What it says of the end of an episode counts only
    if a time limit ended it and an action is legal: there the state keeps its value.

    Args:
        env: Environment.
        nb_actions: Number of actions that the agent chooses from.
        actions: What makes the environment's actions of these, None if they are the same.
    """

    def __init__(self, env: Any, nb_actions: int, actions: NumberedActions | None = None) -> None:
        self.env, self._actions = env, actions
        self._all = np.ones(nb_actions, np.bool_)
        self._all.setflags(write=False)  # it is handed out
        layers = [*wrapper_chain(env), getattr(env, "unwrapped", env)]
        methods = (getattr(layer, _METHOD, None) for layer in layers)
        self._ask = next((method for method in methods if callable(method)), None)
        self._is_in_info = False
        self._given: Any = None  # the latest mask, as it was given
        self._known: np.ndarray | None = None  # the same, once it was checked
        self._by = "reset"  # what gave it
        self._is_over = False  # whether the episode has ended, not by a time limit

    @property
    def source(self) -> str:
        """Where masks come from, "" if there are none."""
        return f'info["{KEY}"]' if self._is_in_info else f"{_METHOD}()" if self._ask else ""

    def begin(self, info: dict[str, Any]) -> bool:
        """Take note of what `reset` returned; return whether there are masks."""
        self._is_in_info = self._is_in_info or KEY in info
        self._take(info, "reset", is_over=False)
        return bool(self.source)

    def follow(self, info: dict[str, Any], terminated: bool) -> None:
        """Take note of what `step` returned."""
        self._take(info, "step", terminated)

    def refuse_late(self, info: dict[str, Any]) -> None:
        """Raise `UserError` if `step` gives masks although `reset` gave none."""
        if KEY in info:
            raise self._error("step", f"{self._name}, but reset() returned none: the first action needs one, too")

    def allows(self, action: Any) -> bool:
        """Return whether an action may be repeated now."""
        return self._is_over or is_legal(action, self._checked())

    def allowed(self, at_end: bool = False) -> np.ndarray:
        """Return which actions are legal [nb_actions] bool; all where an episode ends without saying so.

        Raises:
            UserError: The environment gave something else than a mask, or one without a legal action, before the end.
        """
        if self._is_over:
            return self._all
        try:
            mask = self._checked()
        except UserError:
            if at_end:
                return self._all
            raise
        if mask.any():
            return mask
        if at_end:
            return self._all
        raise self._error(self._by, f"{self._name} of zeros: no action is legal, but the episode goes on")

    def _take(self, info: dict[str, Any], by: str, is_over: bool) -> None:
        self._by, self._is_over, self._known = by, is_over, None
        if self._is_in_info:
            self._given = info.get(KEY)
        elif self._ask is not None and not is_over:
            self._given, self._by = self._ask(), _METHOD

    def _checked(self) -> np.ndarray:
        if self._known is None:
            given = self._given
            if self._actions is not None:
                given = self._actions.mask(given, is_joined=self._by == _METHOD)
            self._known = as_mask(given, len(self._all))
        if self._known is not None:
            return self._known
        if self._given is None and self._is_in_info:
            raise self._error(self._by, f"no {self._name}, which each reset() and step() has to give")
        what = needed(len(self._all))
        if self._actions is not None and not self._actions.is_single:
            what += (
                f", or a tuple of {' and '.join(map(str, self._actions.sizes))} of them for the numbers in an action"
            )
        raise self._error(self._by, f"{shown(self._given)} as {self._name}, which must be {what}")

    @property
    def _name(self) -> str:
        return f'info["{KEY}"]' if self._is_in_info or self._ask is None else "action mask"

    def _error(self, method: str, what: str) -> UserError:
        return UserError(f"the environment's {method}() returned {what}{definition(self.env, method)}; {cure()}")


def as_mask(given: Any, nb_actions: int) -> np.ndarray | None:
    """Return what was given as a mask [nb_actions] bool of its own memory, None if it is no mask."""
    try:
        array = np.asarray(given)
    except ValueError:  # lists of different lengths
        return None
    if array.shape != (nb_actions,) or array.dtype.kind not in "biuf":
        return None
    mask: np.ndarray = array.astype(np.bool_)  # a copy, since the environment may use its array again
    return mask if (mask == array).all() else None


def needed(nb_actions: int) -> str:
    """Return what a mask must be."""
    return f"{nb_actions} zeros and ones, one for each action"


def shown(given: Any) -> str:
    """Return what was given on a line, shortened."""
    return f"{' '.join(repr(given).split()):.60}"


def is_legal(action: Any, mask: np.ndarray) -> bool:
    """Return whether a mask allows an action, a number or an array of one."""
    if type(action) in (np.int64, int):  # as usual, in a fifth of the time
        return 0 <= action < len(mask) and bool(mask[action])
    array = np.asarray(action)
    if array.size != 1 or array.dtype.kind not in "biuf" or not float(array.item()).is_integer():
        return False
    index = int(array.item())
    return 0 <= index < len(mask) and bool(mask[index])


def require_legal(action: Any, mask: np.ndarray, who: str) -> None:
    """Raise `UserError` if an action that somebody chose is not legal."""
    if not is_legal(action, mask):
        legal = ", ".join(map(str, mask.nonzero()[0][:20]))
        raise UserError(
            f"{who} chose the action {action!s:.40}, which the action mask does not allow, only {legal}; {cure()}"
        )


def cure() -> str:
    """Return how to do without masks."""
    return f"{to_give(action_masks=False)} does without masks"
