"""How an agent and an environment take turns, and what callbacks are told about it: `fit` and `test`."""

import contextlib
import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from kerasrl import seeds
from kerasrl.agents.masking import Masking
from kerasrl.agents.own_state import check_own_state
from kerasrl.callbacks import TestLogger, TrainEpisodeLogger, TrainProgress
from kerasrl.callbacks.callback_list import Callbacks, History, checked
from kerasrl.environments import EnvironmentAdapter, time_limit
from kerasrl.environments.adapter import Playing, copied
from kerasrl.environments.checks import EnvironmentChecks
from kerasrl.environments.numbered import numbered_for
from kerasrl.environments.rewards import changes_rewards, or_else
from kerasrl.environments.spaces import within
from kerasrl.errors import Note, UserError
from kerasrl.phrases import called, to_type
from kerasrl.plain import number
from kerasrl.signals import is_ctrl_c
from kerasrl.storage import TrainingState
from kerasrl.storage.callback_state import has_state

_NUMBERS = frozenset((float, int))  # that need not be made plain
_LONG_EPISODE = 10_000  # steps, after which an episode without a time limit is worth a note


class Turn:
    """How far an episode has come."""

    def __init__(self) -> None:
        self.nb_steps, self.reward, self.done = 0, 0.0, False
        self.own: dict[str, float] = {}  # `environment_reward`, where a processor makes others of the environment's


class Loop:
    """One run of `Agent.fit` or `Agent.test`; arguments as there."""

    def __init__(self, agent: Any, env: Any, callbacks: Sequence[Any] | None, playing: Playing) -> None:
        if not agent.compiled:
            raise RuntimeError("the agent has not been compiled yet: call compile() first")
        if playing.action_repetition < 1:
            raise UserError(f"action_repetition must be at least 1, not {playing.action_repetition}")
        self.agent, self.env, self.playing = agent, env, playing
        self.user_callbacks = checked(callbacks)
        self.environment = EnvironmentAdapter(env, playing.visualize)
        self._take: Callable[[Any], Any] = self.environment.step
        bounds, self._decode = agent.bounds, numbered_for(agent, env)
        if bounds is not None:
            self._take = lambda action: self.environment.step(within(action, bounds))
        if (decode := self._decode) is not None:
            self._take = lambda action: self.environment.step(decode(action))
        self._choose: Callable[[Any], Any] | None = None  # an action, instead of the agent
        self._masking, self._tells = Masking(agent, env, playing.action_masks, self._decode), False
        self._checks = EnvironmentChecks(env, agent.processor)
        self._counts_own = changes_rewards(agent.processor)
        self._own_reward = 0.0  # the environment's own in this step, if they are counted
        self.observation: Any = None  # the current one, None between episodes
        self._has_noted = False  # that an episode is long
        self._deadline: float | None = None  # of a test after a signal
        self._nb_steps = math.inf  # of a training
        self._first_seed: int | None = None  # of an environment that is met without one after one was set

    def fit(
        self, nb_steps: int, verbose: int, log_interval: int, state: TrainingState | None, resume: bool
    ) -> keras.callbacks.History:
        """Train; see `Agent.fit`."""
        agent = self.agent
        if state is not None and agent.memory is not None and not has_state(agent.memory):
            kind = "EpisodeParameterMemory" if hasattr(agent.memory, "finalize_episode") else "SequentialMemory"
            raise UserError(f"an exact resume needs a kerasrl.{kind}")
        if state is not None:
            check_own_state(agent)
        if resume and state is None:
            raise UserError("resume needs the state to resume from: fit(state=TrainingState(...), resume=True)")
        self._nb_steps = nb_steps = _whole(nb_steps, "nb_steps")
        if agent.nb_random_steps:
            self._choose = self._choose_at_random_first
        if self.playing.seed is not None:
            agent.start_generators(self.playing.seed)
            agent.is_seeded = True
            seeds.mark(agent.memory)
        elif hasattr(agent.memory, "seed") and (seed := seeds.for_new(agent.memory, agent.is_seeded)) is not None:
            agent.memory.seed(seed)
        self._seed_environment()
        self._tells = verbose >= 1
        progress = TrainProgress(interval=log_interval) if verbose == 1 else None
        lines = TrainEpisodeLogger() if verbose > 1 else None
        callbacks, history = self._callbacks([progress, lines], {"nb_steps": nb_steps})
        agent.training, agent.decode = True, self._decode
        agent.step = episode = longest = 0
        saved = state.load() if state is not None and resume else None
        if state is not None and saved is not None:
            episode = state.restore(saved, agent, self.user_callbacks, nb_steps)
        try:
            agent.begin_training()
            callbacks.on_train_begin()
            if state is not None:
                state.begin(agent, episode, self.user_callbacks, self.env, nb_steps, progress, saved)
            while agent.step < nb_steps and not agent.stop_training:
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
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and (agent.did_abort or is_ctrl_c()):
                agent.did_abort = True
            else:
                with contextlib.suppress(Exception):  # the first failure is the one to report
                    self._end_training(callbacks, failed=True)
                raise
        self._end_training(callbacks)
        if state is not None:
            check_own_state(agent)  # what came to be in the meantime
        agent.history = history  # as in Keras; a test in between has left its own there
        return history

    def _train_for_an_episode(
        self, callbacks: Any, episode: int, nb_steps: int, state: TrainingState | None
    ) -> tuple[bool, dict[str, Any]]:
        """Return whether the episode was finished, and its logs."""
        agent = self.agent
        deadline = None
        for turn in self._turns(callbacks, episode):
            if turn.nb_steps == _LONG_EPISODE:
                self._note_long_episode(
                    "states are saved and weights evaluated only when an episode ends: set a limit with "
                    f"{called('nb_max_episode_steps')}"
                )
            if agent.step >= nb_steps:
                break
            if agent.stop_training and not turn.done:
                # After a signal, or once the window is closed, the episode gets up to a second to finish, since only
                # then can a state be saved.
                deadline = deadline or time.monotonic() + (1.0 if agent.did_abort and state is not None else 0.0)
                if time.monotonic() >= deadline:
                    break
        logs = {"episode_reward": turn.reward, "nb_episode_steps": turn.nb_steps, "nb_steps": agent.step}
        return turn.done, {**logs, **turn.own}

    def _turns(self, callbacks: Any, episode: int) -> Iterator[Turn]:
        """Let agent and environment take turns for an episode; yield how far it is before each turn and at the end."""
        agent, turn = self.agent, Turn()
        self._begin_episode(callbacks, episode)
        normalizer = agent.normalizer if agent.training else None
        if normalizer is not None:
            normalizer.add(self.observation)
        while not turn.done:
            yield turn
            action, reward, terminated, truncated, info = self._step(callbacks, turn.nb_steps)
            if normalizer is not None:  # before anything is computed for the observation
                normalizer.add(self.observation)
            if self.environment.closed and agent.training:
                agent.stop_training = agent.did_abort = True
            turn.done = terminated or truncated
            is_last = agent.step + 1 >= self._nb_steps and not turn.done
            agent.expect(None if is_last else self.observation, truncated=truncated and not terminated)
            metrics = agent.backward(reward, terminal=turn.done)
            turn.reward += reward
            logs = {"action": action, "observation": self.observation, "reward": reward}
            if agent.training:
                logs["metrics"] = metrics
            logs["episode"], logs["info"] = episode, info
            if self._counts_own:
                logs["environment_reward"] = own = self._own_reward
                turn.own["environment_reward"] = turn.own.get("environment_reward", 0.0) + own
            callbacks.on_step_end(turn.nb_steps, logs)
            turn.nb_steps += 1
            agent.step += 1
            self.environment.tell(episode + 1, turn.own.get("environment_reward", turn.reward))
        yield turn

    def _note_long_episode(self, cure: str) -> None:
        """Issue a `Note`, once, if nothing limits an episode."""
        limit = self.playing.nb_max_episode_steps or time_limit(self.env)
        if not limit and not self._has_noted:
            self._has_noted = True
            what = f"an episode has lasted {_LONG_EPISODE:,} steps, and the environment names no time limit"
            warnings.warn(f"{what}; {cure}", Note, stacklevel=5)

    def _end_training(self, callbacks: Any, failed: bool = False) -> None:
        self.environment.stop_rendering()
        self.agent.take_final_weights()
        self.agent.synchronise()
        if self.observation is not None:
            self._masking.show(at_end=True)
        try:  # while the training still counts as running, so that a test in a callback leaves it as it was
            callbacks.on_train_end(logs={"did_abort": self.agent.did_abort or failed})
        finally:
            self.agent.end_training(self.observation)

    def test(self, nb_episodes: int, verbose: int) -> keras.callbacks.History:
        """Play; see `Agent.test`."""
        agent = self.agent
        nb_episodes = _whole(nb_episodes, "nb_episodes")
        lines = TestLogger() if verbose >= 1 else None
        callbacks, history = self._callbacks([lines], {"nb_episodes": nb_episodes})
        with agent.acting(self.playing.seed):
            agent.decode = self._decode
            self._seed_environment()
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
        """Return whether the episode came to its end; if not, somebody closed the window."""
        agent = self.agent
        for turn in self._turns(callbacks, episode):
            if turn.nb_steps == _LONG_EPISODE:
                limit = to_type("", "; test(nb_max_episode_steps=...) sets a limit")
                self._note_long_episode(f"Ctrl-C ends it{limit}")
            if self.environment.closed and not turn.done:
                return False
            if agent.is_fitting and agent.did_abort:  # a signal to the training that this test interrupts
                self._deadline = self._deadline or time.monotonic() + 1.0
                if time.monotonic() >= self._deadline:
                    raise KeyboardInterrupt
        self._leave_episode()
        callbacks.on_episode_end(episode, {"episode_reward": turn.reward, "nb_steps": turn.nb_steps, **turn.own})
        return True

    def _callbacks(self, loggers: list[Any], params: dict[str, Any]) -> tuple[Any, keras.callbacks.History]:
        history = History()
        callbacks = Callbacks([*self.user_callbacks, *filter(None, loggers), history])
        callbacks.set_model(self.agent)
        callbacks._set_env(self.env)
        callbacks.set_params(params)
        return callbacks, history

    def _begin_episode(self, callbacks: Any, episode: int) -> None:
        callbacks.on_episode_begin(episode)
        self.agent.reset_states()
        self.observation = self._reset(episode)
        self.environment.tell(episode + 1, 0.0)
        most = self.playing.nb_max_start_steps
        nb_start_steps = np.random.randint(most) if most else 0
        for _ in range(nb_start_steps):
            policy = self.playing.start_step_policy
            self._masking.show()
            action = self.agent.random_action(self.env) if policy is None else policy(self.observation)
            self._masking.checked(action, "random_action" if policy is None else "start_step_policy")
            if self.agent.processor is not None:
                action = self.agent.processor.process_action(action)
            callbacks.on_action_begin(action)
            self.observation, _, terminated, truncated, _ = self._step_environment(action)
            callbacks.on_action_end(action)
            if terminated or truncated:
                what = f"the episode ended within its {nb_start_steps} start steps; lower nb_max_start_steps"
                warnings.warn(what, stacklevel=6)
                self.observation = self._reset(None)
                break

    def _seed_environment(self) -> None:
        unwrapped, seed = getattr(self.env, "unwrapped", self.env), self.playing.seed
        if seed is None:
            seed = self._first_seed = seeds.for_new(unwrapped, self.agent.is_seeded)
        else:
            seeds.mark(unwrapped)
        if seed is not None:
            self.environment.seed_actions(seed)

    def _reset(self, episode: int | None) -> Any:
        seed, self._first_seed = self._first_seed, None
        if self.playing.seed is not None and episode is not None:
            seed = int(np.random.SeedSequence([self.playing.seed, episode]).generate_state(1)[0] >> 1)
        observation = self.environment.reset(seed)
        if self._masking.begins(self.environment.first_info, self._tells):
            self._take, self._choose = self._masking.taking(self._take), self._masking.choosing(self._choose)
        if self.agent.processor is not None:
            return copied(self.agent.processor.process_observation(observation))
        self._checks.check_observation(observation, "reset")
        return observation

    def _step_environment(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self._take(action)
        checks, processor = self._checks, self.agent.processor
        own = number(reward) if self._counts_own else None  # first: a processor may change an array in its place
        if processor is not None:
            done = terminated or truncated
            observation, reward, processed, info = processor.process_step(observation, reward, done, info)
            observation = copied(observation)
            if processed != done:  # a processor may end episodes, or let them continue
                terminated, truncated = processed, False
        elif (
            type(observation) is not np.ndarray
            or observation.shape != checks.shape
            or observation.dtype is not checks.dtype
        ):
            checks.check_observation(observation, "step")
        if type(reward) is not float:
            reward = checks.number(reward)
        if self._counts_own:
            self._own_reward += or_else(own, reward)
        self.agent.recent_info = info
        return observation, reward, terminated, truncated, info

    def _step(self, callbacks: Any, episode_step: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Let the agent act once; return action, reward, terminated, truncated and the totals of numbers in info."""
        callbacks.on_step_begin(episode_step)
        try:
            action = (self._choose or self.agent.forward)(self.observation)
        except Exception:
            self._checks.explain()
            raise
        chosen, processor = action, self.agent.processor
        if processor is not None:
            action = _kept(processor.process_action(action))
        total_reward = self._own_reward = 0.0
        totals: dict[str, Any] = {}
        nb_repetitions = self.playing.action_repetition
        for _ in range(nb_repetitions):
            callbacks.on_action_begin(action)
            self.observation, reward, terminated, truncated, info = self._step_environment(action)
            callbacks.on_action_end(action)
            total_reward += reward
            if info:
                totals = _added(totals, info)
                self._masking.refuse_late(info)
            if terminated or truncated or (nb_repetitions > 1 and self._masking.forbids(chosen)):
                break
        most = self.playing.nb_max_episode_steps
        if most and episode_step >= most - 1:
            truncated = truncated or not terminated
        return action, total_reward, terminated, truncated, totals

    def _choose_at_random_first(self, observation: Any) -> Any:
        """Let the agent see the observation, but as long as its actions are to be random, choose another one for it."""
        agent = self.agent
        action = agent.forward(observation)
        if agent.step < agent.nb_random_steps:
            action = agent.random_action(self.env)
            agent.recent_action = _kept(action)  # whatever becomes of it outside
        return action

    def _leave_episode(self) -> None:
        """Show the agent the episode's last observation, as Keras-RL does; the action it chooses is not taken."""
        self._masking.show(at_end=True)
        self.agent.forward(self.observation)
        self.agent.expect(None)
        self.agent.backward(0.0, terminal=False)


def _whole(number: Any, name: str) -> int:
    """Return a number of at least 1, which may be given as a float such as 5e4; raise `UserError` if it is none."""
    if number < 1 or not float(number).is_integer():
        raise UserError(f"{name} must be {'at least 1' if number < 1 else 'a whole number'}, not {number}")
    return int(number)


def _added(totals: dict[str, Any], info: dict[str, Any]) -> dict[str, Any]:
    """Return the totals of a step with the numbers in an environment's info."""
    if not totals and _NUMBERS.issuperset(map(type, info.values())):  # 500 in 36 microseconds instead of 65
        return {key: 0 + value for key, value in info.items()}
    for key, value in info.items():
        if (amount := number(value)) is not None:
            totals[key] = totals.get(key, 0) + amount
    return totals


def _kept(action: Any) -> Any:
    """Return an action that stays as it is when its maker changes the container; anything else is handed on itself."""
    return action.copy() if isinstance(action, np.ndarray | list | dict) else action
