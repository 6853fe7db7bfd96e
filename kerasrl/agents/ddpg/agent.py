"""Keras-RL's DDPGAgent, learning in one compiled call for each step."""

import os
import warnings
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import rl.agents.ddpg
import rl.core
from rl.agents.ddpg import mean_q

from kerasrl.agents.continuous import ContinuousAgent
from kerasrl.agents.ddpg.by_hand import TrainsByHand
from kerasrl.agents.ddpg.models import CriticInputs
from kerasrl.agents.ddpg.update import Update
from kerasrl.errors import Note, UserError, one_line
from kerasrl.learning import Metrics, Trainable, clone, fresh
from kerasrl.learning.batches import Batch
from kerasrl.learning.inputs import usable
from kerasrl.storage import several_files, weights

_SUFFIXES = "_actor", "_critic"  # of the names of Keras-RL's weights files


class DDPGAgent(TrainsByHand, ContinuousAgent, rl.agents.ddpg.DDPGAgent):
    """Deep deterministic policy gradients (Lillicrap et al. 2015) with Keras-RL's arguments, defaults and methods.

    For continuous actions. A critic learns what an action in a state is worth, an actor to choose the action that the
    critic values most; both are updated in one compiled call for each step (`kerasrl.agents.ddpg.update`), which
    Keras-RL's `compile` cannot make of Keras 3. Actions go to the memory and to the environment as the actor and the
    random process make them: where the environment wants them within bounds, a processor's `process_action` clips.

    What differs on purpose: the last state of an episode that a time limit ends (`truncated`) keeps its value, and
    regularizers of the actor count.

    `actor` and `critic` are exact whenever they are read from the agent, at the end of each episode and after `fit`.

    Args:
        nb_actions: How many numbers make an action.
        actor: Keras model from states [B, window_length, *observation] to actions [B, nb_actions].
        critic: Keras model from the actor's inputs and actions to values [B, 1].
        critic_action_input: The critic's input for the actions, at any place among its inputs.
        memory: kerasrl.SequentialMemory or PrioritizedMemory, or any Keras-RL memory, which is slower.
        gamma: Discount factor.
        batch_size: Transitions in an update.
        nb_steps_warmup_critic: Steps before the critic's first update.
        nb_steps_warmup_actor: Steps before the actor's first update.
        train_interval: Steps between training steps.
        memory_interval: Steps between stored steps; an episode's end is always stored.
        delta_range: Deprecated, use delta_clip.
        delta_clip: Size of the temporal-difference error above which the Huber loss is linear.
        random_process: rl.random.RandomProcess, whose samples [nb_actions] are added to actions in training.
        custom_model_objects: Classes by name, needed to copy a model that uses them.
        target_model_update: Below 1 the mixing rate of a soft update after each update, from 1 on the number of steps
            between hard updates.
        processor: rl.core.Processor between environment and agent.
        gradient_steps: Updates in each training step, in one call.
        n_step: Steps of a return (Sutton 1988), as in DQNAgent.
        metadata: What the weights files say besides the weights; anything JSON can hold.

    Raises:
        UserError: The arguments do not go together.
    """

    _after_own = rl.core.Agent
    _acts_by = "actor"
    _hard_update = "update_target_models_hard"
    actor_optimizer: Any = None
    critic_optimizer: Any = None

    def __init__(
        self,
        nb_actions: int,
        actor: Any,
        critic: Any,
        critic_action_input: Any,
        memory: Any,
        gamma: float = 0.99,
        batch_size: int = 32,
        nb_steps_warmup_critic: int = 1000,
        nb_steps_warmup_actor: int = 1000,
        train_interval: int = 1,
        memory_interval: int = 1,
        delta_range: tuple[float, float] | None = None,
        delta_clip: float = np.inf,
        random_process: Any = None,
        custom_model_objects: dict[str, Any] | None = None,
        target_model_update: float = 0.001,
        processor: Any = None,
        *,
        gradient_steps: int = 1,
        n_step: int = 1,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._begin(metadata)
        rl.core.Agent.__init__(self, processor)
        if delta_range is not None:
            delta_clip = delta_range[1]
            warnings.warn(f"delta_range is deprecated: use delta_clip={delta_clip}", Note, stacklevel=2)
        self.nb_actions, self.memory, self.gamma, self.batch_size = nb_actions, memory, gamma, batch_size
        self.nb_steps_warmup_critic, self.nb_steps_warmup_actor = nb_steps_warmup_critic, nb_steps_warmup_actor
        self.train_interval, self.memory_interval, self.delta_clip = train_interval, memory_interval, delta_clip
        self.random_process, self.custom_model_objects = random_process, custom_model_objects or {}
        self.target_model_update = target_model_update
        self.gradient_steps, self.n_step = gradient_steps, n_step
        self.actor, self.critic, self.critic_action_input = actor, critic, critic_action_input
        self._critic_inputs = self._join()
        self.take_stock()
        self.reset_states()

    def _join(self) -> CriticInputs:
        inputs = CriticInputs(self._model, self._critic, self.critic_action_input, self.nb_actions)
        self.critic_action_input_idx = inputs.index
        return inputs

    @property
    def nb_steps_warmup(self) -> int:
        """Steps before the first update of either network; what is set counts for both."""
        return min(self.nb_steps_warmup_critic, self.nb_steps_warmup_actor)

    @nb_steps_warmup.setter
    def nb_steps_warmup(self, number: int) -> None:
        self.nb_steps_warmup_critic = self.nb_steps_warmup_actor = number

    # Models

    @property
    def actor(self) -> Any:
        """The online actor. Reading it brings it up to date; changes to it take effect."""
        self._next_output = None
        return self.trainables["actor"].online() if self.trainables else self._model

    @actor.setter
    def actor(self, model: Any) -> None:
        self._require_not_compiled("actor")
        self._model = usable(model, "the actions [B, nb_actions]", "actor")

    @property
    def critic(self) -> Any:
        """The online critic. Reading it brings it up to date; changes to it take effect."""
        return self.trainables["critic"].online() if self.trainables else self._critic

    @critic.setter
    def critic(self, model: Any) -> None:
        self._require_not_compiled("critic")
        self._critic = usable(model, "the values [B, 1]", "critic")

    def _require_not_compiled(self, name: str) -> None:
        if self.compiled:
            raise UserError(f"the {name} of a compiled agent cannot be replaced; make a new agent")

    @property
    def target_actor(self) -> Any:
        """A copy of the target actor, made when it is read; changes to it take effect."""
        return self._target("actor")

    @target_actor.setter
    def target_actor(self, model: Any) -> None:
        self._own_models["actor"] = model

    @property
    def target_critic(self) -> Any:
        """A copy of the target critic, made when it is read; changes to it take effect."""
        return self._target("critic")

    @target_critic.setter
    def target_critic(self, model: Any) -> None:
        self._own_models["critic"] = model

    def _target(self, name: str) -> Any:
        if name in self._own_models:
            return self._own_models[name]
        if not self.compiled:
            raise RuntimeError("the agent has not been compiled yet: call compile() first")
        return self.trainables[name].target()

    def compile(self, optimizer: Any, metrics: Sequence[Any] = (), jit_compile: bool | str = "auto") -> None:
        """Set the optimizers and the critic's metrics, which are logged after the loss and before mean_q.

        Args:
            optimizer: Keras optimizer or its name, for both networks, which each have a copy; or one for the actor and
                one for the critic.
            metrics: Keras metrics, their names, or functions of (targets [B, 1], values [B, 1]); or two lists of them,
                of which, as in Keras-RL, the first, the actor's, is not used.
            jit_compile: As in Keras: True compiles with XLA, False does not, 'auto' does where it is possible.

        Raises:
            UserError: An optimizer or a metric cannot be used.
        """
        optimizers = list(optimizer) if isinstance(optimizer, list | tuple) else [optimizer]
        if len(optimizers) not in (1, 2):
            raise UserError(f"one optimizer is needed, or two, the actor's and the critic's, not {len(optimizers)}")
        if len(metrics) == 2 and all(isinstance(own, list | tuple) for own in metrics):
            metrics = metrics[1]
        try:
            first = fresh(optimizers[0])
            second = fresh(optimizers[-1])
            if second is first:
                second = clone(first)
            own_metrics = Metrics([*metrics, mean_q], 1)
        except (ValueError, TypeError) as error:
            raise UserError(f"cannot compile: {one_line(error)}") from error
        self._critic_inputs = self._join()
        self.actor_optimizer, self.critic_optimizer = first, second
        networks = {
            name: Trainable(model, own, custom_objects=self.custom_model_objects, jit_compile=jit_compile)
            for name, model, own in [("actor", self._model, first), ("critic", self._critic, second)]
        }
        self._critic.train_on_batch = self._train_critic_on_batch
        self._begin_compiled(networks, own_metrics)

    def _make_update(self, **options: Any) -> Any:
        actor, critic = self.trainables.values()
        update = self._by_hand = Update(actor, critic, self._critic_inputs, self._own_metrics, **options)

        def train(batch: Batch, following: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            phase = self._phase()
            metrics, output, errors = update(batch, following, phase)
            return metrics, output, errors if phase[0] else errors[:0]

        return train

    def _phase(self) -> tuple[bool, bool]:
        """Return whether the critic, and whether the actor, has had its warm-up."""
        number = self.step - self.first_step
        return number > self.nb_steps_warmup_critic, number > self.nb_steps_warmup_actor

    def _train(self) -> list[float]:
        metrics = super()._train()
        return metrics if self._phase()[0] else [np.nan] * len(metrics)

    def update_target_models_hard(self) -> None:
        """Make the target networks equal to the online networks."""
        if self._own_models:
            self.target_critic.set_weights(self.critic.get_weights())
            self.target_actor.set_weights(self.actor.get_weights())
            return
        for network in self.trainables.values():
            network.copy_target()

    # Weights

    def _networks(self) -> Any:
        self.synchronise()
        return SimpleNamespace(layers=list(dict.fromkeys([*self._model.layers, *self._critic.layers])))

    def weights_files(self, filepath: str | os.PathLike[str]) -> list[str]:
        """Return NAME_actor.h5f and NAME_critic.h5f for NAME.h5f; both have the metadata."""
        return several_files.files_of(filepath, _SUFFIXES)

    def write_weights(
        self, filepath: str | os.PathLike[str], values: list[np.ndarray] | None = None, held: bytes | None = None
    ) -> None:
        """Write the online networks' weights to two HDF5 files; see `weights_files` and `Agent.write_weights`."""
        held = self.held_state() if values is None else held
        values = self.get_weights() if values is None else values
        actor, critic = self.weights_files(filepath)
        number, together = len(weights.arrays(self._model)), weights.digest(values)
        # The critic's first: whoever finds new settings in the actor's finds both files new.
        weights.write(critic, self._critic, self.metadata, values[number:], together, held)
        weights.write(actor, self._model, self.metadata, values[:number], together, held)

    def load_weights(self, filepath: str | os.PathLike[str], skip_mismatch: bool = False) -> None:
        """Read weights written by this or any older Keras-RL into the online and the target networks.

        Args:
            filepath: NAME.h5f, NAME_actor.h5f or NAME_critic.h5f: both files are read.
            skip_mismatch: As in Keras: let layers of other shapes keep their own weights; a `Note` says which.

        Raises:
            WeightsError: A file is missing, damaged, or holds the weights of another network, or of another moment.
        """
        self.assign_weights(several_files.read_all(several_files.find(filepath, _SUFFIXES)), skip_mismatch)
