"""The whole training state, for an exact resume: written between episodes, read before the first.

Two files: `PATH` holds everything but the replay memory's steps (networks, optimizer, generators, counters, the
callbacks' states) and is replaced whole; `PATH.memory-N` holds the steps, and only those that are new are added. It has
room for more steps than the memory, so that what is added never touches what the `PATH` on disk refers to: whenever the
process dies, the two fit together. Nothing is ever unpickled.
"""

import os
import random
from pathlib import Path
from typing import Any

import numpy as np

from kerasrl.errors import UserError, to_type
from kerasrl.reading import MOST, read_file
from kerasrl.storage.archive import require_plain, require_sound, require_within
from kerasrl.storage.files import DamagedError, seal, unseal, write_whole
from kerasrl.storage.memory_file import MemoryFile
from kerasrl.storage.trees import decode, encode

_KIND = b"kerasrl state 1"


class TrainingState:
    """Where and how often `DQNAgent.fit` saves what an exact resume needs.

    Args:
        path: File to write.
        interval: Steps between writes; one is due at the first end of an episode after that many.
        save_memory: Keep the replay memory too. Without it a resumed run starts with an empty one and
            is no longer exact.
    """

    def __init__(self, path: str | os.PathLike[str], interval: int = 5_000, save_memory: bool = True) -> None:
        if interval < 1:
            raise UserError(f"the interval of the training state must be at least 1, is {interval}")
        self.path, self.interval, self.save_memory = Path(path), interval, save_memory
        self._steps: MemoryFile | None = None
        self.saved_step = -1  # the step of the state on disk

    def is_due(self, step: int) -> bool:
        """Return whether a state should be written at the end of an episode."""
        return step - self.saved_step >= self.interval

    def save(self, agent: Any, episode: int, callbacks: list[Any], env: Any) -> None:
        """Write the state before episode number `episode`.

        Raises:
            UserError: It is too large.
            OSError: It cannot be written; the one before stays.
        """
        tree = {
            "metadata": agent.metadata,
            "episode": episode,
            "agent": agent.get_state(),
            "generators": _generators(env),
            "callbacks": [[type(c).__name__, c.get_state()] for c in callbacks if hasattr(c, "get_state")],
            "memory": None,
        }
        if self.save_memory:
            self._steps = self._steps or MemoryFile(self.path, agent.memory.limit + 2 * self.interval)
            tree["memory"] = {**agent.memory.get_state(), "file": self._steps.add(agent.memory)}
        content = seal(_KIND, encode(tree))
        if len(content) > MOST:
            raise UserError(f"the training state has {len(content):,} bytes; {MOST:,} can be resumed with")
        write_whole(self.path, content)
        self.saved_step = agent.step
        if self._steps is not None:
            self._steps.forget_others()

    def finish(self) -> None:
        """Note in the state on disk that its run came to its end, at which a later state may not have been due.

        Raises:
            UserError: The state is missing or damaged.
            OSError: It cannot be written; the one before stays.
        """
        write_whole(self.path, seal(_KIND, encode({**self.load(), "finished": True})))

    def load(self) -> dict[str, Any]:
        """Return the state on disk.

        Raises:
            UserError: There is none, or it is damaged.
        """
        resume = to_type("--resume", "resume=True")
        damaged = UserError(f"the training state {self.path} is damaged; start again without {resume}")
        try:
            content = read_file(self.path)
        except FileNotFoundError:
            raise UserError(f"there is nothing to resume: {self.path} does not exist; train without {resume}") from None
        except OSError as error:
            raise UserError(f"the training state {self.path} cannot be read: {error.strerror}") from None
        try:
            tree: dict[str, Any] = decode(require_plain(unseal(_KIND, content)))
            _require_tree(tree)
        except Exception:  # what is sealed may be anything all the same
            raise damaged from None
        return tree

    def restore(self, tree: dict[str, Any], agent: Any, callbacks: list[Any], env: Any) -> int:
        """Put the state into agent, callbacks and generators; return the number of the episode to begin.

        Raises:
            UserError: The steps of the replay memory are missing or damaged.
        """
        try:
            self._restore(tree, agent, callbacks, env)
        except (UserError, OSError):
            raise
        except Exception as error:  # a tree of the right form may hold anything all the same
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise UserError(f"the training state {self.path} does not fit this training ({reason})") from error
        self.saved_step = agent.step
        return int(tree["episode"])

    def _restore(self, tree: dict[str, Any], agent: Any, callbacks: list[Any], env: Any) -> None:
        if tree["memory"] is not None:
            self._steps = MemoryFile(self.path, agent.memory.limit + 2 * self.interval)
            agent.memory.set_state(tree["memory"])
            self._steps.read(tree["memory"]["file"], agent.memory, agent.observation_sizes)
        agent.set_state(tree["agent"], warm_up=tree["memory"] is None)
        resumable = [callback for callback in callbacks if hasattr(callback, "set_state")]
        if [type(callback).__name__ for callback in resumable] != [name for name, _ in tree["callbacks"]]:
            raise UserError(f"the run to resume had the callbacks {', '.join(name for name, _ in tree['callbacks'])}")
        for callback, (_, saved) in zip(resumable, tree["callbacks"], strict=True):
            callback.set_state(saved)
        _set_generators(tree["generators"], env)


def _require_tree(tree: dict[str, Any]) -> None:
    """Raise `DamagedError`, or anything else, if what is asked of a tree before it is put anywhere is not there."""
    is_tree = isinstance(tree["metadata"], dict | None) and isinstance(tree["memory"], dict | None)
    if not is_tree or not all(isinstance(name, str) for name, _ in tree["callbacks"]):
        raise DamagedError
    numbers = [tree["agent"]["step"], *((tree["memory"] or {}).get(name, 0) for name in ("limit", "window_length"))]
    for number in numbers:
        require_within(number, 2**53)
    require_within(tree["episode"], 2**53)
    require_within(tree["generators"]["numpy"][2], 624)
    require_sound(tree)


def _space_generator(env: Any) -> Any:
    """Return the generator behind `env.action_space.sample()`, None if it has none."""
    generator = getattr(getattr(env, "action_space", None), "np_random", None)
    return generator if isinstance(generator, np.random.Generator) else None


def _generators(env: Any) -> dict[str, Any]:
    space = _space_generator(env)
    return {
        "numpy": list(np.random.get_state()),
        "random": random.getstate(),
        "actions": None if space is None else space.bit_generator.state,
    }


def _set_generators(states: dict[str, Any], env: Any) -> None:
    np.random.set_state(tuple(states["numpy"]))
    version, values, gauss = states["random"]
    random.setstate((version, tuple(values), gauss))
    space = _space_generator(env)
    if space is not None and states["actions"] is not None:
        space.bit_generator.state = states["actions"]
