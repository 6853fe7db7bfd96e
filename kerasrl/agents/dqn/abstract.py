"""What Keras-RL's AbstractDQNAgent is: the arguments that its agents with a replay memory share."""

import warnings
import weakref
from typing import Any

import numpy as np
import rl.agents.dqn
import rl.memory

from kerasrl.agents.base import Agent
from kerasrl.errors import Note, UserError
from kerasrl.learning import ModelInputs, Trainable
from kerasrl.learning.batches import Batches
from kerasrl.overrides import overrides


class AbstractDQNAgent(Agent, rl.agents.dqn.AbstractDQNAgent):
    """Keras-RL's AbstractDQNAgent, which a subclass of DQNAgent may call past DQNAgent's own constructor."""

    gradient_steps = n_step = 1
    enable_double_dqn = enable_dueling_network = False
    _model: Any = None

    def __init__(self, *args: Any, metadata: dict[str, Any] | None = None, **kwargs: Any) -> None:
        self._begin(metadata)
        self._own_models: dict[str, Any] = {}  # that a user's own `compile` has set
        rl.agents.dqn.AbstractDQNAgent.__init__(self, *args, **kwargs)

    def _check(self) -> None:
        """Raise `UserError` unless what the agent was given, or given later, goes together."""
        for name in ("nb_actions", "batch_size", "train_interval", "memory_interval", "gradient_steps", "n_step"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not self.delta_clip > 0:
            raise UserError(f"delta_clip must be positive, not {self.delta_clip}")
        if not self.target_model_update >= 0:
            raise UserError(f"target_model_update must be at least 0, not {self.target_model_update}")
        memory = self.memory
        if not isinstance(memory, rl.memory.Memory) or isinstance(memory, rl.memory.EpisodeParameterMemory):
            raise UserError(f"DQNAgent learns from a kerasrl.SequentialMemory, not from {memory!r}")
        if self._model is None:
            raise UserError(f"{type(self).__name__} has no model: set self.model before compile()")
        if self._model.output.shape[1:] != (self.nb_actions,):
            raise UserError(
                f"the model's output has shape {self._model.output.shape}, but DQN expects one dimension for each "
                f"action: (None, {self.nb_actions})"
            )
        self._inputs = ModelInputs(self._model, self.processor, memory.window_length)
        owns_sample = overrides(memory, "sample")
        self._samples = owns_sample or not hasattr(memory, "draw")
        if self.n_step > 1 and not hasattr(memory, "draw"):
            raise UserError(f"n_step above 1 needs a kerasrl.SequentialMemory, not {memory!r}")
        if owns_sample and (self.n_step > 1 or getattr(memory, "is_weighted", False)):
            what = "n_step above 1 needs" if self.n_step > 1 else "priorities need"
            raise UserError(f"{what} the memory's `draw`: override that, not {type(memory).__name__}.sample")
        if self.n_step > 1 and self.memory_interval > 1:
            raise UserError(f"n_step above 1 needs every step: memory_interval must be 1, not {self.memory_interval}")
        self._nb_needed = memory.window_length + self.n_step + 1  # stored steps
        if self.n_step > 1:
            self._require_room()

    def _require_room(self) -> None:
        if hasattr(self.memory, "draw") and self.memory.limit <= self._nb_needed:
            raise UserError(
                f"the memory's limit must be at least window_length + n_step + 2 = {self._nb_needed + 1}, so that "
                f"there is always a step to draw; it is {self.memory.limit}"
            )

    def take_stock(self) -> None:
        """Find out what is overridden; raise `UserError` if it cannot be called, or the settings do not go together."""
        super().take_stock()
        self._check()
        memory = self._memory
        asks, samples = overrides(memory, "get_recent_state"), overrides(memory, "sample")
        chain = ("forward", "compute_q_values", "compute_batch_q_values", "process_state_batch")
        self._asks_memory = asks or memory.window_length > 1
        self._looks_ahead = not asks and not overrides(self, *chain)
        self._counts_steps = hasattr(memory, "nb_entries") and not samples
        of_states = self.states if overrides(self, "process_state_batch") else None
        self._batches = Batches(self._inputs, of_states, self._samples)
        if not overrides(self, "backward") and (self._own_models or (self.compiled and not self.trainables)):
            raise UserError(
                f"{type(self).__name__}.compile has to leave the models to super().compile(optimizer, metrics), unless "
                "the class has a `backward` of its own: Keras 3's optimizers lack what Keras-RL's compile is made of"
            )
        if self.is_fitting and samples and hasattr(memory, "draw"):
            _note_slow(memory, "sample")
        if self.is_fitting and of_states:
            _note_slow(self, "process_state_batch")

    def _recent_state(self, observation: Any) -> Any:
        return self._memory.get_recent_state(observation) if self._asks_memory else [observation]

    def process_state_batch(self, batch: list[Any]) -> Any:
        """Return what the model takes, from a list of states, each a list of observations.

        An array [B, W, *part], or a list of them for a model of several inputs.
        """
        if not self._has_taken_stock:
            self.take_stock()
        arrays = self._inputs.of_states(batch)
        return arrays[0] if len(arrays) == 1 else arrays

    def states(self, batch: list[Any]) -> list[np.ndarray]:
        """Return what `process_state_batch` returns as an array for each input of the model."""
        processed = self.process_state_batch(batch)
        return [processed] if type(processed) is np.ndarray else self._inputs.listed(processed)

    def compute_batch_q_values(self, state_batch: list[Any]) -> np.ndarray:
        """Return the Q-values [B, nb_actions] of a list of states."""
        return self._network.output(self.states(state_batch))

    def compute_q_values(self, state: list[Any]) -> np.ndarray:
        """Return the Q-values [nb_actions] of one state, a list of observations."""
        q_values: np.ndarray = self.compute_batch_q_values([state])[0]
        return q_values

    @property
    def _network(self) -> Trainable:
        """The Q-network."""
        raise NotImplementedError


_told: Any = weakref.WeakSet()  # classes whose users know that they are slow


def _note_slow(owner: Any, name: str) -> None:
    """Issue a `Note`, once for each class, that a method which somebody has overridden makes a step slow."""
    if type(owner) not in _told:
        _told.add(type(owner))
        warnings.warn(
            f"{type(owner).__name__}.{name} is called at each update, as in Keras-RL, instead of one call for all: a "
            "step takes two to three times as long",
            Note,
            stacklevel=2,
        )
