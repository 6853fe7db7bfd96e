"""Keras-RL's DQNAgent, learning in one compiled call for each step."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from rl.agents.dqn import DQNAgent as KerasRLDQNAgent
from rl.agents.dqn import mean_q
from rl.policy import EpsGreedyQPolicy, GreedyQPolicy

from kerasrl.agents.dqn.abstract import AbstractDQNAgent
from kerasrl.agents.dqn.dueling import dueling_model
from kerasrl.agents.dqn.trainable_model import TrainableModel
from kerasrl.agents.dqn.update import Update
from kerasrl.agents.masking import LegalChoice, random_number
from kerasrl.agents.policies import selecting
from kerasrl.environments.masks import cure
from kerasrl.errors import UserError, one_line
from kerasrl.learning import Metrics, Trainable, fresh
from kerasrl.learning.inputs import usable
from kerasrl.overrides import overrides


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

    _after_own = AbstractDQNAgent
    _acts_by = "learner"  # the network's name in training states
    _choosing = ("forward", "compute_q_values", "compute_batch_q_values", "process_state_batch")
    _settings = (*AbstractDQNAgent._settings, "enable_double_dqn")
    is_discrete = True
    optimizer: Any = None
    _known_policy: Any = None  # the one that `_select` chooses by
    _select: Callable[[np.ndarray], Any]

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
        self.take_stock()
        self.reset_states()

    # Models

    @property
    def model(self) -> Any:
        """The online network. Reading it brings it up to date; changes to it take effect."""
        if not self.trainables:
            return self._model
        self._next_output = None
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
        self._next_output = None
        return self._network.target()

    @target_model.setter
    def target_model(self, model: Any) -> None:
        self._own_models["target_model"] = model

    @property
    def trainable_model(self) -> Any:
        """What Keras-RL trains: its `optimizer`, and `train_on_batch` with targets and masks for all Q-values."""
        if "trainable_model" in self._own_models:
            return self._own_models["trainable_model"]
        self._next_output = None
        self.take_stock()
        return TrainableModel(self._network, self._update, self._own_metrics_names)

    @trainable_model.setter
    def trainable_model(self, model: Any) -> None:
        self._own_models["trainable_model"] = model

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
        self.optimizer = optimizer
        self._begin_compiled({self._acts_by: network}, own_metrics)

    def take_stock(self) -> None:
        """Find out, as in the base class, what is overridden; in the policies, too."""
        self._known_policy, self._legal_choice = None, LegalChoice()
        super().take_stock()
        memory, append = self._memory, self._append
        if getattr(memory, "nb_masked", 0):
            self._require_masks()

            def append_with_mask(*step: Any) -> None:
                memory.action_mask = self.action_mask
                append(*step)

            self._append = append_with_mask

    def keep_masks(self) -> None:
        """Let the memory keep masks; raise `UserError` if it cannot."""
        self._require_masks()
        self._memory.keep_masks(self.nb_actions)
        self.take_stock()

    def _require_masks(self) -> None:
        memory = self._memory
        if not hasattr(memory, "keep_masks"):
            kind = f"{type(memory).__module__}.{type(memory).__name__}"
            raise UserError(f"action masks need a kerasrl.SequentialMemory, not {kind}; {cure()}")
        if overrides(memory, "sample"):
            name = type(memory).__name__
            raise UserError(f"action masks need the memory's `draw`: override that, not {name}.sample; {cure()}")
        if memory.nb_masked not in (0, self.nb_actions):
            raise UserError(f"the memory has action masks of {memory.nb_masked} actions, not of {self.nb_actions}")

    def _require_sound(self) -> None:
        super()._require_sound()
        if self._model is None:
            raise UserError(f"{type(self).__name__} has no model: set self.model before compile()")
        if self._model.output.shape[1:] != (self.nb_actions,):
            raise UserError(
                f"the model's output has shape {self._model.output.shape}, but DQN expects one dimension for each "
                f"action: (None, {self.nb_actions})"
            )

    def _update_options(self) -> dict[str, Any]:
        masked = getattr(self._memory, "nb_masked", 0) > 0
        return {**super()._update_options(), "double": self.enable_double_dqn, "masked": masked}

    def _make_update(self, **options: Any) -> Update:
        return Update(self._network, self.nb_actions, self._own_metrics, **options)

    def _reporting(self) -> list[Any]:
        return [self.policy, *super()._reporting()]

    def update_target_model_hard(self) -> None:
        """Make the target network equal to the online network."""
        if "target_model" in self._own_models:
            self.target_model.set_weights(self.model.get_weights())
            return
        self._network.copy_target()

    def _networks(self) -> Any:
        self.synchronise()
        return self._model

    def _act_on(self, state: list[Any]) -> Any:
        return self._choose(self.compute_q_values(state))

    def _choose(self, output: np.ndarray) -> Any:
        policy = self.policy if self.training else self.test_policy
        if policy is not self._known_policy:
            self._known_policy, self._select = policy, selecting(policy)
        return self._select(output) if self.action_mask is None else self._choose_legally(policy, output)

    def _choose_legally(self, policy: Any, output: np.ndarray) -> Any:
        assert self.action_mask is not None
        if self.training and not getattr(self._memory, "nb_masked", 0):
            self.keep_masks()
        return self._legal_choice(policy, output, self.action_mask)

    # For `Loop` and `kerasrl.storage`

    def random_action(self, env: Any) -> Any:
        """Return one of the agent's actions; those of the environment may be others, which a processor makes of it."""
        return random_number(self, env)

    def why_unsound(self) -> str:
        """Look also at the Q-values of the state that was seen last, without asking a processor for it again."""
        return super().why_unsound() or self._output_soundness("the Q-values")

    def parts(self) -> dict[str, Any]:
        """Return the processor and the policies."""
        return {**super().parts(), "policy": self.policy, "test_policy": self.test_policy}
