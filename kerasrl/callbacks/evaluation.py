"""Greedy episodes during training: the best weights are kept, and training can end when they are good enough."""

import math
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import rl.callbacks

from kerasrl.environments import Copies, time_limit
from kerasrl.environments.adapter import Playing
from kerasrl.environments.rewards import changes_rewards, own_rewards
from kerasrl.errors import DivergenceError, Note
from kerasrl.phrases import called
from kerasrl.signals import is_ctrl_c

# Without a time limit, a greedy policy may never end an episode that random exploration would have ended.
_LONGEST_EPISODE = 10_000
_NB_EPISODES_TO_SOLVE = 100  # for which gym's reward_threshold is meant


@dataclass(frozen=True)
class Candidate:
    """Weights that did well in an evaluation."""

    reward: float
    """Mean reward there; -inf if nothing can be compared with it."""
    step: int
    """Steps that they were trained for."""
    weights: list[np.ndarray]
    """What the agent's `get_weights` returned."""
    held: bytes | None = None
    """What a processor held with them, None if that is nothing."""
    playoff: float | None = None
    """Mean reward in a playoff, None if there was none."""

    def write(self, agent: Any, filepath: str | os.PathLike[str]) -> None:
        """Write the weights to a file of an agent that has such weights."""
        held = [] if self.held is None else [self.held]  # agents of one's own need not take it
        agent.write_weights(filepath, self.weights, *held)


class Evaluation(rl.callbacks.Callback):
    """Play greedy episodes in a separate environment at regular intervals, and keep the weights that did best.

    An evaluation takes place at the end of an episode and does not affect the training. All of them use the same seed,
    so that they can be compared. Of equally good weights the later are kept: among weights that reach the highest
    possible reward, later ones more often do as well in other episodes. Callbacks after this one in the list find the
    mean reward as `evaluation_reward` in the logs at the end of that episode (NaN at the end of others) and at the end
    of the training. It is that of the environment's own rewards, whatever a processor makes of them.

    Args:
        env: Environment to play in; not the one that the agent is trained in, but `Copies` of that may be given.
        filepath: File for the best weights.
        interval: Steps between evaluations.
        nb_episodes: Episodes of an evaluation.
        seed: Seed of its episodes; with None they are different each time.
        solved_at: Mean reward over 100 greedy episodes that ends the training; with None it never ends early.
        action_repetition: As for `fit`.
        nb_max_episode_steps: As for `fit`. If the environment does not have a limit either: 10,000 steps.
        film: Function that takes the number of steps and returns a callback that films an episode.
        film_interval: Steps between films.
        after_film: Called after each film.
        action_masks: As for `fit`.
        nb_kept: How many of the best weights to remember, only the first of which are in the file.

    Attributes:
        eval_env: The environment played in last, or to be played in first.
        kept: The best weights, the first of them in the file.
        last: Mean reward of the weights evaluated last and the steps they were trained for; None before that.
        solved: The same, over 100 episodes, for the weights that ended the training; None if it was not ended so.
    """

    def __init__(
        self,
        env: Any,
        filepath: str | os.PathLike[str],
        interval: int,
        nb_episodes: int,
        seed: int | None = None,
        solved_at: float | None = None,
        action_repetition: int = 1,
        nb_max_episode_steps: int | None = None,
        film: Callable[[int], Any] | None = None,
        film_interval: int = 0,
        after_film: Callable[[], None] | None = None,
        action_masks: bool = True,
        nb_kept: int = 1,
    ) -> None:
        super().__init__()
        self.copies = env if isinstance(env, Copies) else None
        self.eval_env = env = env if self.copies is None else self.copies.latest
        self.filepath, self.interval, self.nb_episodes = filepath, interval, nb_episodes
        self.seed, self.solved_at, self.film, self.film_interval = seed, solved_at, film, film_interval
        self.after_film, self.nb_kept = after_film, nb_kept
        self._limit = nb_max_episode_steps or time_limit(env)
        self._has_noted = False  # that an episode had to be ended
        self._playing = Playing(
            action_repetition,
            nb_max_episode_steps=nb_max_episode_steps or (None if self._limit else _LONGEST_EPISODE),
            action_masks=action_masks,
        )
        self._forget()

    def _forget(self) -> None:
        self.kept: list[Candidate] = []
        self.last: tuple[float, int] | None = None
        self.solved: tuple[float, int] | None = None
        self._next, self._next_film = self.interval, self.film_interval

    @property
    def best(self) -> tuple[float, int] | None:
        """Mean reward of the best weights and the steps they were trained for; None before the first evaluation."""
        best = self.kept[0] if self.kept else None
        return None if best is None or best.reward == -math.inf else (best.reward, best.step)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start afresh, unless the training continues an earlier one."""
        if self.model.step == 0:
            self._forget()
        elif self.last is None and self._next == self.interval:  # it has not been there from the beginning
            self._next = (self.model.step // self.interval + 1) * self.interval
        elif self.solved is not None and self.solved_at is not None and self.solved[0] < self.solved_at:
            self.solved, self.model.stop_training = None, self.model.did_abort  # the threshold is higher now

    def on_episode_begin(self, episode: int, logs: dict[str, Any] | None = None) -> None:
        """Forget that the training was solved: a finished run goes on."""
        self.solved = None

    def on_episode_end(self, episode: int, logs: dict[str, Any]) -> None:
        """Evaluate when an evaluation is due."""
        step = logs["nb_steps"]
        logs["evaluation_reward"] = np.nan
        if step >= self._next:
            self._next = (step // self.interval + 1) * self.interval
            logs["evaluation_reward"] = self.evaluate(step)

    def evaluate(self, step: int) -> float:
        """Play, keep the weights, trained for `step` steps, if they are the best so far, and return the mean reward."""
        what = f"the evaluation at step {step}"
        reward = self.mean_reward(self.place(), self.nb_episodes, self.seed, what)
        self.last = (reward, step)
        before = self.kept
        self._keep(reward, step)
        if self.solved_at is not None and reward >= self.solved_at:
            self._stop_if_solved(self.solved_at, step, before)
        if self.film is not None and step >= self._next_film:
            self._next_film = (step // self.film_interval + 1) * self.film_interval
            self._play(self.eval_env, 1, self.seed, [self.film(step)])
            if self.after_film is not None:
                self.after_film()
        return reward

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Evaluate the final weights, unless that has already been done or the training was stopped."""
        logs = {} if logs is None else logs
        is_known = self.solved is not None or (self.last is not None and self.last[1] == self.model.step)
        has_others = getattr(self.model, "has_final_weights", False)  # agents of one's own need not say
        if not logs.get("did_abort") and (has_others or not is_known):
            try:
                logs["evaluation_reward"], logs["nb_steps"] = self.evaluate(self.model.step), self.model.step
            except KeyboardInterrupt:
                if not (self.model.did_abort or is_ctrl_c()):
                    raise  # otherwise the training is over in any case

    def _stop_if_solved(self, threshold: float, step: int, others: list[Candidate]) -> None:
        seed = None if self.seed is None else self.seed ^ 1  # not the episodes that the weights were chosen by
        reward = self.mean_reward(self.eval_env, _NB_EPISODES_TO_SOLVE, seed, "an evaluation of 100 episodes")
        if reward >= threshold:
            self.solved = self.last = (reward, step)
            self.kept = others
            self._keep(reward, step, is_best=True)
            self.model.stop_training = True

    def _keep(self, reward: float, step: int, is_best: bool = False) -> None:
        """Keep the weights if they are among the best, or in any case the best."""
        places = [place for place, kept in enumerate(self.kept) if is_best or reward >= kept.reward]
        place = min(places, default=len(self.kept))
        if place >= self.nb_kept or getattr(self.model, "why_unsound", str)():  # agents of one's own need not say
            return
        found = Candidate(reward, step, self.model.get_weights(), getattr(self.model, "held_state", lambda: None)())
        kept = [*self.kept[:place], found, *self.kept[place:]]
        if place == 0:
            self.model.save_weights(self.filepath, overwrite=True)
        self.kept = [one for one in kept if one.reward > -math.inf][: self.nb_kept]

    def decide(self, played: list[Candidate]) -> None:
        """Keep the winner of a playoff; of equals, the later."""
        scores = [-math.inf if one.playoff is None else one.playoff for one in played]
        order = sorted(range(len(played)), key=lambda i: (scores[i], played[i].step), reverse=True)
        self.kept = [played[i] for i in order]
        self.kept[0].write(self.model, self.filepath)

    def place(self) -> Any:
        """Return the environment to play in, as it is now."""
        if self.copies is not None:
            self.eval_env = self.copies.now()
        return self.eval_env

    def mean_reward(
        self,
        env: Any,
        nb_episodes: int,
        seed: int | None,
        what: str,
        agent: Any = None,
        callbacks: list[Any] | None = None,
    ) -> float:
        """Return the mean reward of greedy episodes, by default of the agent that is trained.

        Raises:
            DivergenceError: It is not finite; the message begins with `what`.
        """
        history = self._play(env, nb_episodes, seed, callbacks, agent)
        if self._limit is None and max(history.history["nb_steps"]) >= _LONGEST_EPISODE and not self._has_noted:
            self._has_noted = True
            warnings.warn(
                f"the environment names no time limit, so an evaluation's episode was ended after {_LONGEST_EPISODE:,} "
                f"steps; set one with {called('nb_max_episode_steps')}",
                Note,
                stacklevel=3,
            )
        reward = float(np.mean(own_rewards(history.history)))
        if not math.isfinite(reward):
            raise DivergenceError(f"{what} has mean reward {reward}: the environment's rewards are not finite")
        return reward

    def _play(
        self, env: Any, nb_episodes: int, seed: int | None, callbacks: list[Any] | None = None, agent: Any = None
    ) -> Any:
        playing = vars(replace(self._playing, seed=seed))
        return (agent or self.model).test(env, nb_episodes, callbacks=callbacks, verbose=0, **playing)

    def get_state(self) -> dict[str, Any]:
        """Return what a run needs to continue this one."""
        scores = {"best": self.best, "last": self.last, "solved": self.solved}
        nexts = {"next": self._next, "next_film": self._next_film, "interval": self.interval}
        kept = [{"score": (one.reward, one.step), "weights": one.weights, **_held(one)} for one in self.kept]
        best = kept[0] if kept else {"weights": []}
        of_best = {f"best_{name}": best[name] for name in ("weights", "held") if name in best}
        others = {"others": kept[1:]} if kept[1:] else {}
        return {**scores, **nexts, **of_best, **others, "rewards": "own"}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` returned; best weights found after that are forgotten."""
        for name in ("last", "solved"):
            setattr(self, name, _score(state[name]))
        self._next, self._next_film = int(state["next"]), int(state["next_film"])
        if state.get("interval", self.interval) != self.interval:
            self._next = (self.model.step // self.interval + 1) * self.interval
        best = _score(state["best"])
        if "rewards" not in state and changes_rewards(getattr(self.model, "processor", None)):
            best = None  # an earlier version's, by a processor's rewards: nothing can be compared with it
        others = [(_score(other["score"]), other["weights"], other.get("held")) for other in state.get("others", [])]
        found = [(best, state["best_weights"], state.get("best_held")), *others]
        self.kept = [
            Candidate(*(score or (-math.inf, 0)), arrays, None if held is None else held.tobytes())
            for score, arrays, held in found[: self.nb_kept]
            if arrays
        ]
        if self.kept:
            self.kept[0].write(self.model, self.filepath)


def _held(candidate: Candidate) -> dict[str, np.ndarray]:
    return {} if candidate.held is None else {"held": np.frombuffer(candidate.held, np.uint8)}


def _score(saved: Any) -> tuple[float, int] | None:
    return None if saved is None else (float(saved[0]), int(saved[1]))
