"""Keras-RL's DQNAgent over the compiled learner."""

import contextlib
import math
import os
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import rl.memory
from rl.agents.dqn import DQNAgent as KerasRLDQNAgent
from rl.agents.dqn import mean_q

from kerasrl.dqn.batches import Batches, why_not_finite
from kerasrl.dqn.core import Agent
from kerasrl.dqn.dueling import dueling_model
from kerasrl.dqn.inputs import ModelInputs, usable
from kerasrl.dqn.interlude import Interlude
from kerasrl.dqn.learner import Learner, fresh, named_metric
from kerasrl.dqn.memory import SequentialMemory
from kerasrl.dqn.networks import Networks
from kerasrl.dqn.prioritized import PrioritizedMemory
from kerasrl.dqn.upcoming import Upcoming
from kerasrl.errors import DivergenceError, UserError
from kerasrl.storage import weights
from kerasrl.storage.objects import restore


class DQNAgent(Agent, KerasRLDQNAgent):
    """Deep Q-learning (Mnih et al. 2015) with Keras-RL's arguments, defaults and methods.

    Replaced, because they cannot work on Keras 3, are wrong or slow: `compile` and the update (one compiled call for
    each step, in `kerasrl.dqn.learner`), `fit` and `test` (`kerasrl.dqn.core`), weights files
    (`kerasrl.storage.weights`). One thing differs on purpose: an episode that a time limit ends (`truncated`) keeps
    the value of its last state; Keras-RL treats it as terminal.

    `model` is exact whenever it is read from the agent, at the end of each episode and after `fit`; a reference
    taken earlier may lag behind by up to one episode during `fit`.

    Args:
        model: Keras model from states [B, window_length, *observation] to Q-values [B, nb_actions].
        policy: Policy during `fit`; EpsGreedyQPolicy() by default.
        test_policy: Policy during `test`; GreedyQPolicy() by default.
        enable_double_dqn: Let the online network choose the next action and the target network estimate its value.
        enable_dueling_network: Replace the model's last layer by a dueling one (see `kerasrl.dqn.dueling`).
        dueling_type: 'avg', 'max' or 'naive'.
        nb_actions: Number of actions.
        memory: kerasrl.SequentialMemory or PrioritizedMemory, or any Keras-RL memory, which is slower.
        gamma: Discount factor.
        batch_size: Transitions in an update.
        nb_steps_warmup: Steps before the first update.
        train_interval: Steps between training steps.
        memory_interval: Steps between stored steps.
        target_model_update: Below 1 the mixing rate of a soft update after each update, from 1 on the number
            of steps between hard updates.
        delta_range: Deprecated, use delta_clip.
        delta_clip: Size of the temporal-difference error above which the Huber loss is linear.
        custom_model_objects: Classes by name, needed to copy a model that uses them.
        processor: rl.core.Processor between environment and agent.
        gradient_steps: Updates in each training step, in one call.
        n_step: Steps of a return (Sutton 1988): the rewards of so many steps and the value of the state after them,
            cut at the episode's end; a time limit keeps the value of its last state.
        metadata: What weights files say about the agent besides the weights; anything JSON can hold.

    Raises:
        UserError: The arguments do not fit each other.
    """

    def __init__(
        self,
        model: Any,
        policy: Any = None,
        test_policy: Any = None,
        enable_double_dqn: bool = False,
        enable_dueling_network: bool = False,
        dueling_type: str = "avg",
        *args: Any,
        gradient_steps: int = 1,
        n_step: int = 1,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        model = usable(model)
        if enable_dueling_network:
            model = dueling_model(model, dueling_type)
        self._networks: Networks | None = None  # of a compiled agent
        self._upcoming = Upcoming()
        self.recent_truncated = False  # whether a time limit ended the episode after the recent action
        self.is_fitting = False  # whether `fit` is running
        self._first_step = 0  # from which the warm-up counts
        self.stop_training = False  # set it, as in Keras, to let `fit` end
        self.did_abort = False  # whether Ctrl-C or a closed window ended the last `fit`
        self.gradient_steps, self.n_step = gradient_steps, n_step
        self.metadata = metadata
        super().__init__(model, policy, test_policy, enable_double_dqn, False, dueling_type, *args, **kwargs)
        self.enable_dueling_network = enable_dueling_network
        self._check()

    def _check(self) -> None:
        for name in ("nb_actions", "batch_size", "train_interval", "memory_interval", "gradient_steps", "n_step"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1, is {getattr(self, name)}")
        if not self.delta_clip > 0:
            raise UserError(f"delta_clip must be positive, is {self.delta_clip}")
        if not isinstance(self.memory, rl.memory.Memory) or isinstance(self.memory, rl.memory.EpisodeParameterMemory):
            raise UserError(f"DQNAgent learns from a kerasrl.SequentialMemory, not from {self.memory!r}")
        self._inputs = ModelInputs(self._model, self.processor, self.memory.window_length)
        if self.n_step > 1 and not isinstance(self.memory, SequentialMemory):
            raise UserError(f"n_step above 1 needs a kerasrl.SequentialMemory, not {self.memory!r}")
        if self.n_step > 1 and self.memory_interval > 1:
            raise UserError(f"n_step above 1 needs every step: memory_interval must be 1, is {self.memory_interval}")
        self._nb_needed = self.memory.window_length + self.n_step + 1  # stored steps
        if self.n_step > 1 and self.memory.limit <= self._nb_needed:
            raise UserError(
                f"the memory's limit must be at least window_length + n_step + 2 = {self._nb_needed + 1}, so that "
                f"there is always a step to draw; it is {self.memory.limit}"
            )

    # Models

    @property
    def model(self) -> Any:
        """The online network. Reading it brings it up to date; changes to it take effect."""
        if self._networks is None:
            return self._model
        self._upcoming.q_values = None
        return self._networks.online()

    @model.setter
    def model(self, model: Any) -> None:
        if self._networks is not None:
            raise UserError("the model of a compiled agent cannot be replaced; make a new agent")
        self._model = model

    @property
    def target_model(self) -> Any:
        """The target network, a copy that is made when it is read; changes to it take effect."""
        self._upcoming.q_values = None
        return self._compiled().target()

    def _compiled(self) -> Networks:
        if self._networks is None:
            raise RuntimeError("the agent has not been compiled yet: call compile() first")
        return self._networks

    def compile(self, optimizer: Any, metrics: Sequence[Any] = (), jit_compile: bool | str = "auto") -> None:
        """Set the optimizer and the metrics, which are logged after the loss and before mean_q.

        Args:
            optimizer: Keras optimizer or its name.
            metrics: Keras metrics, their names, or functions of (target Q-values, Q-values).
            jit_compile: As in Keras: True compiles with XLA, False does not, 'auto' does where it is possible.

        Raises:
            UserError: The optimizer or a metric cannot be used.
        """
        try:
            optimizer, named = fresh(optimizer), [named_metric(metric) for metric in [*metrics, mean_q]]
        except (ValueError, TypeError) as error:
            raise UserError(f"cannot compile: {' '.join(str(error).split())}") from error
        # A copy after every update is a soft update at rate 1, which the compiled call includes.
        always = self.target_model_update == 1 and self.gradient_steps == 1
        self._moves_target_in_call = self.target_model_update < 1 or always
        learner = Learner(
            self._model,
            optimizer,
            [metric for _, metric in named],
            delta_clip=self.delta_clip,
            double=self.enable_double_dqn,
            tau=float(self.target_model_update) if self._moves_target_in_call else None,
            batch_size=self.batch_size,
            gradient_steps=self.gradient_steps,
            weighted=isinstance(self.memory, PrioritizedMemory),
            jit_compile=jit_compile,
        )
        self._batches = Batches(self._inputs, self.batch_size, self.gradient_steps, self.n_step, self.gamma)
        self.optimizer = optimizer
        self._learner_metrics_names = ["loss", *(name for name, _ in named)]
        self._networks = Networks(self._model, learner, self.custom_model_objects)
        self.compiled = True

    @property
    def metrics_names(self) -> list[str]:
        """Names of the values that `backward` returns: loss, metrics, mean_q, then the policy's and the processor's."""
        names: list[str] = self._learner_metrics_names + self.policy.metrics_names
        return names + self.processor.metrics_names if self.processor is not None else names

    def reset_states(self) -> None:
        """Forget the recent action and observation."""
        self.recent_action = None
        self.recent_observation = None
        self._upcoming.forget()

    def update_target_model_hard(self) -> None:
        """Make the target network equal to the online network."""
        self._compiled().learner().copy_target()

    # Weights

    def save_weights(self, filepath: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the online network's weights and the agent's `metadata` to one HDF5 file.

        Raises:
            FileExistsError: The file exists and `overwrite` is False.
            OSError: The file cannot be written; what was there stays.
        """
        if not overwrite and os.path.exists(filepath):
            raise FileExistsError(f"{os.fspath(filepath)} exists; pass overwrite=True to replace it")
        if self._networks is not None:
            self._networks.synchronise()
        weights.write(filepath, self._model, self.metadata)

    def load_weights(self, filepath: str | os.PathLike[str]) -> None:
        """Read weights written by this or any older Keras-RL into the online and the target network.

        Raises:
            WeightsError: The file is missing, damaged, or holds the weights of another network.
        """
        weights.assign(self.model, weights.read(filepath))
        if self._networks is not None:
            self.update_target_model_hard()

    # States

    def _recent_state(self, observation: Any) -> list[Any]:
        return [observation] if self.memory.window_length == 1 else self.memory.get_recent_state(observation)

    def process_state_batch(self, batch: list[Any]) -> list[np.ndarray]:
        """Turn a list of states, each a list of observations, into an array for each input of the model."""
        return self._inputs.of_states(batch)

    def compute_batch_q_values(self, state_batch: list[Any]) -> np.ndarray:
        """Return the Q-values [B, nb_actions] of a list of states."""
        return self._compiled().learner().q_values(self.process_state_batch(state_batch))

    def compute_q_values(self, state: list[Any]) -> np.ndarray:
        """Return the Q-values [nb_actions] of one state, a list of observations."""
        q_values: np.ndarray = self.compute_batch_q_values([state])[0]
        return q_values

    # One step

    def forward(self, observation: Any) -> Any:
        """Choose an action for `observation`."""
        if self._upcoming.is_state_of(observation):
            q_values = self._upcoming.values(self._compiled())
        else:
            q_values = self.compute_q_values(self._recent_state(observation))
        self._upcoming.forget()
        policy = self.policy if self.training else self.test_policy
        action = policy.select_action(q_values=q_values)
        self.recent_observation = observation
        self.recent_action = action
        return action

    def expect(self, observation: Any, truncated: bool = False) -> None:
        """Tell, before `backward`, what will be acted on next, so that the call that trains can value it, too.

        Args:
            observation: None at the end of an episode.
            truncated: Whether a time limit ended the episode.
        """
        self._upcoming.observation, self.recent_truncated = observation, truncated

    def backward(self, reward: float, terminal: bool) -> list[float]:
        """Store the step that `forward` began, train when it is due, and return the metrics."""
        if self.step % self.memory_interval == 0:
            self._remember(reward, terminal)
        if not self.training:
            return [np.nan] * len(self.metrics_names)
        if (
            self.step - self._first_step > self.nb_steps_warmup
            and self.step % self.train_interval == 0
            and self.memory.nb_entries >= self._nb_needed
        ):
            metrics = [*self._train(), *self.policy.metrics]
            if self.processor is not None:
                metrics += self.processor.metrics
        else:
            metrics = [np.nan] * len(self.metrics_names)
        if not self._moves_target_in_call and self.step % self.target_model_update == 0:
            self.update_target_model_hard()
        return metrics

    def _remember(self, reward: float, terminal: bool) -> None:
        known = {"truncated": self.recent_truncated} if isinstance(self.memory, SequentialMemory) else {}
        self.memory.append(
            self.recent_observation, self.recent_action, reward, terminal, training=self.training, **known
        )

    def _train(self) -> list[float]:
        """Update the networks and, in the same call, compute the Q-values of the observation to act on next."""
        learner, upcoming = self._compiled().learner(), self._upcoming
        batch = self._batches.draw(self.memory, self.recent_observation)
        if upcoming.observation is None:  # the episode is over: any state will do
            state = [s[:1, -self.memory.window_length :] for s in batch.states0]
        else:
            state = upcoming.state = self.process_state_batch([self._recent_state(upcoming.observation)])
        metrics, upcoming.q_values, errors = learner.update(batch.states0, batch.states1, batch.rest, state)
        result: list[float] = metrics.tolist()
        if not math.isfinite(result[0]):
            why = why_not_finite([*batch.states0, *batch.states1], rewards=batch.rest[1])
            raise DivergenceError(f"the loss became {result[0]} at step {self.step}: {why}")
        if batch.rows is not None:
            self.memory.update_priorities(batch.rows, errors)
        return result

    # What `Loop` and `kerasrl.storage` ask for

    @property
    def observation_sizes(self) -> list[int] | None:
        """The numbers in each part of an observation, None if the model does not tell."""
        return self._inputs.observation_sizes()

    def get_state(self) -> dict[str, Any]:
        """Return what the agent needs to continue between two episodes, except its memory."""
        parts = {"processor": self.processor, "policy": self.policy, "test_policy": self.test_policy}
        return {"step": self.step, "learner": self._compiled().learner().get_state(), **parts}

    def set_state(self, state: dict[str, Any], warm_up: bool) -> None:
        """Continue from `get_state` as decoded; with `warm_up`, the warm-up steps are counted from here."""
        self.step = state["step"]
        self._first_step = self.step if warm_up else 0
        self._compiled().learner().set_state(state["learner"])
        for name in ("processor", "policy", "test_policy"):
            restore(getattr(self, name), state[name])

    def synchronise(self) -> None:
        """Bring `model` up to date for whoever holds a reference to it."""
        self._compiled().synchronise()

    def begin_training(self) -> None:
        """Take over any changes made to the model since the last `fit` or `test`."""
        self._compiled().learner()
        self._compiled().is_in_loop = self.is_fitting = True
        self.did_abort = self.did_abort and self.stop_training  # a signal may have come already
        self._on_train_begin()

    def end_training(self, observation: Any) -> None:
        """Leave `model` and memory consistent after `fit`; `observation` is the last one, None between episodes."""
        self._compiled().is_in_loop = self.is_fitting = self.stop_training = False
        self._first_step = 0
        self.synchronise()
        if observation is not None and isinstance(self.memory, SequentialMemory):
            self.memory.truncate_episode(observation)
        self._on_train_end()

    @contextlib.contextmanager
    def acting(self, seed: int | None) -> Iterator[None]:
        """Act without learning while the block runs; a `fit` that it interrupts goes on as if nothing had been."""
        networks = self._compiled()
        interlude = Interlude(self, networks, self._upcoming, in_training=self.is_fitting)
        if not networks.is_in_loop:
            networks.learner()
        networks.is_in_loop = True
        if seed is not None:
            np.random.seed(seed)
            random.seed(seed)
        self.training = False
        self.step = 0
        try:
            self._on_test_begin()
            yield
        finally:
            interlude.end()
            self._on_test_end()
