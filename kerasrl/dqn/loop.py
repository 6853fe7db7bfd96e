"""How an agent and an environment take turns, and what callbacks are told: `fit` and `test`."""

import contextlib
import random
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import rl.callbacks

from kerasrl.callbacks import TrainProgress
from kerasrl.callbacks.callback_list import Callbacks, checked
from kerasrl.dqn.answers import Answers
from kerasrl.dqn.memory import SequentialMemory
from kerasrl.environments import Environment
from kerasrl.errors import Note, UserError
from kerasrl.storage import TrainingState

_LONG_EPISODE = 10_000  # steps, after which one without a time limit is told of


class Loop:
    """One run of `Agent.fit` or `Agent.test`; arguments as there."""

    def __init__(
        self,
        agent: Any,
        env: Any,
        action_repetition: int,
        callbacks: Sequence[Any] | None,
        visualize: bool,
        nb_max_start_steps: int,
        start_step_policy: Callable[[Any], Any] | None,
        nb_max_episode_steps: int | None,
        seed: int | None,
    ) -> None:
        if not agent.compiled:
            raise RuntimeError("the agent has not been compiled yet: call compile() first")
        if action_repetition < 1:
            raise UserError(f"action_repetition must be at least 1, is {action_repetition}")
        self.agent, self.env = agent, env
        self.user_callbacks = checked(callbacks)
        self.environment = Environment(env, visualize)
        self.processor = agent.processor
        self._answers = Answers(env, agent.processor)
        self.action_repetition = action_repetition
        self.nb_max_start_steps, self.start_step_policy = nb_max_start_steps, start_step_policy
        self.nb_max_episode_steps = nb_max_episode_steps
        self.seed = seed
        self.observation: Any = None  # the current one, None between episodes
        self._has_noted = False  # that an episode is long
        self._deadline: float | None = None  # when a test ends that a signal interrupted
        if seed is not None:
            self.environment.seed_actions(seed)

    def fit(
        self, nb_steps: int, verbose: int, log_interval: int, state: TrainingState | None, resume: bool
    ) -> keras.callbacks.History:
        """Train; see `Agent.fit`."""
        agent = self.agent
        if state is not None and not isinstance(agent.memory, SequentialMemory):
            raise UserError("an exact resume needs a kerasrl.SequentialMemory")
        if resume and state is None:
            raise UserError("resume needs the state to resume from: fit(state=TrainingState(...), resume=True)")
        if nb_steps < 1:
            raise UserError(f"nb_steps must be at least 1, is {nb_steps}")
        if self.seed is not None:
            self._seed(self.seed)
        loggers: list[Any] = []
        if verbose == 1:
            loggers = [TrainProgress(interval=log_interval)]
        elif verbose > 1:
            loggers = [rl.callbacks.TrainEpisodeLogger()]
        callbacks, history = self._callbacks(loggers, {"nb_steps": nb_steps})
        agent.training = True
        agent.step = episode = longest = 0
        saved = state.load() if state is not None and resume else None
        if state is not None and saved is not None:
            episode = state.restore(saved, agent, self.user_callbacks, nb_steps)
        try:
            agent.begin_training()
            callbacks.on_train_begin()
            for logger in loggers:
                if isinstance(logger, rl.callbacks.TrainEpisodeLogger):
                    logger.step = agent.step
            if state is not None:
                progress = next((logger for logger in loggers if isinstance(logger, TrainProgress)), None)
                state.begin(agent, episode, self.user_callbacks, self.env, nb_steps, progress, saved)
            while agent.step < nb_steps and not agent.stop_training:
                self._begin_episode(callbacks, episode)
                done, logs = self._train_for_an_episode(callbacks, episode, nb_steps, state)
                if not done:
                    break
                self._leave_episode()
                agent.synchronise()
                callbacks.on_episode_end(episode, logs)
                self.observation = None
                episode += 1
                longest = max(longest, logs["nb_episode_steps"])
                if state is not None and (agent.stop_training or state.is_due(agent.step, longest)):
                    state.save(agent, episode, self.user_callbacks, self.env)
        except KeyboardInterrupt:
            agent.did_abort = True
            self._end_training(callbacks)
        except BaseException:
            with contextlib.suppress(Exception):  # the first failure is the one to report
                self._end_training(callbacks, failed=True)
            raise
        else:
            self._end_training(callbacks)
        return history

    def _seed(self, seed: int) -> None:
        """Seed the generators from which exploration (NumPy's, in rl.policy) and replay draw."""
        np.random.seed(seed)
        random.seed(seed)
        if isinstance(self.agent.memory, SequentialMemory):
            self.agent.memory.seed(seed)

    def _train_for_an_episode(
        self, callbacks: Any, episode: int, nb_steps: int, state: TrainingState | None
    ) -> tuple[bool, dict[str, Any]]:
        """Return whether the episode was finished, and its logs."""
        agent = self.agent
        episode_step, episode_reward, done = 0, 0.0, False
        deadline = None
        while not done and agent.step < nb_steps:
            if agent.stop_training:
                # After a signal, or once the window is closed, take up to a second to finish the episode: only then
                # can a state be saved.
                deadline = deadline or time.monotonic() + (1.0 if agent.did_abort and state is not None else 0.0)
                if time.monotonic() >= deadline:
                    break
            action, reward, terminated, truncated, info = self._step(callbacks, episode_step)
            if self.environment.closed:
                agent.stop_training = agent.did_abort = True
            done = terminated or truncated
            agent.expect(self.observation, truncated=truncated and not terminated)
            metrics = agent.backward(reward, terminal=done)
            episode_reward += reward
            step_logs = {
                "action": action,
                "observation": self.observation,
                "reward": reward,
                "metrics": metrics,
                "episode": episode,
                "info": info,
            }
            callbacks.on_step_end(episode_step, step_logs)
            episode_step += 1
            agent.step += 1
            self.environment.tell(episode + 1, episode_reward)
            if episode_step == _LONG_EPISODE:
                self._note_long_episode(
                    "states are saved and weights evaluated only when one ends: set a limit with "
                    "--nb-max-episode-steps (from Python: nb_max_episode_steps)"
                )
        logs = {"episode_reward": episode_reward, "nb_episode_steps": episode_step, "nb_steps": agent.step}
        return done, logs

    def _note_long_episode(self, cure: str) -> None:
        """Issue a `Note`, the first time, if nothing limits an episode."""
        limit = self.nb_max_episode_steps or getattr(getattr(self.env, "spec", None), "max_episode_steps", None)
        if not limit and not self._has_noted:
            self._has_noted = True
            what = f"an episode has lasted {_LONG_EPISODE:,} steps, and the environment has no time limit"
            warnings.warn(f"{what}; {cure}", Note, stacklevel=5)

    def _end_training(self, callbacks: Any, failed: bool = False) -> None:
        self.environment.stop_rendering()
        self.agent.synchronise()
        try:  # while the training still counts as running, so that a test in a callback leaves it as it was
            callbacks.on_train_end(logs={"did_abort": self.agent.did_abort or failed})
        finally:
            self.agent.end_training(self.observation)

    def test(self, nb_episodes: int, verbose: int) -> keras.callbacks.History:
        """Play; see `Agent.test`."""
        agent = self.agent
        if nb_episodes < 1:
            raise UserError(f"nb_episodes must be at least 1, is {nb_episodes}")
        loggers = [rl.callbacks.TestLogger()] if verbose >= 1 else []
        callbacks, history = self._callbacks(loggers, {"nb_episodes": nb_episodes})
        with agent.acting(self.seed):
            try:
                callbacks.on_train_begin()
                for episode in range(nb_episodes):
                    if not self._play_an_episode(callbacks, episode):
                        break
            finally:
                self.environment.stop_rendering()
                callbacks.on_train_end()
        return history

    def _play_an_episode(self, callbacks: Any, episode: int) -> bool:
        """Return whether the episode came to its end; otherwise somebody closed the window."""
        agent = self.agent
        self._begin_episode(callbacks, episode)
        episode_step, episode_reward, done = 0, 0.0, False
        while not done:
            action, reward, terminated, truncated, info = self._step(callbacks, episode_step)
            done = terminated or truncated
            agent.backward(reward, terminal=done)
            episode_reward += reward
            step_logs = {
                "action": action,
                "observation": self.observation,
                "reward": reward,
                "episode": episode,
                "info": info,
            }
            callbacks.on_step_end(episode_step, step_logs)
            episode_step += 1
            agent.step += 1
            self.environment.tell(episode + 1, episode_reward)
            if episode_step == _LONG_EPISODE:
                self._note_long_episode("Ctrl-C ends it (from Python: nb_max_episode_steps sets a limit)")
            if self.environment.closed and not done:
                return False
            if agent.is_fitting and agent.did_abort:  # a signal during a training that this test interrupts
                self._deadline = self._deadline or time.monotonic() + 1.0
                if time.monotonic() >= self._deadline:
                    raise KeyboardInterrupt
        self._leave_episode()
        callbacks.on_episode_end(episode, {"episode_reward": episode_reward, "nb_steps": episode_step})
        return True

    def _callbacks(self, loggers: list[Any], params: dict[str, Any]) -> tuple[Any, keras.callbacks.History]:
        history = keras.callbacks.History()
        callbacks = Callbacks([*self.user_callbacks, *loggers, history])
        callbacks.set_model(self.agent)
        callbacks._set_env(self.env)
        callbacks.set_params(params)
        return callbacks, history

    def _begin_episode(self, callbacks: Any, episode: int) -> None:
        """Reset the environment and take the random start steps."""
        callbacks.on_episode_begin(episode)
        self.agent.reset_states()
        self.observation = self._reset(episode)
        self.environment.tell(episode + 1, 0.0)
        nb_start_steps = np.random.randint(self.nb_max_start_steps) if self.nb_max_start_steps else 0
        for _ in range(nb_start_steps):
            policy = self.start_step_policy
            action = self.env.action_space.sample() if policy is None else policy(self.observation)
            if self.processor is not None:
                action = self.processor.process_action(action)
            callbacks.on_action_begin(action)
            self.observation, _, terminated, truncated, _ = self._step_environment(action)
            callbacks.on_action_end(action)
            if terminated or truncated:
                warnings.warn(
                    f"the episode ended within its {nb_start_steps} start steps; lower nb_max_start_steps",
                    stacklevel=4,
                )
                self.observation = self._reset(None)
                break

    def _reset(self, episode: int | None) -> Any:
        seed = None
        if self.seed is not None and episode is not None:
            seed = int(np.random.SeedSequence([self.seed, episode]).generate_state(1)[0] >> 1)
        observation = self.environment.reset(seed)
        if self.processor is not None:
            return self.processor.process_observation(observation)
        self._answers.check_observation(observation, "reset")
        return observation

    def _step_environment(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.environment.step(action)
        answers = self._answers
        if self.processor is not None:
            done = terminated or truncated
            observation, reward, processed, info = self.processor.process_step(observation, reward, done, info)
            if processed != done:  # a processor may end episodes, or let them continue
                terminated, truncated = processed, False
        elif (
            type(observation) is not np.ndarray
            or observation.shape != answers.shape
            or observation.dtype is not answers.dtype
        ):
            answers.check_observation(observation, "step")
        if type(reward) is not float:
            reward = answers.number(reward)
        return observation, reward, terminated, truncated, info

    def _step(self, callbacks: Any, episode_step: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Let the agent act once; return action, reward, terminated, truncated and the sums of the info's numbers."""
        callbacks.on_step_begin(episode_step)
        try:
            action = self.agent.forward(self.observation)
        except Exception:
            self._answers.explain()
            raise
        if self.processor is not None:
            action = self.processor.process_action(action)
        total_reward = 0.0
        totals: dict[str, Any] = {}
        for _ in range(self.action_repetition):
            callbacks.on_action_begin(action)
            self.observation, reward, terminated, truncated, info = self._step_environment(action)
            callbacks.on_action_end(action)
            total_reward += reward
            for key, value in info.items():
                if np.isscalar(value) and np.isreal(value) and not isinstance(value, str | bytes):
                    totals[key] = totals.get(key, 0) + value
            if terminated or truncated:
                break
        if self.nb_max_episode_steps and episode_step >= self.nb_max_episode_steps - 1:
            truncated = truncated or not terminated
        return action, total_reward, terminated, truncated, totals

    def _leave_episode(self) -> None:
        """Let the agent see the episode's last observation, as Keras-RL does; its action is not taken."""
        self.agent.forward(self.observation)
        self.agent.expect(None)
        self.agent.backward(0.0, terminal=False)
