"""Action masks between environment and agent, and what chooses only among the actions that they allow."""

from collections.abc import Callable
from typing import Any

import numpy as np
from rl.policy import (
    BoltzmannGumbelQPolicy,
    BoltzmannQPolicy,
    EpsGreedyQPolicy,
    GreedyQPolicy,
    LinearAnnealedPolicy,
    MaxBoltzmannQPolicy,
)

from kerasrl.agents.policies import selecting
from kerasrl.environments.masks import ActionMasks, as_mask, cure, needed, require_legal, shown
from kerasrl.environments.numbered import NumberedActions
from kerasrl.errors import UserError
from kerasrl.overrides import overrides

# Keras-RL's policies that keep nothing between two choices but numbers, so that they need not know of other actions.
_MEMORYLESS = (GreedyQPolicy, EpsGreedyQPolicy, BoltzmannQPolicy, MaxBoltzmannQPolicy)


class Masking:
    """Tells an agent, before each of its choices in a `fit` or `test`, which actions are legal.

    Args:
        agent: The agent.
        env: Environment; as long as it gives no mask, nothing is done.
        is_wanted: Whether masks are to be obeyed.
        actions: What makes the environment's actions of the agent's numbers, None if they are these.

    Attributes:
        is_on: Whether the environment has given a mask.
    """

    def __init__(self, agent: Any, env: Any, is_wanted: bool, actions: NumberedActions | None) -> None:
        self._agent = agent
        self._masks = ActionMasks(env, agent.nb_actions, actions) if is_wanted and agent.is_discrete else None
        self.is_on = False

    def begins(self, info: dict[str, Any], tells: bool) -> bool:
        """Look at what `reset` returned; return whether there are masks from now on, and print so if it `tells`."""
        if self._masks is None or not self._masks.begin(info) or self.is_on:
            return False
        self.is_on = True
        if self._agent.training:
            self._agent.keep_masks()
        if tells:
            print(f"action masks from {self._masks.source}: only legal actions are taken; {cure()}")
        return True

    def taking(self, take: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return what takes a step as `take` does, and sees the mask that comes back."""
        masks = self._masks
        assert masks is not None

        def take_and_look(action: Any) -> Any:
            result = take(action)
            masks.follow(result[4], terminated=result[2])
            return result

        return take_and_look

    def choosing(self, choose: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
        """Return what chooses a legal action as `choose` or the agent does."""

        def choose_legally(observation: Any) -> Any:
            self.show()
            return self.checked((choose or self._agent.forward)(observation), f"{type(self._agent).__name__}.forward")

        return choose_legally

    def show(self, at_end: bool = False) -> None:
        """Let the agent know which actions are legal now; `at_end` of an episode none need be."""
        if self.is_on and self._masks is not None:
            self._agent.action_mask = self._masks.allowed(at_end)

    def checked(self, action: Any, who: str) -> Any:
        """Return an action that `who` chose; raise `UserError` if it is not legal."""
        if self.is_on:
            require_legal(action, self._agent.action_mask, who)
        return action

    def forbids(self, action: Any) -> bool:
        """Return whether an action must not be repeated now."""
        return self.is_on and self._masks is not None and not self._masks.allows(action)

    def refuse_late(self, info: dict[str, Any]) -> None:
        """Raise `UserError` if `step` gives the mask that `reset` did not give."""
        if self._masks is not None and not self.is_on:
            self._masks.refuse_late(info)


class LegalChoice:
    """Chooses a legal action as a policy does.

    Keras-RL's own policies are given the Q-values of the legal actions alone. Those that people write see all of them,
    with minus infinity in the places of the others, and have to choose a legal one.
    """

    _policy: Any = None  # the one that `_select` chooses by
    _select: Callable[[np.ndarray, np.ndarray], Any]

    def __call__(self, policy: Any, q_values: np.ndarray, mask: np.ndarray) -> Any:
        """Return an action.

        Args:
            policy: The policy.
            q_values: Q-values [nb_actions].
            mask: Which actions are legal [nb_actions] bool, at least one.

        Raises:
            UserError: The policy cannot choose among some of the actions, or chose one that is not legal.
        """
        if policy is not self._policy:
            self._policy, self._select = policy, _selecting(policy)
        return self._select(q_values, mask)


def _selecting(policy: Any) -> Callable[[np.ndarray, np.ndarray], Any]:
    inner = policy
    while isinstance(inner, LinearAnnealedPolicy) and not overrides(inner, "select_action"):
        inner = inner.inner_policy
    name, is_own = type(inner).__name__, overrides(inner, "select_action")
    if isinstance(inner, BoltzmannGumbelQPolicy) and not is_own:
        raise UserError(
            f"{name} counts how often it chose each of all actions, which it cannot do where only some are legal: use "
            f"BoltzmannQPolicy; {cure()}"
        )
    if isinstance(inner, _MEMORYLESS) and not is_own:
        select = selecting(policy)

        def select_among_legal(q_values: np.ndarray, mask: np.ndarray) -> Any:
            (legal,) = mask.nonzero()
            return legal[select(q_values[legal])]

        return select_among_legal

    def select_among_all(q_values: np.ndarray, mask: np.ndarray) -> Any:
        action = policy.select_action(q_values=np.where(mask, q_values, -np.inf))
        require_legal(action, mask, f"policy {name}")
        return action

    return select_among_all


def own_mask(agent: Any, given: Any) -> np.ndarray | None:
    """Return the mask that somebody gave to an agent, None if they gave none; raise `UserError` if it is no mask."""
    if given is None:
        return None
    if not agent.is_discrete:
        raise UserError(f"{type(agent).__name__} takes no action_mask")
    masks = agent.decode.mask(given, is_joined=False) if isinstance(agent.decode, NumberedActions) else given
    mask = as_mask(masks, agent.nb_actions)
    if mask is None or not mask.any():
        raise UserError(f"action_mask must be {needed(agent.nb_actions)}, with a one at least, not {shown(given)}")
    return mask


def random_number(agent: Any, env: Any) -> Any:
    """Return one of a discrete agent's actions, a legal one; a processor may make other ones of it."""
    if agent.action_mask is not None:
        (legal,) = agent.action_mask.nonzero()
        return int(legal[np.random.randint(len(legal))])
    space = getattr(env, "action_space", None) if agent.decode is None else None
    action = space.sample() if space is not None and hasattr(space, "sample") else None
    is_own = isinstance(action, int | np.integer) and 0 <= action < agent.nb_actions
    if is_own or (agent.processor is None and action is not None):
        return action
    return np.random.randint(agent.nb_actions)
