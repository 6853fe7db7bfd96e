"""Keras-RL's SARSAAgent, learning in one compiled call for each step."""

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import rl.core
from rl.agents.dqn import mean_q
from rl.agents.sarsa import SARSAAgent as KerasRLSARSAAgent

from kerasrl.agents.discrete import DiscreteAgent
from kerasrl.agents.dqn.trainable_model import TrainableModel
from kerasrl.agents.masking import LegalChoice
from kerasrl.agents.sarsa.update import OnPolicyUpdate
from kerasrl.agents.soundness import LARGEST, why_unsound
from kerasrl.agents.state_batches import QValues
from kerasrl.environments.adapter import copied
from kerasrl.errors import DivergenceError, UserError, one_line
from kerasrl.learning import Metrics, Trainable, fresh
from kerasrl.learning.batches import why_not_finite
from kerasrl.overrides import overrides
from kerasrl.plain import plain

_CALLED_TO_VALUE = ("compute_q_values", "compute_batch_q_values", "process_state_batch")


class SARSAAgent(DiscreteAgent, QValues, KerasRLSARSAAgent):
    """SARSA (Rummery & Niranjan 1994; Sutton & Barto 2018, section 6.4) with Keras-RL's arguments and methods.

    It learns the values of the policy that acts, from each step once: Q(s, a) moves towards r + gamma Q(s', a') as soon
    as a', the action after it, has been chosen. So a step is learned from at the next one, and an episode's last step
    at the call of `forward` and `backward` that shows its last observation, as `fit` does.

    Keras-RL applied the end of an episode to the step before the last, let the last one bootstrap, and after its
    warm-up learned from the rewards of other steps. The last state of an episode that a time limit ends (`truncated`)
    keeps its value.

    Args:
        model: Keras model from states [B, 1, *observation] to Q-values [B, nb_actions].
        nb_actions: Number of actions.
        policy: Policy during `fit`; EpsGreedyQPolicy() by default.
        test_policy: Policy during `test`; GreedyQPolicy() by default.
        gamma: Discount factor.
        nb_steps_warmup: Steps before the first update.
        train_interval: Steps between updates; the steps between them are not learned from.
        delta_clip: Size of the temporal-difference error above which the Huber loss is linear.
        processor: rl.core.Processor between environment and agent.
        metadata: What weights files say about the agent besides the weights; anything JSON can hold.

    Attributes:
        observations, actions, rewards: Those of the last two steps of this episode.

    Raises:
        UserError: The arguments do not go together.
    """

    _next_observation: Any = None  # to act on
    # Q-values of the next observation and of the last one acted on, and how often the weights had changed until then.
    _next_valued: tuple[int, np.ndarray] | None = None
    _valued: tuple[int, np.ndarray] | None = None
    _has_ended = False  # the episode, with the step before
    _goes_on = True  # whether the state after the step before is worth something
    changed_by_acting = (
        *(*DiscreteAgent.changed_by_acting, "observations", "actions", "rewards"),
        *("_next_observation", "_next_valued", "_valued", "_has_ended", "_goes_on"),
    )
    _looks_ahead = True  # whether the call that trains may value it, since nobody has to be asked
    _made_with: float | None = None  # delta_clip of the update
    _after_own = rl.core.Agent
    _of_others = ("memory", "batch_size", "memory_interval", "target_model_update", "gradient_steps", "n_step")
    _learns_from = "each step once, as it comes"
    _own_trainable_model: Any = None  # that a user's own `compile` has set
    optimizer: Any = None

    def __init__(
        self,
        model: Any,
        nb_actions: int,
        policy: Any = None,
        test_policy: Any = None,
        gamma: float = 0.99,
        nb_steps_warmup: int = 10,
        train_interval: int = 1,
        delta_clip: float = np.inf,
        *args: Any,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self._refuse_others(kwargs)
        own = (model, nb_actions, policy, test_policy, gamma, nb_steps_warmup, train_interval, delta_clip)
        self._begin(metadata)
        KerasRLSARSAAgent.__init__(self, *own, *args, **kwargs)
        self._check()
        SARSAAgent.reset_states(self)  # as in Keras-RL, a subclass's own is called by `fit` and `test` alone

    def _check(self) -> None:
        """Raise `UserError` unless what the agent was given, or given later, goes together."""
        if not self.delta_clip > 0:
            raise UserError(f"delta_clip must be positive, not {self.delta_clip}")
        if self.memory is not None:
            self._refuse_others({"memory": self.memory})
        self._require(1, "train_interval")

    # Models

    @property
    def trainable_model(self) -> Any:
        """What Keras-RL trains: its `optimizer`, and `train_on_batch` with targets and masks for all Q-values."""
        if self._own_trainable_model is not None:
            return self._own_trainable_model
        self.take_stock()
        return TrainableModel(self._network, self._update, self._own_metrics_names)

    @trainable_model.setter
    def trainable_model(self, model: Any) -> None:
        self._own_trainable_model = model

    def compile(self, optimizer: Any, metrics: Sequence[Any] = (), jit_compile: bool | str = "auto") -> None:
        """Set the optimizer and the metrics, which are logged after the loss and before mean_q.

        Args:
            optimizer: Keras optimizer or its name.
            metrics: Keras metrics, their names, or functions of (targets, Q-values).
            jit_compile: As in Keras: True compiles with XLA, False does not, 'auto' does where it is possible.

        Raises:
            UserError: The optimizer or a metric cannot be used.
        """
        try:
            optimizer, own_metrics = fresh(optimizer), Metrics([*metrics, mean_q], self.nb_actions)
        except (ValueError, TypeError) as error:
            raise UserError(f"cannot compile: {one_line(error)}") from error
        self.trainables = {"learner": Trainable(self._model, optimizer, has_target=False, jit_compile=jit_compile)}
        self.optimizer, self._own_metrics, self._made_with = optimizer, own_metrics, None
        self._own_metrics_names = ["loss", *own_metrics.names]
        self.compiled = True
        self.take_stock()

    def take_stock(self) -> None:
        """Find out what is overridden, and make the update for the settings as they are; raises as the constructor."""
        super().take_stock()
        self._legal_choice = LegalChoice()
        self._check()
        self._values_again = self._inputs.are_processed or overrides(self, *_CALLED_TO_VALUE)
        self._looks_ahead = not (self._values_again or overrides(self, "forward"))
        self._values_again |= self.normalizer is not None  # whose statistics have changed since
        if self.compiled and not self.trainables and not overrides(self, "backward"):
            raise UserError(
                f"{type(self).__name__}.compile has to leave the model to super().compile(optimizer, metrics), unless "
                "the class has a `backward` of its own"
            )
        if self.trainables and self.delta_clip != self._made_with:
            self._network.calls.forget()
            self._made_with = self.delta_clip
            self._update = OnPolicyUpdate(self._network, self.nb_actions, self._own_metrics, self.delta_clip)

    @property
    def metrics_names(self) -> list[str]:
        """Names of the values that `backward` returns: loss, metrics, mean_q, then the policy's and the processor's."""
        names = [*self._own_metrics_names, *self.policy.metrics_names]
        return [*names, *self.processor.metrics_names] if self.processor is not None else names

    # Acting

    def _q_values(self, observation: Any, valued: tuple[int, np.ndarray] | None) -> np.ndarray:
        """Return an observation's Q-values: as it was `valued`, unless the weights may have changed since."""
        network = self._network
        if valued is None or network.handed_out or network.nb_changes != valued[0]:
            return self.compute_q_values([observation])
        return valued[1]

    def reset_states(self) -> None:
        """Forget the steps of this episode."""
        super().reset_states()
        self.observations: deque[Any] = deque(maxlen=2)
        self.actions: deque[Any] = deque(maxlen=2)
        self.rewards: deque[float] = deque(maxlen=2)
        self._next_observation = self._next_valued = self._valued = None
        self._has_ended, self._goes_on = False, True

    def forward(self, observation: Any) -> Any:
        """Choose an action for `observation`."""
        if not self._has_taken_stock:
            self.take_stock()
        q_values = self._q_values(observation, self._next_valued if observation is self._next_observation else None)
        self._next_observation = self._next_valued = None
        policy = self.policy if self.training else self.test_policy
        if self.action_mask is None:
            action = policy.select_action(q_values=q_values)
        else:
            action = self._legal_choice(policy, q_values, self.action_mask)
        if self.training:
            self.observations.append(copied(observation))
            self.actions.append(action)
            self._valued = None if self._values_again else (self._network.nb_changes, q_values)
        self.recent_observation, self.recent_action = observation, action
        return action

    # Learning

    def expect(self, observation: Any, truncated: bool = False) -> None:
        """Learn, before `backward`, what will be acted on next, so that the call that trains can value it, too."""
        self._next_observation = observation
        super().expect(observation, truncated)

    def backward(self, reward: float, terminal: bool) -> list[float]:
        """Train, when it is due, on the step before the one that `forward` began, and return the metrics."""
        if not self._has_taken_stock:
            self.take_stock()
        metrics = [np.nan] * len(self.metrics_names)
        if not self.training:
            return metrics
        if self.delta_clip != self._made_with:
            self.take_stock()
        self.rewards.append(reward * self.reward_scale)
        if self.recent_action is not None:  # whoever chose it
            self.actions[-1] = self.recent_action
        is_due = self.step - self.first_step > self.nb_steps_warmup and self.step % self.train_interval == 0
        if is_due and len(self.observations) == 2:
            metrics = [*self._train(), *map(plain, self.policy.metrics)]
            if self.processor is not None:
                metrics += map(plain, self.processor.metrics)
        if self._has_ended and not terminal:  # this step has only shown the episode's last observation
            for recent in (self.observations, self.actions, self.rewards):
                recent.clear()
        self._has_ended, self._goes_on = terminal, not terminal or self.recent_truncated
        return metrics

    def _train(self) -> list[float]:
        """Learn from the step before, and compute, in the same call, the Q-values of the observation to act on next."""
        (before, after), (action, next_action), reward = self.observations, self.actions, self.rewards[0]
        state = self.states([[before]])
        value = self._q_values(after, self._valued)[_index(next_action)]
        target = reward + self.gamma * float(value) if self._goes_on else reward
        looks_ahead = self._looks_ahead and self._next_observation is not None
        following = self.states([[self._next_observation]]) if looks_ahead else state
        metrics, q_values = self._update.learn(state, _index(action), target, following)
        if looks_ahead:
            self._next_valued = self._network.nb_changes, q_values
        if not -LARGEST <= metrics[0] <= LARGEST:
            self.excess_step = self.step
            if not math.isfinite(metrics[0]):
                why = why_not_finite(state, rewards=np.array([reward]))
                raise DivergenceError(f"the loss became {metrics[0]} at step {self.step}: {why}")
        return metrics

    # For `Loop` and `kerasrl.storage`

    def why_unsound(self) -> str:
        """Look also at the Q-values of the state that was seen last."""
        valued = self._next_valued or self._valued
        return super().why_unsound() or ("" if valued is None else why_unsound("the Q-values", [valued[1]]))

    def parts(self) -> dict[str, Any]:
        """Return the processor and the policies."""
        return {**super().parts(), "policy": self.policy, "test_policy": self.test_policy}


def _index(action: Any) -> int:
    """Return an action as a number; a policy may return an array of one."""
    return int(action) if np.ndim(action) == 0 else int(np.reshape(action, -1)[0])
