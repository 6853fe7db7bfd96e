"""What agents that learn from a replay memory share, whatever they learn."""

import math
import operator
import warnings
import weakref
from typing import Any

import numpy as np
import rl.memory

from kerasrl.agents.soundness import LARGEST, why_unsound
from kerasrl.agents.state_batches import StateBatches
from kerasrl.errors import DivergenceError, Note, UserError
from kerasrl.learning import Metrics, ModelInputs, Trainable
from kerasrl.learning.batches import Batches
from kerasrl.overrides import overrides
from kerasrl.plain import plain
from kerasrl.replay.transitions import NothingToDraw
from kerasrl.storage.weights import Weights


class ReplayAgent(StateBatches):
    """An agent that stores its steps in a memory and trains on samples of it, with the next action in the same call.

    To make one, write besides `compile`, which ends with `_begin_compiled`,

    - `_model` and `_acts_by`, the model from states to what an action is chosen by, and its name in `trainables`;
    - `_choose`, an action by the network's output, and `_act_on`, an action for a state as Keras-RL chooses it;
    - `_make_update`, which returns the update with some options, to be called as a `BatchUpdate` is;
    - `_settings`, `_update_options` and `_require_sound`, if the agent has more settings than the ones below;
    - the method that `_hard_update` names, which makes the targets equal to the networks.

    Attributes:
        gamma: Discount factor.
        batch_size: Transitions in an update.
        nb_steps_warmup: Steps before the first update.
        train_interval: Steps between training steps.
        memory_interval: Steps between stored steps; an episode's end is always stored.
        target_model_update: Below 1 the mixing rate of a soft update after each update, from 1 on the number of steps
            between hard updates.
        delta_clip: Size of the temporal-difference error above which the Huber loss is linear.
        gradient_steps: Updates in each training step, in one call.
        n_step: Steps of a return (Sutton 1988).
    """

    nb_actions: int
    gamma: float
    batch_size: int
    nb_steps_warmup: int
    train_interval: int
    memory_interval: int
    target_model_update: float
    delta_clip: float
    gradient_steps = n_step = 1
    # What has to be checked, or compiled anew, if it is set later; anything else is read at each step.
    _settings: tuple[str, ...] = (
        *("target_model_update", "delta_clip", "gradient_steps", "n_step"),
        *("batch_size", "train_interval", "memory_interval"),
    )
    _hard_update = "update_target_model_hard"  # Keras-RL's name of the method that makes targets equal
    _choosing: tuple[str, ...] = ("forward", "process_state_batch")  # what Keras-RL calls to choose an action
    # What is known in advance of the observation to act on next.
    _next_observation: Any = None
    _next_state: list[np.ndarray] | None = None  # as the model sees it, once the call that trains has valued it
    _next_output: np.ndarray | None = None  # None, too, if somebody may have changed the weights since
    _nb_changes = 0  # of the network when that was known
    _has_ended = False  # the episode, with the step before
    changed_by_acting = (*StateBatches.changed_by_acting, "_next_observation", "_next_state", "_has_ended")
    _looks_ahead = True  # whether the call that trains may value it, since nobody has to be asked
    _model: Any = None
    _update: Any  # the compiled update
    _made_with: dict[str, Any]  # its options
    _own_metrics_names: list[str]  # of what it returns

    def _begin(self, metadata: dict[str, Any] | None) -> None:
        super()._begin(metadata)
        self._own_models: dict[str, Any] = {}  # that a user's own `compile` has set

    # What an agent defines

    def _act_on(self, state: list[Any]) -> Any:
        raise NotImplementedError

    def _choose(self, output: np.ndarray) -> Any:
        raise NotImplementedError

    def _make_update(self, **options: Any) -> Any:
        raise NotImplementedError

    def _update_options(self) -> dict[str, Any]:
        return {
            "delta_clip": self.delta_clip,
            # Mixing rate of the soft update in the compiled call, None for hard updates on demand.
            "tau": float(self.target_model_update) if self._moves_target_in_call else None,
            "gradient_steps": self.gradient_steps,
            "weighted": getattr(self._memory, "is_weighted", False),
        }

    def _require_sound(self) -> None:
        """Raise `UserError` unless what the agent was given, or given later, goes together."""
        for name in ("nb_actions", "batch_size", "train_interval", "memory_interval", "gradient_steps", "n_step"):
            if not getattr(self, name) >= 1:
                raise UserError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not self.delta_clip > 0:
            raise UserError(f"delta_clip must be positive, not {self.delta_clip}")
        if not self.target_model_update >= 0:
            raise UserError(f"target_model_update must be at least 0, not {self.target_model_update}")
        memory = self._memory
        if not isinstance(memory, rl.memory.Memory) or isinstance(memory, rl.memory.EpisodeParameterMemory):
            raise UserError(f"{type(self).__name__} learns from a kerasrl.SequentialMemory, not from {memory!r}")

    def _require_memory_for_n_step(self) -> None:
        memory, owns_sample = self._memory, overrides(self._memory, "sample")
        if self.n_step > 1 and not hasattr(memory, "draw"):
            raise UserError(f"n_step above 1 needs a kerasrl.SequentialMemory, not {memory!r}")
        if owns_sample and (self.n_step > 1 or getattr(memory, "is_weighted", False)):
            what = "n_step above 1 needs" if self.n_step > 1 else "priorities need"
            raise UserError(f"{what} the memory's `draw`: override that, not {type(memory).__name__}.sample")
        if self.n_step > 1 and self.memory_interval > 1:
            raise UserError(f"n_step above 1 needs every step: memory_interval must be 1, not {self.memory_interval}")
        if self.n_step > 1:
            self._require_room()

    def _require_room(self) -> None:
        needed = self._nb_needed()
        if hasattr(self._memory, "draw") and self._memory.limit <= needed:
            raise UserError(
                f"the memory's limit must be at least window_length + n_step + 2 = {needed + 1}, so that "
                f"there is always a step to draw; it is {self._memory.limit}"
            )

    def _nb_needed(self) -> int:
        """Return how many steps have to be stored before there is one to draw."""
        return int(self._memory.window_length + self.n_step + 1)

    def take_stock(self) -> None:
        """Find out what is overridden, and make the update for the settings as they are.

        Raises `UserError` if something cannot be called, or the settings do not go together.
        """
        super().take_stock()
        self._require_sound()
        memory = self._memory
        self._inputs = ModelInputs(self._model, self.processor, memory.window_length, self.normalizer)
        self._require_memory_for_n_step()
        asks, samples = overrides(memory, "get_recent_state"), overrides(memory, "sample")
        self._asks_memory = asks or memory.window_length > 1
        self._looks_ahead = not asks and not overrides(self, *self._choosing)
        # Steps to be stored before there is one to draw, 0 if the memory has to know itself.
        self._nb_steps_to_draw = self._nb_needed() if hasattr(memory, "nb_entries") and not samples else 0
        of_states = self.states if overrides(self, "process_state_batch") else None
        self._batches = Batches(self._inputs, memory, of_states, by_sample=samples or not hasattr(memory, "draw"))
        if not overrides(self, "backward") and (self._own_models or (self.compiled and not self.trainables)):
            raise UserError(
                f"{type(self).__name__}.compile has to leave the models to super().compile(optimizer, metrics), unless "
                "the class has a `backward` of its own: Keras 3's optimizers lack what Keras-RL's compile is made of"
            )
        if self.is_fitting and samples and hasattr(memory, "draw"):
            _note_slow(memory, "sample")
        if self.is_fitting and of_states:
            _note_slow(self, "process_state_batch")
        self._read_settings = operator.attrgetter(*self._settings)
        self._known_settings = self._read_settings(self)
        # A copy after every update is a soft update with rate 1, which the compiled call includes.
        always = self.target_model_update == 1 and self.gradient_steps == 1
        always = always and not overrides(self, self._hard_update)
        self._moves_target_in_call = self.target_model_update < 1 or always
        if self.trainables and (options := self._update_options()) != self._made_with:
            self._made_with = options
            for network in self.trainables.values():
                network.calls.forget()
            self._update = self._make_update(**options)

    def _begin_compiled(self, trainables: dict[str, Trainable], metrics: Metrics) -> None:
        """Take over what `compile` has made: networks, and metrics that are logged after the loss."""
        self._own_metrics, self._own_metrics_names = metrics, ["loss", *metrics.names]
        self.trainables, self.compiled, self._made_with = trainables, True, {}
        self.take_stock()

    def bytes_per_entry(self) -> float | None:
        """Return how many bytes a step in the memory takes, as in the base class, in the way that it is drawn."""
        if not hasattr(self._memory, "bytes_per_step"):
            return None
        size: float = self._memory.bytes_per_step(packs=self._batches.takes_packed and self.n_step == 1)
        return size

    # States

    def _recent_state(self, observation: Any) -> Any:
        return self._memory.get_recent_state(observation) if self._asks_memory else [observation]

    # A step

    def _forget_next(self) -> None:
        self._next_observation = self._next_state = self._next_output = None

    def reset_states(self) -> None:
        """Forget the recent action and observation."""
        super().reset_states()
        self._forget_next()
        self._has_ended = False

    def forward(self, observation: Any) -> Any:
        """Choose an action for `observation`."""
        if not self._has_taken_stock:
            self.take_stock()
        if self._next_state is None or observation is not self._next_observation:
            self._forget_next()
            action = self._act_on(self._recent_state(observation))
        else:
            output = self._next_output
            network = self._network
            if output is None or network.handed_out or network.nb_changes != self._nb_changes:
                output = network.output(self._next_state)[0]
            self._forget_next()
            action = self._choose(output)
        self.recent_observation = observation
        self.recent_action = action
        return action

    def expect(self, observation: Any, truncated: bool = False) -> None:
        """Learn, before `backward`, what will be acted on next, so that the call that trains can value it, too."""
        self._next_observation, self.recent_truncated = observation, truncated

    def backward(self, reward: float, terminal: bool = False) -> list[float]:
        """Store the step that `forward` began, train when it is due, and return the metrics."""
        if not self._has_taken_stock or self._read_settings(self) != self._known_settings:
            self.take_stock()
        # An episode's end, and the observation after it, are stored whatever the interval.
        if terminal or self._has_ended or self.step % self.memory_interval == 0:
            self.remember(reward, terminal)
        self._has_ended = terminal
        if not self.training:
            return [np.nan] * len(self.metrics_names)
        if (
            self.step - self.first_step > self.nb_steps_warmup
            and self.step % self.train_interval == 0
            and (not self._nb_steps_to_draw or self._memory.nb_entries >= self._nb_steps_to_draw)
        ):
            metrics = self._train()
            for part in self._reporting():
                metrics += map(plain, part.metrics)
        else:
            metrics = [np.nan] * len(self.metrics_names)
        if not self._moves_target_in_call and self.step % int(self.target_model_update) == 0:
            self.copy_targets()
        return metrics

    def _reporting(self) -> list[Any]:
        """Return the objects that the agent was given whose metrics follow its own."""
        return [] if self.processor is None else [self.processor]

    @property
    def metrics_names(self) -> list[str]:
        """Names of the values that `backward` returns: loss, metrics, mean_q, then those of what it was given."""
        return [*self._own_metrics_names, *[name for part in self._reporting() for name in part.metrics_names]]

    def _train(self) -> list[float]:
        """Update the networks and compute, in the same call, the output for the observation to act on next."""
        try:
            batch = self._batches.draw(
                self.recent_observation, self.batch_size, self.gradient_steps, self.n_step, self.gamma
            )
        except NothingToDraw:  # no episode so far was longer than a step
            return [np.nan] * len(self._own_metrics_names)
        if self._next_observation is None or not self._looks_ahead:  # there is none, or it is asked for: any will do
            state = batch.first_state(self._memory.window_length)
        else:
            state = self._next_state = self._inputs.of_states([self._recent_state(self._next_observation)])
        metrics, self._next_output, errors = self._update(batch, state)
        self._nb_changes = self._network.nb_changes
        result: list[float] = metrics.tolist()
        if not -LARGEST <= result[0] <= LARGEST:
            self.excess_step = self.step
            if not math.isfinite(result[0]):
                raise DivergenceError(f"the loss became {result[0]} at step {self.step}: {batch.why_not_finite()}")
        if batch.rows is not None and len(errors):  # there are none if what they belong to is still warming up
            self._memory.update_priorities(batch.rows, errors)
        return result

    # Weights

    def copy_targets(self) -> None:
        """Make the target networks equal to the online networks, as Keras-RL's method does, or a user's own."""
        if self.compiled:
            getattr(self, self._hard_update)()

    def assign_weights(self, saved: Weights, skip_mismatch: bool = False) -> None:
        """Put weights read from a file into the online and the target networks, before `compile` into the models."""
        self._next_output = None
        super().assign_weights(saved, skip_mismatch)

    # For `Loop` and `kerasrl.storage`

    def begin_training(self) -> None:
        """Begin, as every agent does; `UserError` if the memory is too small to learn from."""
        self._require_room()
        super().begin_training()

    def _output_soundness(self, what: str) -> str:
        """Return what is wrong with the output for the state that was seen last, without asking a processor for it."""
        output = self._next_output
        if output is None and self.processor is None and self.recent_observation is not None:
            output = self._network.output(self.states([self._recent_state(self.recent_observation)]))
        return "" if output is None else why_unsound(what, [output])


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
