"""A test in the middle of a training, which then goes on as if nothing had happened."""

import contextlib
import copy
import random
from collections.abc import Iterator
from typing import Any

import numpy as np

from kerasrl.storage.object_state import attributes


@contextlib.contextmanager
def undone(agent: Any, is_whole: bool = False) -> Iterator[None]:
    """Undo, when the block ends, what acting in it changed in an agent's networks and in its memory.

    While `fit` is running, or if `is_whole`, what the agent holds itself is put back, too. While `fit` is running, so
    are the generators of NumPy and Python, and within the block the agent's parts have copies of what they hold.
    """
    were_in_loop = [(network, network.is_in_loop) for network in agent.trainables.values()]
    names = ["_is_in_loop", "_has_taken_stock"]
    if agent.is_fitting or is_whole:
        names += agent.changed_by_acting
    counters = [(name, getattr(agent, name)) for name in names]
    # A memory of Keras-RL, of whatever class, keeps the recent steps in these.
    deques = [getattr(agent.memory, name, None) for name in ("recent_observations", "recent_terminals")]
    recent = [(deque, list(deque)) for deque in deques if deque is not None]
    for deque, _ in recent:
        deque.clear()
    generators = (np.random.get_state(), random.getstate()) if agent.is_fitting else None
    originals = _give_copies(agent) if agent.is_fitting else []
    try:
        yield
    finally:
        for part, held in originals:
            for name in attributes(part).keys() - held.keys():
                delattr(part, name)
            for name, value in held.items():
                setattr(part, name, value)
        if generators is not None:
            np.random.set_state(generators[0])
            random.setstate(generators[1])
        for deque, values in recent:
            deque.clear()
            deque.extend(values)
        for name, value in counters:
            setattr(agent, name, value)
        for network, was_in_loop in were_in_loop:
            network.is_in_loop = was_in_loop


def _give_copies(agent: Any) -> list[tuple[Any, dict[str, Any]]]:
    """Give an agent's parts copies of what they hold; return each part with what it held.

    What they share, the copies share, too. What cannot be copied (a lock, a file) they keep.
    """
    parts = {id(part): part for part in agent.parts().values() if part is not None}
    memo = {**parts, id(agent): agent}
    originals = [(part, attributes(part)) for part in parts.values()]
    for part, held in originals:
        for name, value in held.items():
            copied = dict(memo)  # a copy that fails leaves it half filled
            with contextlib.suppress(Exception):
                setattr(part, name, copy.deepcopy(value, copied))
                memo = copied
    return originals
