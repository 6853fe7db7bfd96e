"""Keras-RL's `rl.core.Agent`, of which `fit` and `test` are replaced."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import rl.core

from kerasrl.dqn.loop import Loop
from kerasrl.storage import TrainingState


class Agent(rl.core.Agent):
    """An agent that trains and plays; Keras-RL's counts steps in 16 bits, which overflow at 32,767 on NumPy 2."""

    def fit(
        self,
        env: Any,
        nb_steps: int,
        action_repetition: int = 1,
        callbacks: Sequence[Any] | None = None,
        verbose: int = 1,
        visualize: bool = False,
        nb_max_start_steps: int = 0,
        start_step_policy: Callable[[Any], Any] | None = None,
        log_interval: int = 10000,
        nb_max_episode_steps: int | None = None,
        seed: int | None = None,
        state: TrainingState | None = None,
        resume: bool = False,
    ) -> keras.callbacks.History:
        """Train for `nb_steps` steps in `env`, as Keras-RL's `fit`; Ctrl-C ends it early.

        Args:
            env: Environment with discrete actions: gym, Gymnasium, or `rl.core.Env`.
            nb_steps: Number of steps.
            action_repetition: Times each action is repeated within a step.
            callbacks: Keras-RL callbacks.
            verbose: 0 for nothing, 1 for a live line, 2 for a line for each episode.
            visualize: Show the environment in a window.
            nb_max_start_steps: Upper limit of the number of steps at each episode's start that are not learned from.
            start_step_policy: Policy for those steps, observation -> action; random actions by default.
            log_interval: Steps between lines at verbose=1 when the output is not a terminal.
            nb_max_episode_steps: Time limit of an episode in steps.
            seed: Seed of all random numbers of this run: exploration, replay, random starts, and the
                environment, whose k-th episode gets a seed made from (seed, k). The model's first weights were drawn
                before: keras.utils.set_random_seed(n), before it is built, seeds those.
            state: Where to save what an exact resume needs.
            resume: Continue from `state`. With the same arguments and a seed the result is that of one run, provided
                that a reset with a seed determines everything random in the environment.

        Returns:
            The History of the episodes.

        Raises:
            RuntimeError: The agent has not been compiled.
            UserError: An argument cannot be used, or there is nothing to resume.
            DivergenceError: The loss is no longer a finite number.
        """
        loop = Loop(
            self, env, action_repetition, callbacks, visualize, nb_max_start_steps, start_step_policy,
            nb_max_episode_steps, seed,
        )  # fmt: skip
        return loop.fit(nb_steps, verbose, log_interval, state, resume)

    def test(
        self,
        env: Any,
        nb_episodes: int = 1,
        action_repetition: int = 1,
        callbacks: Sequence[Any] | None = None,
        visualize: bool = True,
        nb_max_episode_steps: int | None = None,
        nb_max_start_steps: int = 0,
        start_step_policy: Callable[[Any], Any] | None = None,
        verbose: int = 1,
        seed: int | None = None,
    ) -> keras.callbacks.History:
        """Play `nb_episodes` episodes with the test policy, without learning; arguments as for `fit`.

        Called from a callback during `fit`, it leaves the training as it was.

        Returns:
            The History of the episodes.
        """
        loop = Loop(
            self, env, action_repetition, callbacks, visualize, nb_max_start_steps, start_step_policy,
            nb_max_episode_steps, seed,
        )  # fmt: skip
        return loop.test(nb_episodes, verbose)
