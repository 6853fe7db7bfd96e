"""How an agent and an environment take turns, and what callbacks hear of it: `fit` and `test`."""

from kerasrl import compat as compat  # before the imports that it makes work

# isort: split

import contextlib
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import rl.callbacks

from kerasrl.environment import Environment
from kerasrl.errors import UserError
from kerasrl.progress import TrainProgress
from kerasrl.state import TrainingState


class Callbacks(rl.callbacks.CallbackList):
    """Keras-RL's list of callbacks, which asks once, not at every step, who wants to hear of steps and actions.

    Asking costs 8 microseconds a step.
    """

    def __init__(self, callbacks: Sequence[Any]) -> None:
        super().__init__(callbacks)
        self._listeners = {
            event: [listener for callback in callbacks if (listener := _listener(callback, event, *fallbacks))]
            for event, *fallbacks in (
                ("on_step_begin", "on_train_batch_begin", "on_batch_begin"),
                ("on_step_end", "on_train_batch_end", "on_batch_end"),
                ("on_action_begin",),
                ("on_action_end",),
            )
        }

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Tell every callback that the run is over, even if one fails; then raise the first failure."""
        failures = []
        for callback in self.callbacks:
            try:
                callback.on_train_end({} if logs is None else logs)
            except Exception as failure:
                failures.append(failure)
        if failures:
            raise failures[0]

    def on_step_begin(self, step: int, logs: dict[str, Any] | None = None) -> None:
        """Tell that a step begins."""
        for listener in self._listeners["on_step_begin"]:
            listener(step, logs={} if logs is None else logs)

    def on_step_end(self, step: int, logs: dict[str, Any] | None = None) -> None:
        """Tell what happened in a step."""
        for listener in self._listeners["on_step_end"]:
            listener(step, logs={} if logs is None else logs)

    def on_action_begin(self, action: Any, logs: dict[str, Any] | None = None) -> None:
        """Tell that an action will be taken."""
        for listener in self._listeners["on_action_begin"]:
            listener(action, logs={} if logs is None else logs)

    def on_action_end(self, action: Any, logs: dict[str, Any] | None = None) -> None:
        """Tell that an action was taken."""
        for listener in self._listeners["on_action_end"]:
            listener(action, logs={} if logs is None else logs)


def _listener(callback: Any, event: str, *fallbacks: str) -> Any:
    """Return the callback's method for an event, or None if it inherits one that does nothing.

    The fallbacks are Keras's names, for callbacks that are Keras's and not Keras-RL's.
    """
    if hasattr(callback, event):
        return _overridden(callback, event, rl.callbacks.Callback)
    methods = (_overridden(callback, name, keras.callbacks.Callback) for name in fallbacks)
    return next((method for method in methods if method is not None), None)


def _overridden(callback: Any, name: str, base: type) -> Any:
    method = getattr(callback, name)
    return None if getattr(method, "__func__", None) is getattr(base, name, object()) else method


# Callbacks of Keras that need what only a Keras model has, or would never act -> what to do instead.
_INSTEAD = {
    "BackupAndRestore": "use fit(state=kerasrl.state.TrainingState(...)) and resume=True",
    "OrbaxCheckpoint": "use kerasrl.callbacks.ModelIntervalCheckpoint",
    "ProgbarLogger": "use fit(verbose=1)",
    "SwapEMAWeights": "leave it away: the target network is this agent's moving average",
    "TensorBoard": "use kerasrl.tensorboard.TensorBoardLogger",
    "TerminateOnNaN": "leave it away: fit ends with a DivergenceError when the loss is no number",
}


def _checked(callbacks: Sequence[Any] | None) -> list[Any]:
    """Return the callbacks of a user's as a list.

    Raises:
        UserError: One of them cannot work.
    """
    if callbacks is not None and not isinstance(callbacks, Sequence):
        raise UserError(f"callbacks must be a list, is a {type(callbacks).__name__}")
    for callback in callbacks or []:
        if isinstance(callback, type):
            raise UserError(f"callbacks has the class {callback.__name__}; make an object of it: {callback.__name__}()")
        if not isinstance(callback, keras.callbacks.Callback):
            raise UserError(f"{callback!r} is no callback; make it a method of a subclass of rl.callbacks.Callback")
        names = [base.__name__ for base in type(callback).__mro__ if base.__module__.startswith("keras.")]
        instead = next((_INSTEAD[name] for name in names if name in _INSTEAD), None)
        if "ModelCheckpoint" in names and not callback.save_weights_only:
            instead = "give it save_weights_only=True, or use kerasrl.callbacks.ModelIntervalCheckpoint"
        if "EarlyStopping" in names and callback.restore_best_weights:
            instead = "leave restore_best_weights away; keras.callbacks.ModelCheckpoint can save the best"
        if instead:
            raise UserError(f"Keras's {names[0]} does not work with an agent: {instead}")
    return list(callbacks or [])


class Loop:
    """One run of `DQNAgent.fit` or `DQNAgent.test`; arguments as there."""

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
        self.environment = Environment(env, visualize)
        self.processor = agent.processor
        self.action_repetition = action_repetition
        self.user_callbacks = _checked(callbacks)
        self.nb_max_start_steps, self.start_step_policy = nb_max_start_steps, start_step_policy
        self.nb_max_episode_steps = nb_max_episode_steps
        self.seed = seed
        self.observation: Any = None  # the current one, None between episodes
        if seed is not None:
            self.environment.seed_actions(seed)

    def fit(
        self, nb_steps: int, verbose: int, log_interval: int, state: TrainingState | None, resume: bool
    ) -> keras.callbacks.History:
        """Train; see `DQNAgent.fit`."""
        agent = self.agent
        loggers: list[Any] = []
        if verbose == 1:
            loggers = [TrainProgress(interval=log_interval)]
        elif verbose > 1:
            loggers = [rl.callbacks.TrainEpisodeLogger()]
        callbacks, history = self._callbacks(loggers, {"nb_steps": nb_steps})
        agent.training = True
        agent.step = episode = 0
        if state is not None and resume:
            episode = state.restore(state.load(), agent, self.user_callbacks, self.env)
        agent.begin_loop(fitting=True)
        try:
            agent._on_train_begin()
            callbacks.on_train_begin()
            for logger in loggers:
                if isinstance(logger, rl.callbacks.TrainEpisodeLogger):
                    logger.step = agent.step
            if state is not None and not resume:
                state.save(agent, episode, self.user_callbacks, self.env)
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
                if state is not None and (agent.stop_training or state.is_due(agent.step)):
                    state.save(agent, episode, self.user_callbacks, self.env)
        except KeyboardInterrupt:
            agent.did_abort = True
            self._end_training(callbacks)
        except BaseException:
            with contextlib.suppress(Exception):  # the first failure is the one to tell
                self._end_training(callbacks)
            raise
        else:
            self._end_training(callbacks)
        return history

    def _train_for_an_episode(
        self, callbacks: Any, episode: int, nb_steps: int, state: TrainingState | None
    ) -> tuple[bool, dict[str, Any]]:
        """Return whether the episode came to its end, and its logs."""
        agent = self.agent
        episode_step, episode_reward, done = 0, 0.0, False
        deadline = None
        while not done and agent.step < nb_steps:
            if agent.stop_training:
                # After a signal, or without the window, go on for a second if that completes the episode: only then
                # a state can be kept.
                deadline = deadline or time.monotonic() + (1.0 if agent.did_abort and state is not None else 0.0)
                if time.monotonic() >= deadline:
                    break
            action, reward, terminated, truncated, info = self._step(callbacks, episode_step)
            if self.environment.closed:
                agent.stop_training = agent.did_abort = True
            done = terminated or truncated
            agent.recent_truncated = truncated and not terminated
            agent._upcoming = self.observation
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
        logs = {"episode_reward": episode_reward, "nb_episode_steps": episode_step, "nb_steps": agent.step}
        return done, logs

    def _end_training(self, callbacks: Any) -> None:
        self.agent.end_training(self.observation)
        self.environment.stop_rendering()
        callbacks.on_train_end(logs={"did_abort": self.agent.did_abort})
        self.agent._on_train_end()

    def test(self, nb_episodes: int, verbose: int) -> keras.callbacks.History:
        """Play; see `DQNAgent.test`."""
        agent = self.agent
        loggers = [rl.callbacks.TestLogger()] if verbose >= 1 else []
        callbacks, history = self._callbacks(loggers, {"nb_episodes": nb_episodes})
        interrupted = agent.begin_test(self.seed)
        try:
            agent._on_test_begin()
            callbacks.on_train_begin()
            for episode in range(nb_episodes):
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
                    if self.environment.closed and not done:
                        return history
                self._leave_episode()
                callbacks.on_episode_end(episode, {"episode_reward": episode_reward, "nb_steps": episode_step})
        finally:
            agent.end_test(interrupted)
            self.environment.stop_rendering()
            callbacks.on_train_end()
            agent._on_test_end()
        return history

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
        return observation if self.processor is None else self.processor.process_observation(observation)

    def _step_environment(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.environment.step(action)
        if self.processor is not None:
            done = terminated or truncated
            observation, reward, processed, info = self.processor.process_step(observation, reward, done, info)
            if processed != done:  # a processor may end episodes, or let them go on
                terminated, truncated = processed, False
        return observation, reward, terminated, truncated, info

    def _step(self, callbacks: Any, episode_step: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Let the agent act once; return action, reward, terminated, truncated and the sums of the info's numbers."""
        callbacks.on_step_begin(episode_step)
        action = self.agent.forward(self.observation)
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
        self.agent.recent_truncated = False
        self.agent._upcoming = None
        self.agent.backward(0.0, terminal=False)
