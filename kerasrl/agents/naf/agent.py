"""Keras-RL's NAFAgent, learning in one compiled call for each step."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import rl.agents.dqn
from rl.agents.dqn import mean_q

from kerasrl.agents.continuous import ContinuousAgent
from kerasrl.agents.naf.network import Models, NAFNetwork
from kerasrl.agents.naf.update import Update
from kerasrl.errors import UserError, one_line
from kerasrl.learning import Metrics, fresh
from kerasrl.learning.inputs import usable

_OUTPUTS = {"V": "the values [B, 1]", "L": "the elements of L [B, nb_elements]", "mu": "the actions [B, nb_actions]"}


def _model_property(name: str) -> Any:
    def read(agent: Any) -> Any:
        return agent._model_of(name)

    def write(agent: Any, model: Any) -> None:
        agent._set_model(name, model)

    return property(
        read, write, doc=f"The model of {name}. Reading it brings it up to date; changes to it take effect."
    )


class NAFAgent(ContinuousAgent, rl.agents.dqn.NAFAgent):
    """Normalised advantage functions (Gu et al. 2016) with Keras-RL's arguments, defaults and methods.

    Q-learning with continuous actions: Q(s, a) = V(s) - 1/2 (a - mu(s))' P(s) (a - mu(s)), whose best action is mu and
    whose largest value is V (see `kerasrl.agents.naf.NAFLayer`). The three models learn together, in one compiled call
    for each step. Actions go to the memory and to the environment as mu and the random process make them: where the
    environment wants them within bounds, a processor's `process_action` clips.

    One thing differs on purpose: the last state of an episode that a time limit ends (`truncated`) keeps its value.

    The models are exact whenever they are read from the agent, at the end of each episode and after `fit`.

    Args:
        V_model: Keras model from states [B, window_length, *observation] to values [B, 1].
        L_model: Keras model from actions [B, nb_actions], its first input, and states to the elements of L: with the
            covariance mode 'full' (nb_actions + 1) * nb_actions / 2 of them, with 'diag' nb_actions.
        mu_model: Keras model from states to the best actions [B, nb_actions].
        random_process: rl.random.RandomProcess, whose samples [nb_actions] are added to actions in training.
        covariance_mode: 'full' or 'diag'.
        nb_actions: How many numbers make an action.
        memory: kerasrl.SequentialMemory or PrioritizedMemory, or any Keras-RL memory, which is slower.
        gamma, batch_size, nb_steps_warmup, train_interval, memory_interval, target_model_update, delta_range,
            delta_clip, custom_model_objects, processor, gradient_steps, n_step, metadata: As for `DQNAgent`; the target
            network is that of V.

    Raises:
        UserError: The arguments do not go together.
    """

    _after_own = rl.agents.dqn.AbstractDQNAgent
    _of_others = ("policy", "test_policy", "enable_double_dqn", "enable_dueling_network", "dueling_type")
    _learns_from = "actions that are numbers, the best of which is mu"
    optimizer: Any = None
    _models: Any = None  # as one

    def __init__(
        self,
        V_model: Any,  # Keras-RL's names
        L_model: Any,
        mu_model: Any,
        random_process: Any = None,
        covariance_mode: str = "full",
        *args: Any,
        gradient_steps: int = 1,
        n_step: int = 1,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self._refuse_others(kwargs)
        self._begin(metadata)
        rl.agents.dqn.AbstractDQNAgent.__init__(self, *args, **kwargs)
        self.gradient_steps, self.n_step = gradient_steps, n_step
        self.random_process, self.covariance_mode = random_process, covariance_mode
        self.V_model, self.L_model, self.mu_model = V_model, L_model, mu_model
        self._combine()
        self.take_stock()
        self.reset_states()

    def _begin(self, metadata: dict[str, Any] | None) -> None:
        super()._begin(metadata)
        self._own: dict[str, Any] = {}  # the models it was given

    def _combine(self) -> None:
        """Make one of the models; raise `UserError` if they do not go together."""
        own = self._own
        self._models = Models(own["V"], own["L"], own["mu"], self.nb_actions, self.covariance_mode)

    # Models

    def _model_of(self, name: str) -> Any:
        self._next_output = None
        if self.trainables:
            self._network.online()
        return self._own[name]

    def _set_model(self, name: str, model: Any) -> None:
        if self.compiled:
            raise UserError(f"{name}_model of a compiled agent cannot be replaced; make a new agent")
        self._own[name] = usable(model, _OUTPUTS[name], f"{name}_model")
        self._model = self._own.get("mu")

    V_model, L_model, mu_model = _model_property("V"), _model_property("L"), _model_property("mu")

    @property
    def acting_model(self) -> Any:
        """The model from states to the best actions."""
        return self.mu_model

    @property
    def combined_model(self) -> Any:
        """From actions and states to Q-values; its `train_on_batch` trains all three models on returns."""
        if "combined_model" in self._own_models:
            return self._own_models["combined_model"]
        self._next_output = None
        self._network.online()
        return self._models.combined

    @combined_model.setter
    def combined_model(self, model: Any) -> None:
        self._own_models["combined_model"] = model

    @property
    def target_V_model(self) -> Any:  # Keras-RL's name
        """A copy of the target network of V, made when it is read; changes to it take effect."""
        if "target_V_model" in self._own_models:
            return self._own_models["target_V_model"]
        return self._network.target().get_layer(self._own["V"].name)

    @target_V_model.setter
    def target_V_model(self, model: Any) -> None:
        self._own_models["target_V_model"] = model

    def compile(self, optimizer: Any, metrics: Sequence[Any] = (), jit_compile: bool | str = "auto") -> None:
        """Set the optimizer of all three models, and the metrics, which are logged after the loss and before mean_q.

        Args:
            optimizer: Keras optimizer or its name.
            metrics: Keras metrics, their names, or functions of (targets, Q-values), both [B, 1].
            jit_compile: As in Keras: True compiles with XLA, False does not, 'auto' does where it is possible.

        Raises:
            UserError: The optimizer or a metric cannot be used.
        """
        try:
            optimizer, own_metrics = fresh(optimizer), Metrics([*metrics, mean_q], 1)
        except (ValueError, TypeError) as error:
            raise UserError(f"cannot compile: {one_line(error)}") from error
        if self._models is None:  # somebody's own constructor has set them
            self._combine()
        options = {"custom_objects": self.custom_model_objects, "jit_compile": jit_compile}
        network = NAFNetwork(self._models, optimizer, self.nb_actions, **options)
        self.optimizer = optimizer
        self._models.combined.train_on_batch = self._train_on_batch
        self._begin_compiled({self._acts_by: network}, own_metrics)

    def _train_on_batch(self, inputs: list[Any], returns: Any) -> list[float]:
        """Train on actions [B, nb_actions] and states, and returns [B]; return loss and metrics."""
        self.take_stock()
        self._next_output = None
        actions, *states = [np.asarray(array, np.float32) for array in inputs]
        metrics: list[float] = self._update.train_on_targets(actions, states, np.asarray(returns, np.float32))
        return metrics

    def _make_update(self, **options: Any) -> Update:
        network = self._network
        assert isinstance(network, NAFNetwork)
        return Update(network, self.nb_actions, self._own_metrics, **options)

    def update_target_model_hard(self) -> None:
        """Make the target network of V equal to V."""
        if "target_V_model" in self._own_models:
            self.target_V_model.set_weights(self.V_model.get_weights())
            return
        self._network.copy_target()

    def _networks(self) -> Any:
        self.synchronise()
        return self._models.combined
