"""A test in the middle of a training, after which the training goes on as if nothing had been."""

import contextlib
import copy
from typing import Any

import numpy as np

from kerasrl.dqn.networks import Networks
from kerasrl.dqn.upcoming import Upcoming

_COUNTERS = ("training", "step", "recent_observation", "recent_action", "recent_truncated")


class Interlude:
    """What a test changes in an agent, kept from the moment this is made until `end`.

    Args:
        agent: The agent.
        networks: Its models.
        upcoming: What it knows of the observation to act on next; its Q-values are not kept.
        in_training: Whether `fit` is running: then NumPy's generator and the processor are put back, too.
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
        self._generator = np.random.get_state() if in_training else None
        self._processor = _copied_attributes(agent.processor) if in_training else {}

    def end(self) -> None:
        """Put everything back."""
        for name, value in self._processor.items():
            setattr(self._agent.processor, name, value)
        if self._generator is not None:
            np.random.set_state(self._generator)
        for deque, values in self._recent:
            deque.clear()
            deque.extend(values)
        for name, value in self._counters.items():
            setattr(self._agent, name, value)
        self._upcoming.observation, self._upcoming.state = self._known
        self._upcoming.q_values = None
        self._networks.is_in_loop = self._was_in_loop


def _copied_attributes(thing: Any) -> dict[str, Any]:
    """Return copies of what an object holds, as far as it can be copied, except the agent."""
    copies = {}
    for name, value in ({} if thing is None else vars(thing)).items():
        if name != "agent":
            with contextlib.suppress(TypeError):  # a lock, a file: not what a test would change
                copies[name] = copy.deepcopy(value)
    return copies
