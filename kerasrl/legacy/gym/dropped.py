"""Small classes and functions that gym dropped.

Imported once gym has been imported.
"""

# The methods are gym's.
# ruff: noqa: D102

import importlib
import os
from typing import Any

import numpy as np

from kerasrl.legacy.report import report

gym: Any = importlib.import_module("gym")
categorical_sample: Any = importlib.import_module("gym.envs.toy_text.utils").categorical_sample

__all__ = ["DiscreteEnv", "SkipWrapper", "categorical_sample", "np_random", "seed", "undo_logger_setup", "upload"]


class DiscreteEnv(gym.Env):
    """An environment defined by a table, as in gym.envs.toy_text.discrete until gym 0.24.

    Args:
        nS: Number of states.
        nA: Number of actions.
        P: state -> action -> list of (probability, next state, reward, done).
        isd: Distribution of the first state [nS].
    """

    def __init__(self, nS: int, nA: int, P: Any, isd: Any) -> None:
        self.P, self.isd, self.nS, self.nA = P, isd, nS, nA
        self.lastaction: Any = None
        self.action_space, self.observation_space = gym.spaces.Discrete(nA), gym.spaces.Discrete(nS)
        self.s = categorical_sample(isd, self.np_random)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.lastaction = None
        self.s = categorical_sample(self.isd, self.np_random)
        return int(self.s), {}

    def step(self, a: Any) -> Any:
        transitions = self.P[self.s][a]
        chosen = categorical_sample([transition[0] for transition in transitions], self.np_random)
        probability, self.s, reward, done = transitions[chosen]
        self.lastaction = a
        return int(self.s), reward, done, False, {"prob": probability}


def SkipWrapper(repeat_count: int) -> Any:
    """Return a wrapper that repeats each action `repeat_count` times and adds up the rewards."""

    class Skip(gym.Wrapper):
        def step(self, action: Any) -> Any:
            total = 0.0
            for _ in range(repeat_count + 1):
                observation, reward, *ends, info = self.env.step(action)
                total += reward
                if any(ends):
                    break
            return observation, total, *ends, info

    return Skip


np_random = np.random.RandomState()  # of gym.spaces.prng; spaces have their own generators since gym 0.12


def seed(seed: int | None = None) -> None:
    """Seed gym.spaces.prng."""
    np_random.seed(seed)


def upload(*args: Any, **kwargs: Any) -> None:
    """Say that nothing is uploaded: gym's scoreboard was closed in 2017."""
    report.differs("gym.upload() uploads nothing: gym's scoreboard was closed in 2017")


def undo_logger_setup() -> None:
    """Do nothing: gym has not set up Python's logging since 0.10."""


api_key = os.environ.get("OPENAI_GYM_API_KEY")  # of gym.scoreboard
