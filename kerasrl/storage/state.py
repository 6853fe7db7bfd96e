"""The whole training state, for an exact resume: written between episodes, read before the first.

Two files: `PATH` holds everything but the replay memory's steps (networks, optimizer, generators, counters, the
callbacks' states) and is replaced whole; `PATH.memory-N` holds the steps, to which only new ones are added. It has room
for more steps than the memory, so that adding some never touches those that the `PATH` on disk refers to: whenever the
process dies, the two fit together. Nothing is ever unpickled.
"""

import contextlib
import os
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasrl.config.resuming import LEARNING_RATES
from kerasrl.errors import DivergenceError, Note, UserError, one_line
from kerasrl.phrases import called, to_give
from kerasrl.reading import MOST, read_file
from kerasrl.storage.callback_state import KeptAttributes, has_state
from kerasrl.storage.encoding import (
    MOST_NARROW,
    MOST_VALUES,
    CannotBeKept,
    Held,
    decode,
    nb_values,
    require_sound,
    require_within,
)
from kerasrl.storage.files import DamagedError, naming, seal, unseal, write_whole
from kerasrl.storage.memory_file import MemoryFile
from kerasrl.storage.object_state import AS_IT_IS, ObjectEncoder, count_on, restore

_KIND, _KIND_BEFORE = b"kerasrl state 2", b"kerasrl state 1\n"


class OutdatedError(UserError):
    """A training state of an earlier version of this project."""


class TrainingState:
    """Where and how often an agent's `fit` saves what an exact resume needs.

    Args:
        path: File to write.
        interval: Steps between writes; one is due at the first end of an episode after that many steps.
        save_memory: Save the replay memory too. Without it a resumed run starts with an empty one and
            is not exact.

    Attributes:
        observers: Callbacks of which nothing is saved, since a resume does without them.
        learning_rates: Those with which a resume goes on, by the network's name, "" for any other; else the state's.
        explores_anew: Whether a resume explores as the agent was made to, not as it did; only its counters go on.
        has_other_callbacks: Whether a resume may have others than the state; what is not needed is kept for later.
        history: What the settings file says of how the run came about.
        played: Mean rewards in a playoff that a resume need not repeat, by what tells the weights from others.
        when_restored: Called once `restore` has put back everything that agent and memory had.
    """

    def __init__(self, path: str | os.PathLike[str], interval: int = 5_000, save_memory: bool = True) -> None:
        if interval < 1:
            raise UserError(f"the interval of the training state must be at least 1, not {interval}")
        self.path, self.interval, self.save_memory = Path(path), interval, save_memory
        self.observers: Sequence[Any] = ()
        self.when_restored: Callable[[], None] = lambda: None
        self.learning_rates: dict[str, float] = {}
        self.explores_anew = self.has_other_callbacks = False
        self.history: dict[str, Any] = {}
        self.played: dict[str, float] = {}
        self._set_aside: list[Held] = []  # the states of callbacks that a resume did without
        self._steps: MemoryFile | None = None
        self._kept = KeptAttributes([], [])
        self._known: set[str] | None = None  # places of objects when the run began
        self._progress: Any = None
        self._nb_steps = -1
        self._has_noted = False  # that the agent's numbers have gone wrong
        self.saved_step = -1  # the step of the state on disk

    def is_due(self, step: int, longest_episode: int = 0) -> bool:
        """Return whether a state should be written at the end of an episode.

        One is also due whenever the next episode may be the last, so that a longer run need not repeat earlier ones.
        """
        return step - self.saved_step >= self.interval or 0 <= self._nb_steps - step <= longest_episode

    def check(self, agent: Any) -> None:
        """Raise `UserError` if something that the agent holds cannot be saved."""
        _encoded({"agent": agent.get_state()}, _roots(agent))

    def begin(
        self, agent: Any, episode: int, callbacks: list[Any], env: Any, nb_steps: int, progress: Any, saved: Any
    ) -> None:
        """Write a new run's first state; in a run that continues, put back the rest of what was `saved`.

        To be called once the callbacks' `on_train_begin` has run, in which many of them start afresh.

        Raises:
            OSError: It cannot be written.
            UserError: Something that a resume needs cannot be kept.
        """
        self._nb_steps, self._progress = nb_steps, progress
        optimizers = [network.optimizer for network in agent.trainables.values()]
        parts = [agent, env, getattr(env, "unwrapped", None), agent.memory, *optimizers, *_roots(agent)]
        self._kept = KeptAttributes(self._without_observers(callbacks), [*parts, *self.observers])
        if saved is None:
            self._known = None
        else:
            with self._fitting():
                self._kept.put_back(saved["kept"])
                if saved["progress"] is not None and progress is not None:
                    progress.set_state(saved["progress"])
                _set_generators(saved["generators"], env)
        if saved is None or saved.get("finished"):  # a finished run that goes on is not finished any more
            self.save(agent, episode, callbacks, env)

    def save(self, agent: Any, episode: int, callbacks: list[Any], env: Any) -> None:
        """Write the state before episode number `episode`, or a `Note` if the agent's numbers have gone wrong.

        Raises:
            UserError: It is too large, or something that a resume needs cannot be kept.
            OSError: It cannot be written; the one before stays.
        """
        if why := getattr(agent, "why_unsound", str)():  # agents of one's own need not say
            if self.saved_step < 0:
                raise DivergenceError(f"the training cannot begin: {why}")
            self._note(why, agent)
            return
        resumable = self._resumable(callbacks)
        tree = {
            "metadata": agent.metadata,
            "episode": episode,
            "nb_steps": self._nb_steps,
            "ended": agent.stop_training and not agent.did_abort,  # a callback has ended the training
            "agent": agent.get_state(),
            "generators": _generators(env),
            "callbacks": resumable,
            "set_aside": self._set_aside,
            "history": self.history,
            "kept": self._kept.get(),
            "progress": None if self._progress is None else self._progress.get_state(),
            "memory": None,
        }
        if self.save_memory and agent.memory is not None:
            tree["memory"] = agent.memory.get_state()
            if hasattr(agent.memory, "put_steps"):  # others are small enough to be written whole
                self._steps = self._steps or MemoryFile(self.path, agent.memory.limit + 2 * self.interval)
                tree["memory"]["file"] = self._steps.add(agent.memory)
        known = None if self._known is None else self._known | self._kept.places
        content, places = _encoded(tree, [*_roots(agent), *resumable], known)
        if self._known is None:
            self._known = places
        content = seal(_KIND, content)
        if len(content) > MOST:
            raise UserError(f"the training state has {len(content):,} bytes; a resume reads at most {MOST:,}")
        write_whole(self.path, content)
        self.saved_step = agent.step
        if self._steps is not None:
            self._steps.forget_others()

    def _note(self, why: str, agent: Any) -> None:
        if self._has_noted:
            return
        self._has_noted = True
        known = agent.metadata if isinstance(agent.metadata, dict) else {}
        rates = [name for name in known if name in LEARNING_RATES] or ["learning_rate"]
        lower = " or ".join(map(called, rates))
        warnings.warn(
            f"{why}, so states and best weights are not kept; {to_give(resume=True)} continues from step "
            f"{self.saved_step}, with a lower {lower} if you give one",
            Note,
            stacklevel=4,
        )

    def finish(self) -> None:
        """Note in the state on disk that its run has reached its end, where a new state may not have been due.

        Raises:
            UserError: The state is missing or damaged.
            OSError: It cannot be written; the one before stays.
        """
        self._add(finished=True)

    def keep_played(self, key: str, reward: float) -> dict[str, float]:
        """Note in the state on disk what weights reached in a playoff; return `played`. Raises as `finish`."""
        self.played = {**self.played, key: reward}
        self._add(played=self.played)
        return self.played

    def _add(self, **facts: Any) -> None:
        write_whole(self.path, seal(_KIND, _encoded({**self.load(), **facts})[0]))

    def leave_out_memory(self, most: int) -> int:
        """Take the replay memory out of the state on disk if it has more than `most` bytes; return how many it had.

        Raises:
            OSError: A file cannot be written or removed.
        """
        files = MemoryFile(self.path, 0).files()
        size = sum(file.lstat().st_size for file in files)
        if size <= most:
            return 0
        try:
            tree = self.load()
        except UserError:  # nothing can be resumed from it, so nothing in it is needed less than the rest
            return 0
        write_whole(self.path, seal(_KIND, _encoded({**tree, "memory": None})[0]))
        for file in files:
            with naming(file):
                file.unlink()
        return size

    def load(self) -> dict[str, Any]:
        """Return the state on disk.

        Raises:
            UserError: It does not exist, or is damaged.
            OutdatedError: It was written by an earlier version of this project.
        """
        resume = to_give(resume=True)
        damaged = UserError(f"the training state {self.path} is damaged; start again without {resume}")
        try:
            content = read_file(self.path)
        except FileNotFoundError:
            raise UserError(f"there is nothing to resume: {self.path} does not exist; train without {resume}") from None
        except OSError as error:
            raise UserError(f"the training state {self.path} cannot be read: {error.strerror}") from None
        if content.startswith(_KIND_BEFORE):
            raise OutdatedError(
                f"the training state {self.path} was written by an earlier version, which kept it less exactly; "
                f"continue it with that version, or start again with {to_give(overwrite=True)}"
            )
        try:
            tree: dict[str, Any] = decode(unseal(_KIND, content))
            _require_tree(tree)
        except Exception:  # anyone can seal a file, so it may still hold anything
            raise damaged from None
        return tree

    def restore(self, tree: dict[str, Any], agent: Any, callbacks: list[Any], nb_steps: int) -> int:
        """Put the state into agent and callbacks; return the number of the episode to begin. `begin` does the rest.

        Raises:
            UserError: The replay memory's steps are missing or damaged, or the objects differ from those of the state.
        """
        with self._fitting():
            self._restore(tree, agent, callbacks)
            goes_on = tree["nb_steps"] != nb_steps or (tree["ended"] and tree.get("finished"))
            if tree["ended"] and not goes_on:
                agent.stop_training = True  # only the last files were missing
            if not goes_on:  # otherwise the environment's wrappers may have gathered more by then
                self.played = dict(tree.get("played", {}))
        self.saved_step = agent.step
        self.when_restored()
        return int(tree["episode"])

    @contextlib.contextmanager
    def _fitting(self) -> Iterator[None]:
        """Refuse a tree of the right form that does not hold what this training needs."""
        try:
            yield
        except (UserError, OSError):
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {one_line(error)}"
            raise UserError(f"the training state {self.path} does not fit this training ({reason:.120})") from error

    def _restore(self, tree: dict[str, Any], agent: Any, callbacks: list[Any]) -> None:
        self._known = _encoded({"agent": agent.parts()}, _roots(agent))[1]
        if tree["memory"] is not None:
            memory, steps = dict(tree["memory"]), None
            if hasattr(agent.memory, "put_steps"):
                steps = memory.pop("file")
            agent.memory.set_state(memory)
            if steps is not None:
                self._steps = MemoryFile(self.path, agent.memory.limit + 2 * self.interval)
                self._steps.read(steps, agent.memory, agent.observation_sizes)
        parts, exploring = agent.parts(), agent.exploring if self.explores_anew else ()
        fresh = {name: parts[name] for name in exploring if parts.get(name) is not None}
        state = {**tree["agent"], **dict.fromkeys(fresh, AS_IT_IS)}
        agent.set_state(state, warm_up=agent.memory is not None and tree["memory"] is None)
        for name, part in fresh.items():
            count_on(part, tree["agent"][name])
        for name, network in agent.trainables.items():
            rate = self.learning_rates.get(name, self.learning_rates.get(""))
            if rate is not None and hasattr(network.optimizer.learning_rate, "assign"):  # a schedule is the agent's own
                network.optimizer.learning_rate = rate
        resumable = self._resumable(callbacks)
        waiting = [*tree["callbacks"], *tree.get("set_aside", [])]
        names = [held.name for held in tree["callbacks"]]
        if not self.has_other_callbacks and [type(callback).__qualname__ for callback in resumable] != names:
            raise UserError(f"the run to resume had the callbacks {', '.join(names):.200}")
        for callback in resumable:
            places = [i for i, held in enumerate(waiting) if held.name == type(callback).__qualname__]
            if places:
                restore(callback, waiting.pop(places[0]))
        self._set_aside = waiting

    def _without_observers(self, callbacks: list[Any]) -> list[Any]:
        return [callback for callback in callbacks if not any(callback is observer for observer in self.observers)]

    def _resumable(self, callbacks: list[Any]) -> list[Any]:
        return [callback for callback in self._without_observers(callbacks) if has_state(callback)]


def _require_tree(tree: dict[str, Any]) -> None:
    """Raise some exception unless a tree holds what is read from it before any of it is put anywhere."""
    is_tree = isinstance(tree["metadata"], dict | None) and isinstance(tree["memory"], dict | None)
    callbacks = [*tree["callbacks"], *tree.get("set_aside", [])]
    if not is_tree or not all(isinstance(held, Held) and isinstance(held.name, str) for held in callbacks):
        raise DamagedError
    if type(tree.get("finished", True)) is not bool:
        raise DamagedError
    if not all(type(key) is str and type(reward) is float for key, reward in tree.get("played", {}).items()):
        raise DamagedError
    numbers = [tree["agent"]["step"], *((tree["memory"] or {}).get(name, 0) for name in ("limit", "window_length"))]
    for number in [*numbers, tree["episode"]]:
        require_within(number, 2**53)
    require_within(tree["generators"]["numpy"][2], 624)
    require_sound(tree)


def _roots(agent: Any) -> list[Any]:
    return list(agent.parts().values())


def _encoded(tree: Any, roots: Any = (), known: set[str] | None = None) -> tuple[bytes, set[str]]:
    """Return a tree as bytes, and the places of objects in it."""
    encoder = ObjectEncoder(tuple(roots), known)
    try:
        content = encoder.encode(tree)
    except CannotBeKept:
        raise UserError("the agent's metadata cannot be saved for a resume; give it what JSON can hold") from None
    for number, most in ((nb_values(content), MOST_VALUES), (encoder.nb_narrow, MOST_NARROW)):
        if number > most:
            raise UserError(
                f"the training state has {number:,} values apart from arrays, and a resume reads at most {most:,}; "
                "what a processor, a policy or a callback gathers in lists or dictionaries can be in NumPy arrays"
            )
    return content, encoder.places


def _space_generator(env: Any) -> Any:
    """Return the generator behind `env.action_space.sample()`, None if it does not have one."""
    generator = getattr(getattr(env, "action_space", None), "np_random", None)
    return generator if isinstance(generator, np.random.Generator) else None


def _generators(env: Any) -> dict[str, Any]:
    space = _space_generator(env)
    return {
        "numpy": np.random.get_state(),
        "random": random.getstate(),
        "actions": None if space is None else space.bit_generator.state,
    }


def _set_generators(states: dict[str, Any], env: Any) -> None:
    np.random.set_state(states["numpy"])
    random.setstate(states["random"])
    space = _space_generator(env)
    if space is not None and states["actions"] is not None:
        space.bit_generator.state = states["actions"]
