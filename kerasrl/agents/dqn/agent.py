"""Keras-RL's DQNAgent, learning in one compiled call for each step."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import rl.memory
from rl.agents.dqn import DQNAgent as KerasRLDQNAgent
from rl.agents.dqn import mean_q

from kerasrl.agents.base import Agent
from kerasrl.agents.dqn.dueling import dueling_model
from kerasrl.agents.dqn.update import Update
from kerasrl.errors import DivergenceError, UserError, one_line
from kerasrl.learning import Metrics, ModelInputs, Trainable, fresh
from kerasrl.learning.batches import Batches, why_not_finite
from kerasrl.learning.inputs import usable
from kerasrl.storage.weights import Weights

_NAME = "learner"  # of the network, in training states


class DQNAgent(Agent, KerasRLDQNAgent):
    """Deep Q-learning (Mnih et al. 2015) with Keras-RL's arguments, defaults and methods.

    What was replaced does not work on Keras 3, was wrong or slow: `compile` and the update (one compiled call for each
    step, in `kerasrl.agents.dqn.update`), `fit` and `test` (`kerasrl.agents.base`), weights files
    (`kerasrl.storage.weights`). One thing differs on purpose: the last state of an episode that a time limit ends
    (`truncated`) keeps its value; Keras-RL treats it as terminal.

    `model` is exact whenever it is read from the agent, at the end of each episode and after `fit`; a reference taken
    earlier may lag behind by up to an episode during `fit`.

    Args:
        model: Keras model from states [B, window_length, *observation] to Q-values [B, nb_actions].
        policy: Policy during `fit`; EpsGreedyQPolicy() by default.
        test_policy: Policy during `test`; GreedyQPolicy() by default.
        enable_double_dqn: Let the online network choose the next action and the target network estimate its value.
        enable_dueling_network: Replace the model's last layer by a dueling one (see `kerasrl.agents.dqn.dueling`).
        dueling_type: 'avg', 'max' or 'naive'.
        memory: kerasrl.SequentialMemory or PrioritizedMemory, or any Keras-RL memory, which is slower.
        gamma: Discount factor.
        batch_size: Transitions in an update.
        nb_steps_warmup: Steps before the first update.
        train_interval: Steps between training steps.
        memory_interval: Steps between stored steps.
        target_model_update: Below 1 the mixing rate of a soft update after each update, from 1 on the number of steps
            between hard updates.
        delta_range: Deprecated, use delta_clip.
        delta_clip: Size of the temporal-difference error above which the Huber loss is linear.
        custom_model_objects: Classes by name, needed to copy a model that uses them.
        processor: rl.core.Processor between environment and agent.
        gradient_steps: Updates in each training step, in one call.
        n_step: Steps of a return (Sutton 1988): the rewards of that many steps and the value of the state after them,
            cut off at the episode's end; a time limit keeps the value of its last state.
        metadata: What weights files say about the agent besides the weights; anything JSON can hold.

    Raises:
        UserError: The arguments do not go together.
    """

    # What is known in advance of the observation to act on next.
    _next_observation: Any
    _next_state: list[np.ndarray] | None  # as the model sees it, once the call that trains has valued it
    _next_q_values: np.ndarray | None  # None, too, if somebody may have changed the weights since
    changed_by_acting = (*Agent.changed_by_acting, "_next_observation", "_next_state")

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
        model = usable(model, "the Q-values [B, nb_actions]")
        if enable_dueling_network:
            model = dueling_model(model, dueling_type)
        self._forget_next()
        self.gradient_steps, self.n_step = gradient_steps, n_step
        super().__init__(
            model, policy, test_policy, enable_double_dqn, False, dueling_type, *args, metadata=metadata, **kwargs
        )
        self.enable_dueling_network = enable_dueling_network
        self._check()

    def _check(self) -> None:
        for name in ("nb_actions", "batch_size", "train_interval", "memory_interval", "gradient_steps", "n_step"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not self.delta_clip > 0:
            raise UserError(f"delta_clip must be positive, not {self.delta_clip}")
        if not isinstance(self.memory, rl.memory.Memory) or isinstance(self.memory, rl.memory.EpisodeParameterMemory):
            raise UserError(f"DQNAgent learns from a kerasrl.SequentialMemory, not from {self.memory!r}")
        self._inputs = ModelInputs(self._model, self.processor, self.memory.window_length)
        if self.n_step > 1 and not hasattr(self.memory, "draw"):
            raise UserError(f"n_step above 1 needs a kerasrl.SequentialMemory, not {self.memory!r}")
        if self.n_step > 1 and self.memory_interval > 1:
            raise UserError(f"n_step above 1 needs every step: memory_interval must be 1, not {self.memory_interval}")
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
        if not self.compiled:
            return self._model
        self._next_q_values = None
        return self._network.online()

    @model.setter
    def model(self, model: Any) -> None:
        if self.compiled:
            raise UserError("the model of a compiled agent cannot be replaced; make a new agent")
        self._model = model

    @property
    def target_model(self) -> Any:
        """A copy of the target network, made when it is read; changes to it take effect."""
        self._next_q_values = None
        return self._network.target()

    @property
    def _network(self) -> Trainable:
        if not self.compiled:
            raise RuntimeError("the agent has not been compiled yet: call compile() first")
        return self.trainables[_NAME]

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
            optimizer, own_metrics = fresh(optimizer), Metrics([*metrics, mean_q])
        except (ValueError, TypeError) as error:
            raise UserError(f"cannot compile: {one_line(error)}") from error
        # A copy after every update is a soft update with rate 1, which the compiled call includes.
        always = self.target_model_update == 1 and self.gradient_steps == 1
        self._moves_target_in_call = self.target_model_update < 1 or always
        network = Trainable(self._model, optimizer, custom_objects=self.custom_model_objects, jit_compile=jit_compile)
        self._update = Update(
            network,
            self.nb_actions,
            own_metrics,
            delta_clip=self.delta_clip,
            double=self.enable_double_dqn,
            tau=float(self.target_model_update) if self._moves_target_in_call else None,
            gradient_steps=self.gradient_steps,
            weighted=getattr(self.memory, "is_weighted", False),
        )
        self._batches = Batches(self._inputs, self.batch_size, self.gradient_steps, self.n_step, self.gamma)
        self.optimizer = optimizer
        self._own_metrics_names = ["loss", *own_metrics.names]
        self.trainables = {_NAME: network}
        self.compiled = True

    @property
    def metrics_names(self) -> list[str]:
        """Names of the values that `backward` returns: loss, metrics, mean_q, then the policy's and the processor's."""
        names: list[str] = self._own_metrics_names + self.policy.metrics_names
        return names + self.processor.metrics_names if self.processor is not None else names

    def _forget_next(self) -> None:
        self._next_observation = self._next_state = self._next_q_values = None

    def reset_states(self) -> None:
        """Forget the recent action and observation."""
        super().reset_states()
        self._forget_next()

    def update_target_model_hard(self) -> None:
        """Make the target network equal to the online network."""
        self._network.copy_target()

    def _networks(self) -> Any:
        self.synchronise()
        return self._model

    def assign_weights(self, saved: Weights) -> None:
        """Put weights that were read from a file into the online and the target network, before `compile` the model."""
        self._next_q_values = None
        super().assign_weights(saved)

    def _recent_state(self, observation: Any) -> list[Any]:
        return [observation] if self.memory.window_length == 1 else self.memory.get_recent_state(observation)

    def process_state_batch(self, batch: list[Any]) -> list[np.ndarray]:
        """Return an array for each input of the model from a list of states, each a list of observations."""
        return self._inputs.of_states(batch)

    def compute_batch_q_values(self, state_batch: list[Any]) -> np.ndarray:
        """Return the Q-values [B, nb_actions] of a list of states."""
        return self._network.output(self.process_state_batch(state_batch))

    def compute_q_values(self, state: list[Any]) -> np.ndarray:
        """Return the Q-values [nb_actions] of one state, a list of observations."""
        q_values: np.ndarray = self.compute_batch_q_values([state])[0]
        return q_values

    def forward(self, observation: Any) -> Any:
        """Choose an action for `observation`."""
        if self._next_state is None or observation is not self._next_observation:
            q_values = self.compute_q_values(self._recent_state(observation))
        elif self._next_q_values is None:
            q_values = self._network.output(self._next_state)[0]
        else:
            q_values = self._next_q_values
        self._forget_next()
        policy = self.policy if self.training else self.test_policy
        action = policy.select_action(q_values=q_values)
        self.recent_observation = observation
        self.recent_action = action
        return action

    def expect(self, observation: Any, truncated: bool = False) -> None:
        """Learn, before `backward`, what will be acted on next, so that the call that trains can value it, too."""
        self._next_observation = observation
        super().expect(observation, truncated)

    def backward(self, reward: float, terminal: bool) -> list[float]:
        """Store the step that `forward` began, train when it is due, and return the metrics."""
        if self.step % self.memory_interval == 0:
            self._remember(reward, terminal)
        if not self.training:
            return [np.nan] * len(self.metrics_names)
        if (
            self.step - self.first_step > self.nb_steps_warmup
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
        step = (self.recent_observation, self.recent_action, reward, terminal)
        if hasattr(self.memory, "truncate_episode"):
            self.memory.append(*step, training=self.training, truncated=self.recent_truncated)
        else:  # a memory of Keras-RL's own
            self.memory.append(*step, training=self.training)

    def _train(self) -> list[float]:
        """Update the networks and compute, in the same call, the Q-values of the observation to act on next."""
        states0, states1, rest, rows = self._batches.draw(self.memory, self.recent_observation)
        if self._next_observation is None:  # the episode is over: any state will do
            state = [s[:1, -self.memory.window_length :] for s in states0]
        else:
            state = self._next_state = self.process_state_batch([self._recent_state(self._next_observation)])
        metrics, self._next_q_values, errors = self._update(states0, states1, rest, state)
        result: list[float] = metrics.tolist()
        if not math.isfinite(result[0]):
            why = why_not_finite([*states0, *states1], rewards=rest[1])
            raise DivergenceError(f"the loss became {result[0]} at step {self.step}: {why}")
        if rows is not None:
            self.memory.update_priorities(rows, errors)
        return result

    # For `Loop` and `kerasrl.storage`

    @property
    def observation_sizes(self) -> list[int] | None:
        """How many numbers each part of an observation has, None if the model does not tell."""
        return self._inputs.observation_sizes()

    def parts(self) -> dict[str, Any]:
        """Return the processor and the policies."""
        return {**super().parts(), "policy": self.policy, "test_policy": self.test_policy}
