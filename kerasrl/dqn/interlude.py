"""A test in the middle of a training, after which the training goes on as if nothing had been."""

import contextlib
import copy
import random
from typing import Any

import numpy as np

from kerasrl.dqn.networks import Networks
from kerasrl.dqn.upcoming import Upcoming
from kerasrl.storage.objects import attributes

_COUNTERS = ("training", "step", "recent_observation", "recent_action", "recent_truncated")


class Interlude:
    """What a test changes in an agent, kept from the moment this is made until `end`.

    Args:
        agent: The agent.
        networks: Its models.
        upcoming: What it knows of the observation to act on next; its Q-values are not kept.
        in_training: Whether `fit` is running: then the generators of NumPy and Python are put back, too, and
            processor and policies have copies of what they hold until `end`.
    """

    def __init__(self, agent: Any, networks: Networks, upcoming: Upcoming, in_training: bool) -> None:
        self._agent, self._networks, self._upcoming = agent, networks, upcoming
        self._was_in_loop = networks.is_in_loop
        self._known = upcoming.observation, upcoming.state
        self._counters = {name: getattr(agent, name) for name in _COUNTERS}
        memory = agent.memory
        self._recent = [(deque, list(deque)) for deque in (memory.recent_observations, memory.recent_terminals)]
        for deque, _ in self._recent:
            deque.clear()
        self._generators = (np.random.get_state(), random.getstate()) if in_training else None
        self._originals = _give_copies(agent) if in_training else []

    def end(self) -> None:
        """Put everything back."""
        for part, held in self._originals:
            for name in attributes(part).keys() - held.keys():
                delattr(part, name)
            for name, value in held.items():
                setattr(part, name, value)
        if self._generators is not None:
            np.random.set_state(self._generators[0])
            random.setstate(self._generators[1])
        for deque, values in self._recent:
            deque.clear()
            deque.extend(values)
        for name, value in self._counters.items():
            setattr(self._agent, name, value)
        self._upcoming.observation, self._upcoming.state = self._known
        self._upcoming.q_values = None
        self._networks.is_in_loop = self._was_in_loop


def _give_copies(agent: Any) -> list[tuple[Any, dict[str, Any]]]:
    """Give processor and policies copies of what they hold; return them with what they held.

    What they share they share in the copies, too. What cannot be copied (a lock, a file) they keep.
    """
    parts = {id(part): part for part in (agent.processor, agent.policy, agent.test_policy) if part is not None}
    memo = {**parts, id(agent): agent}
    originals = [(part, attributes(part)) for part in parts.values()]
    for part, held in originals:
        for name, value in held.items():
            copied = dict(memo)  # which a copy that fails leaves half done
            with contextlib.suppress(Exception):
                setattr(part, name, copy.deepcopy(value, copied))
                memo = copied
    return originals
