"""A playoff: which of the weights that did best in evaluations are the best in fresh episodes.

All evaluations have the same few episodes, in which the best of many weights owe something to luck.
"""

from kerasrl.callbacks import Deadline, Evaluation, PlayoffProgress

# isort: split

import dataclasses
import hashlib
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import rl.callbacks

from kerasrl.callbacks.evaluation import Candidate
from kerasrl.phrases import reward_text
from kerasrl.storage import TrainingState, weights

NB_EPISODES = 100
# Changes the seed of evaluations into one with which neither training nor evaluations nor tune's scores begin.
_FRESH = 2**31


@dataclasses.dataclass(frozen=True)
class Playoff:
    """A playoff of the weights that evaluations have kept.

    Args:
        evaluation: What has kept them.
        stand_in: What builds an agent to play in an environment, in a block.
        state: Keeps what has been played for a resume.
        deadline: When the run's time is up, None if there is no limit.
        tells: Whether to print the figures.
    """

    evaluation: Evaluation
    stand_in: Callable[[Any], AbstractContextManager[Any]]
    state: TrainingState
    deadline: Deadline | None
    tells: bool

    def hold(self) -> list[Candidate]:
        """Let the weights play, keep the winner, and return all, the best evaluated first; none if there is only one.

        There are none either if a signal or the deadline ends it, as either ends a training: the trained agent's
        `did_abort` says so.

        Raises:
            DivergenceError: A mean reward is not finite.
            OSError: A file cannot be written.
        """
        candidates, played, known = self.evaluation.kept, [], self.state.played
        if len(candidates) < 2:
            return []
        for number, candidate in enumerate(candidates, 1):
            which, key = f"playoff {number} of {len(candidates)}", _key(candidate)
            if key not in known:
                try:
                    reward = self._mean_reward(candidate, which)
                except _Ended:
                    return []
                known = self.state.keep_played(key, reward)
            played.append(dataclasses.replace(candidate, playoff=known[key]))
            if self.tells:
                print(f"{which}: {told_of(played[-1])}", flush=True)
        self.evaluation.decide(played)
        return played

    def _mean_reward(self, candidate: Candidate, which: str) -> float:
        """Return what weights reach as test.py would play them: in a file, read by an agent built for them."""
        evaluation = self.evaluation
        seed = None if evaluation.seed is None else evaluation.seed ^ _FRESH
        callbacks: list[Any] = [_End(evaluation.model, self.deadline)]
        if self.tells:
            callbacks.append(PlayoffProgress(which, NB_EPISODES))
        env = evaluation.place()
        with tempfile.TemporaryDirectory() as folder, self.stand_in(env) as agent:
            candidate.write(evaluation.model, file := Path(folder, "weights.h5f"))
            agent.load_weights(file)
            return evaluation.mean_reward(env, NB_EPISODES, seed, which, agent, callbacks)


def told_of(played: Candidate) -> str:
    """Return what weights have reached in a playoff, and before."""
    fresh = f"mean reward {reward_text(played.playoff or 0.0)} in {NB_EPISODES} fresh episodes"
    return f"{fresh}, {reward_text(played.reward)} when evaluated at step {played.step:,}"


def _key(candidate: Candidate) -> str:
    return hashlib.sha256(weights.digest(candidate.weights).encode() + (candidate.held or b"")).hexdigest()


class _Ended(Exception):
    """A signal, or the deadline, has ended the playoff."""


class _End(rl.callbacks.Callback):
    """Ends a playoff within a second of a signal to the trained agent, or with the episode in which time is up."""

    def __init__(self, trained: Any, deadline: Deadline | None) -> None:
        super().__init__()
        self._trained, self._deadline = trained, deadline
        self._last: float | None = None  # when the episode that a signal came into must be left

    def on_episode_begin(self, episode: int, logs: dict[str, Any] | None = None) -> None:
        if self._deadline is not None and time.monotonic() >= self._deadline.at:
            self._deadline.has_stopped = self._trained.did_abort = True
        if self._trained.did_abort:
            raise _Ended

    def on_step_end(self, step: int, logs: dict[str, Any] | None = None) -> None:
        if self._trained.did_abort:
            self._last = self._last or time.monotonic() + 1.0
            if time.monotonic() >= self._last:
                raise _Ended
