"""Keras-RL's DQNAgent, learning in one compiled call for each step."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from rl.agents.dqn import DQNAgent as KerasRLDQNAgent
from rl.agents.dqn import mean_q
from rl.policy import EpsGreedyQPolicy, GreedyQPolicy

from kerasrl.agents.base import Agent
from kerasrl.agents.dqn.abstract import AbstractDQNAgent
from kerasrl.agents.dqn.dueling import dueling_model
from kerasrl.agents.dqn.trainable_model import TrainableModel
from kerasrl.agents.dqn.update import Update
from kerasrl.agents.soundness import LARGEST, why_unsound
from kerasrl.errors import DivergenceError, UserError, one_line
from kerasrl.learning import Metrics, Trainable, fresh
from kerasrl.learning.batches import why_not_finite
from kerasrl.learning.inputs import usable
from kerasrl.overrides import overrides
from kerasrl.plain import plain
from kerasrl.replay.transitions import NothingToDraw
from kerasrl.storage.weights import Weights

_NAME = "learner"  # of the network, in training states


class DQNAgent(AbstractDQNAgent, KerasRLDQNAgent):
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
        memory_interval: Steps between stored steps; an episode's end is always stored.
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
    _next_observation: Any = None
    _next_state: list[np.ndarray] | None = None  # as the model sees it, once the call that trains has valued it
    _next_q_values: np.ndarray | None = None  # None, too, if somebody may have changed the weights since
    _has_ended = False  # the episode, with the step before
    changed_by_acting = (*Agent.changed_by_acting, "_next_observation", "_next_state", "_has_ended")
    _looks_ahead = True  # whether the call that trains may value it, since nobody has to be asked
    _made_with: dict[str, Any]  # options of the update
    optimizer: Any = None

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
        super().__init__(*args, metadata=metadata, **kwargs)
        self.model = model
        if enable_dueling_network:
            self.model = dueling_model(self.model, dueling_type)
        self.gradient_steps, self.n_step = gradient_steps, n_step
        self.enable_double_dqn, self.enable_dueling_network = enable_double_dqn, enable_dueling_network
        self.dueling_type = dueling_type
        self.policy = EpsGreedyQPolicy() if policy is None else policy
        self.test_policy = GreedyQPolicy() if test_policy is None else test_policy
        self._check()
        self.reset_states()

    # Models

    @property
    def model(self) -> Any:
        """The online network. Reading it brings it up to date; changes to it take effect."""
        if not self.trainables:
            return self._model
        self._next_q_values = None
        return self._network.online()

    @model.setter
    def model(self, model: Any) -> None:
        if self.compiled:
            raise UserError("the model of a compiled agent cannot be replaced; make a new agent")
        self._model = usable(model, "the Q-values [B, nb_actions]")

    @property
    def target_model(self) -> Any:
        """A copy of the target network, made when it is read; changes to it take effect."""
        if "target_model" in self._own_models:
            return self._own_models["target_model"]
        self._next_q_values = None
        return self._network.target()

    @target_model.setter
    def target_model(self, model: Any) -> None:
        self._own_models["target_model"] = model

    @property
    def trainable_model(self) -> Any:
        """What Keras-RL trains: its `optimizer`, and `train_on_batch` with targets and masks for all Q-values."""
        if "trainable_model" in self._own_models:
            return self._own_models["trainable_model"]
        self._next_q_values = None
        self.take_stock()
        return TrainableModel(self._network, self._update, self._own_metrics_names)

    @trainable_model.setter
    def trainable_model(self, model: Any) -> None:
        self._own_models["trainable_model"] = model

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
            optimizer, own_metrics = fresh(optimizer), Metrics([*metrics, mean_q], self.nb_actions)
        except (ValueError, TypeError) as error:
            raise UserError(f"cannot compile: {one_line(error)}") from error
        network = Trainable(self._model, optimizer, custom_objects=self.custom_model_objects, jit_compile=jit_compile)
        self.optimizer, self._own_metrics = optimizer, own_metrics
        self._own_metrics_names = ["loss", *own_metrics.names]
        self.trainables = {_NAME: network}
        self.compiled = True
        self._made_with = {}
        self.take_stock()

    def take_stock(self) -> None:
        """Find out what is overridden, and make the update for the settings as they are; raises as above."""
        super().take_stock()
        self._known_settings = self._settings()
        if self.trainables:
            self._make_update()

    def _settings(self) -> tuple[Any, ...]:
        """Return what has to be checked, or compiled anew, if it is set later; anything else is read at each step."""
        compiled = self.target_model_update, self.delta_clip, self.enable_double_dqn, self.gradient_steps
        return *compiled, self.n_step, self.batch_size

    def _make_update(self) -> None:
        # A copy after every update is a soft update with rate 1, which the compiled call includes.
        always = self.target_model_update == 1 and self.gradient_steps == 1
        always = always and not overrides(self, "update_target_model_hard")
        self._moves_target_in_call = self.target_model_update < 1 or always
        options = {
            "delta_clip": self.delta_clip,
            "double": self.enable_double_dqn,
            "tau": float(self.target_model_update) if self._moves_target_in_call else None,
            "gradient_steps": self.gradient_steps,
            "weighted": getattr(self._memory, "is_weighted", False),
        }
        if options != self._made_with:
            if self._made_with:
                self._network.calls.forget()
            self._made_with = options
            self._update = Update(self._network, self.nb_actions, self._own_metrics, **options)

    @property
    def metrics_names(self) -> list[str]:
        """Names of the values that `backward` returns: loss, metrics, mean_q, then the policy's and the processor's."""
        names = [*self._own_metrics_names, *self.policy.metrics_names]
        return [*names, *self.processor.metrics_names] if self.processor is not None else names

    def _forget_next(self) -> None:
        self._next_observation = self._next_state = self._next_q_values = None

    def reset_states(self) -> None:
        """Forget the recent action and observation."""
        super().reset_states()
        self._forget_next()
        self._has_ended = False

    def update_target_model_hard(self) -> None:
        """Make the target network equal to the online network."""
        if "target_model" in self._own_models:
            self.target_model.set_weights(self.model.get_weights())
            return
        self._network.copy_target()

    def copy_targets(self) -> None:
        """Make the target network equal to the online network, as `update_target_model_hard` does, or a user's own."""
        if self.compiled:
            self.update_target_model_hard()

    def _networks(self) -> Any:
        self.synchronise()
        return self._model

    def assign_weights(self, saved: Weights) -> None:
        """Put weights that were read from a file into the online and the target network, before `compile` the model."""
        self._next_q_values = None
        super().assign_weights(saved)

    def forward(self, observation: Any) -> Any:
        """Choose an action for `observation`."""
        if not self._has_taken_stock:
            self.take_stock()
        if self._next_state is None or observation is not self._next_observation:
            q_values = self.compute_q_values(self._recent_state(observation))
        elif self._next_q_values is None or self._network.handed_out:
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
        if not self._has_taken_stock:
            self.take_stock()
        # An episode's end, and the observation after it, are stored whatever the interval.
        if terminal or self._has_ended or self.step % self.memory_interval == 0:
            self.remember(reward, terminal)
        self._has_ended = terminal
        if not self.training:
            return [np.nan] * len(self.metrics_names)
        if self._settings() != self._known_settings:
            self.take_stock()
        if (
            self.step - self.first_step > self.nb_steps_warmup
            and self.step % self.train_interval == 0
            and (not self._counts_steps or self._memory.nb_entries >= self._nb_needed)
        ):
            metrics = [*self._train(), *map(plain, self.policy.metrics)]
            if self.processor is not None:
                metrics += map(plain, self.processor.metrics)
        else:
            metrics = [np.nan] * len(self.metrics_names)
        if not self._moves_target_in_call and self.step % int(self.target_model_update) == 0:
            self.update_target_model_hard()
        return metrics

    def _train(self) -> list[float]:
        """Update the networks and compute, in the same call, the Q-values of the observation to act on next."""
        memory = self._memory
        try:
            states0, states1, rest, rows = self._batches.draw(
                memory, self.recent_observation, self.batch_size, self.gradient_steps, self.n_step, self.gamma
            )
        except NothingToDraw:  # no episode so far was longer than a step
            return [np.nan] * len(self._own_metrics_names)
        if self._next_observation is None or not self._looks_ahead:  # there is none, or it is asked for: any will do
            # Without states1, states0 has both.
            state = [s[:1] for s in states1] or [s[:1, -memory.window_length :] for s in states0]
        else:
            state = self._next_state = self._inputs.of_states([self._recent_state(self._next_observation)])
        metrics, self._next_q_values, errors = self._update(states0, states1, rest, state)
        result: list[float] = metrics.tolist()
        if not -LARGEST <= result[0] <= LARGEST:
            self.excess_step = self.step
            if not math.isfinite(result[0]):
                why = why_not_finite([*states0, *states1], rewards=rest[1])
                raise DivergenceError(f"the loss became {result[0]} at step {self.step}: {why}")
        if rows is not None:
            memory.update_priorities(rows, errors)
        return result

    # For `Loop` and `kerasrl.storage`

    def begin_training(self) -> None:
        """Begin, as every agent does; `UserError` if the memory is too small to learn from."""
        self._require_room()
        super().begin_training()

    def random_action(self, env: Any) -> Any:
        """Return one of the agent's actions; those of the environment may be others, which a processor makes of it."""
        action = super().random_action(env) if hasattr(getattr(env, "action_space", None), "sample") else None
        is_own = isinstance(action, int | np.integer) and 0 <= action < self.nb_actions
        if is_own or (self.processor is None and action is not None):
            return action
        return np.random.randint(self.nb_actions)

    @property
    def observation_sizes(self) -> list[int] | None:
        """How many numbers each part of an observation has, None if the model does not tell."""
        return self._inputs.observation_sizes()

    def why_unsound(self) -> str:
        """Look also at the Q-values of the state that was seen last, without asking a processor for it again."""
        q_values = self._next_q_values
        if q_values is None and self.processor is None and self.recent_observation is not None:
            q_values = self.compute_q_values(self._recent_state(self.recent_observation))
        return super().why_unsound() or ("" if q_values is None else why_unsound("the Q-values", [q_values]))

    def parts(self) -> dict[str, Any]:
        """Return the processor and the policies."""
        return {**super().parts(), "policy": self.policy, "test_policy": self.test_policy}
