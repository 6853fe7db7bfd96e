"""What all agents have: `fit` and `test`, weights files, a state to resume from."""

import contextlib
import copy
import os
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import rl.core
import rl.memory

from kerasrl import seeds
from kerasrl.agents.loop import Loop
from kerasrl.agents.masking import own_mask
from kerasrl.agents.nested_test import undone
from kerasrl.agents.remembering import appending
from kerasrl.agents.soundness import LARGEST, SUSPECT, why_unsound
from kerasrl.environments.adapter import Playing
from kerasrl.environments.normalizing import NormalizingProcessor
from kerasrl.environments.spaces import within
from kerasrl.errors import Note, UserError, WeightsError
from kerasrl.learning.trainable import Trainable
from kerasrl.overrides import overrides
from kerasrl.storage import TrainingState, held_state, weights
from kerasrl.storage.object_state import restore

# Where somebody's own of these comes between observation and network, no other may say what fits.
_CHOOSING = ("forward", "select_action", "compute_q_values", "compute_batch_q_values", "process_state_batch")


class Agent(rl.core.Agent):
    """An agent that trains and plays; Keras-RL's counts steps in 16 bits, which overflow at 32,767 on NumPy 2.

    To make one, write

    - `compile`, which puts the networks into `trainables` and sets `compiled`;
    - `forward(observation)`, which returns an action and sets `recent_observation` and `recent_action`;
    - `backward(reward, terminal)`, which learns if `training` and returns the values that `metrics_names` names.

    Anything else that a resume has to restore goes into `parts` (policies, random processes) or into `get_state` and
    `set_state`. Random numbers come from `np.random` or `random`, which `fit` and `test` seed. What looks past a method
    that a user may override belongs into `take_stock`, which each `fit` and `test` calls.

    Args:
        args, kwargs: Arguments of Keras-RL's agent, such as `processor`.
        metadata: What weights files say about the agent besides the weights; anything JSON can hold.

    Attributes:
        bounds: Lowest and highest continuous action. The environment gets actions clipped to these, and in their shape;
            the memory keeps what the agent chose. None, as in Keras-RL: it gets these.
        reward_scale: Factor of the rewards that the memory keeps. Those that are reported keep their size.
        nb_random_steps: Steps at the beginning of a `fit` whose actions are random.
        normalizer: Statistics by which observations are normalised, which `fit` updates, None if they are not.
        is_discrete: Whether it chooses one of `nb_actions` actions, by its number, and only those that `action_mask`
            allows. Those of an environment that are no such numbers are made of them by `decode`.
        action_mask: Which actions are legal for the observation to act on next [nb_actions] bool; None: all. `fit` and
            `test` set it if the environment says so.
        decode: What makes the environment's action of the number that was chosen, None if it is that number. `fit` and
            `test` set it by the environment's action space.
        trainables: The networks of a compiled agent, by name, in the order of a weights file.
        memory: Replay memory, if any.
        compiled: Whether `compile` was called.
        training: Whether it learns: True in `fit` and after it, False in `test` and after it, as in Keras-RL.
        step: Steps taken in this `fit`.
        first_step: The step from which the warm-up counts: 0, or that of a resume without the memory.
        excess_step: The last step whose loss was above 1e15, None if there was none.
        recent_observation: What was last acted on.
        recent_action: The action taken on it.
        recent_truncated: Whether a time limit ended the episode after that.
        recent_info: What the environment, after the processor, last told in `info`.
        is_fitting: Whether `fit` is running.
        stop_training: Set it, as in Keras, to end `fit`.
        did_abort: Whether Ctrl-C or a closed window ended the last `fit`.
        left_out: The layers that kept their own weights in the last `load_weights`, and why, in words.
    """

    _memory: Any = None
    _processor: Any = None
    _inputs: Any = None  # how observations become inputs of the network that acts, for agents that use `ModelInputs`
    _has_taken_stock = False  # since a `fit` or `test` began, and since memory or processor were set
    compiled = False
    output_name = "q_values"  # what the network that acts puts out
    bounds: tuple[np.ndarray, np.ndarray] | None = None
    reward_scale = 1.0
    nb_random_steps = 0
    nb_actions: int
    is_discrete = False
    action_mask: np.ndarray | None = None
    decode: Callable[[Any], Any] | None = None
    normalizer: Any = None
    history: keras.callbacks.History | None = None  # of the last `fit`
    # What acting changes in an agent, and `undone` puts back.
    changed_by_acting: tuple[str, ...] = (
        *("training", "step", "recent_observation", "recent_action", "recent_truncated", "recent_info"),
        *("action_mask", "decode"),
    )
    # Keras-RL's class whose constructor comes next where a subclass skips this project's, as in its own copy of it.
    _after_own: Any = None
    _of_others: tuple[str, ...] = ()  # arguments of other agents that this one may be given by mistake
    _learns_from = ""
    is_seeded = False  # whether any `fit` had a seed
    exploring: tuple[str, ...] = ("policy", "random_process")  # its `parts` by which it explores
    left_out: Sequence[str] = ()
    has_final_weights = False  # whether a training ends with other weights than those of its last step
    _is_in_loop = False
    _append: Any = None  # appends a step to the memory; see `appending`

    def __init__(self, *args: Any, metadata: dict[str, Any] | None = None, **kwargs: Any) -> None:
        self._begin(metadata)
        if self._after_own is None:
            super().__init__(*args, **kwargs)
        else:
            self._after_own.__init__(self, *args, **kwargs)

    def _begin(self, metadata: dict[str, Any] | None) -> None:
        self.trainables: dict[str, Trainable] = {}
        self.metadata = metadata
        self.recent_observation: Any = None
        self.recent_action: Any = None
        self.recent_truncated = False
        self.recent_info: dict[str, Any] = {}
        self.first_step = 0
        self.excess_step: int | None = None
        self.is_fitting = self.stop_training = self.did_abort = False
        self._seen: list[Any] = []  # what `act` was shown in this episode

    def _refuse_others(self, given: dict[str, Any]) -> None:
        """Raise `UserError` for an argument of another agent."""
        for name in self._of_others:
            if name in given:
                raise UserError(
                    f"{type(self).__name__} has no {name}, since it learns from {self._learns_from}: leave it out"
                )

    def fit(
        self,
        env: Any,
        nb_steps: int,
        action_repetition: int = 1,
        callbacks: Sequence[Any] | None = None,
        verbose: int = 1,
        visualize: bool = False,
        nb_max_start_steps: int = 0,
        start_step_policy: Callable[[Any], Any] | None = None,
        log_interval: int = 10000,
        nb_max_episode_steps: int | None = None,
        seed: int | None = None,
        state: TrainingState | None = None,
        resume: bool = False,
        action_masks: bool = True,
    ) -> keras.callbacks.History:
        """Train for `nb_steps` steps in `env`, as Keras-RL's `fit` does; Ctrl-C ends it early.

        Args:
            env: Environment: gym, Gymnasium, or `rl.core.Env`.
            nb_steps: Number of steps.
            action_repetition: How often each action is repeated within a step.
            callbacks: Keras-RL callbacks.
            verbose: 0 for nothing, 1 for a live line, 2 for a line for each episode.
            visualize: Show the environment in a window.
            nb_max_start_steps: Upper limit of the number of steps at each episode's start that are not learned from.
            start_step_policy: Policy for those steps, observation -> action; random actions by default.
            log_interval: Steps between lines at verbose=1 when the output is not a terminal.
            nb_max_episode_steps: Time limit of an episode in steps.
            seed: Seed of all random numbers of this run: exploration, replay, random starts, and the environment, whose
                k-th episode gets a seed made from (seed, k). By default the one that `kerasrl.seed`
                has set since the last `fit`; without one, the generators go on. The model's initial weights are drawn
                earlier: `kerasrl.seed(n)` or keras.utils.set_random_seed(n) before it is built seeds them.
            state: Where to save what an exact resume needs.
            resume: Continue from `state`. With the same arguments and a seed the result is that of a single run,
                provided that a seeded reset determines everything random in the environment.
            action_masks: Take and value only actions that the environment says are legal, if it does so: in
                info["action_mask"] of each `reset` and `step`, or by a method `action_masks()`.

        Returns:
            The History of the episodes.

        Raises:
            RuntimeError: The agent has not been compiled.
            UserError: An argument cannot be used, or there is nothing to resume.
            DivergenceError: The loss has become infinite or NaN.
        """
        seed = seeds.for_fit(seed)
        starts = nb_max_start_steps, start_step_policy
        play = Playing(action_repetition, visualize, *starts, nb_max_episode_steps, seed, action_masks)
        return Loop(self, env, callbacks, play).fit(nb_steps, verbose, log_interval, state, resume)

    def test(
        self,
        env: Any,
        nb_episodes: int = 1,
        action_repetition: int = 1,
        callbacks: Sequence[Any] | None = None,
        visualize: bool = True,
        nb_max_episode_steps: int | None = None,
        nb_max_start_steps: int = 0,
        start_step_policy: Callable[[Any], Any] | None = None,
        verbose: int = 1,
        seed: int | None = None,
        action_masks: bool = True,
    ) -> keras.callbacks.History:
        """Play `nb_episodes` episodes without learning; arguments and the result are as for `fit`.

        Called from a callback during `fit`, it leaves the training as it was.
        """
        starts = nb_max_start_steps, start_step_policy
        play = Playing(action_repetition, visualize, *starts, nb_max_episode_steps, seed, action_masks)
        return Loop(self, env, callbacks, play).test(nb_episodes, verbose)

    def act(self, observation: Any, action_mask: Any = None) -> Any:
        """Return the action that `test` would choose: the greedy one, unless `test_policy` is another.

        For loops of one's own. The observation is the environment's, and so is the action: the processor, if any, has
        changed both. A state of several observations has those that were seen since the last `reset_states`, which
        begins an episode. A training is left as it was.

        Args:
            observation: What the environment has shown.
            action_mask: Zeros and ones, one for each legal action [nb_actions]; None: all are legal.

        Raises:
            UserError: The network takes other observations; the mask is none, or allows no action.
        """
        mask = own_mask(self, action_mask)
        if self.processor is not None:
            observation = self.processor.process_observation(observation)
        if self._inputs is not None and not overrides(self, *_CHOOSING):
            self._inputs.require(observation)
        with undone(self, is_whole=True):
            for earlier in self._seen:
                rl.memory.Memory.append(self.memory, earlier, None, 0.0, terminal=False)
            self.training, self.action_mask = False, mask
            action = self.forward(observation)
        if self.memory is not None:
            self._seen = [*self._seen, copy.deepcopy(observation)][-self.memory.window_length :]
        if self.processor is not None:
            action = self.processor.process_action(action)
        if self.decode is not None:
            action = self.decode(action)
        return action if self.bounds is None else within(action, self.bounds)

    # What it was given, and may be given later

    @property
    def memory(self) -> Any:
        """The replay memory; another one counts from the next step."""
        return self._memory

    @memory.setter
    def memory(self, memory: Any) -> None:
        self._memory, self._has_taken_stock = memory, False

    @property
    def processor(self) -> Any:
        """The processor between environment and agent; another one counts from the next step.

        A `NormalizingProcessor` that is set becomes the `normalizer` and the processor within it.
        """
        return self._processor

    @processor.setter
    def processor(self, processor: Any) -> None:
        self.normalizer = None
        if isinstance(processor, NormalizingProcessor):
            processor, self.normalizer = processor.processor, processor.normalizer
        self._processor, self._has_taken_stock = processor, False

    def bytes_per_entry(self) -> float | None:
        """Return how many bytes an entry of the memory takes, as those stored so far show; None if that is unknown."""
        of_memory: Callable[[], float] | None = getattr(self.memory, "bytes_per_step", None)
        return None if of_memory is None else of_memory()

    def take_stock(self) -> None:
        """Find out what people's own classes and objects override, so that it is called as Keras-RL calls it.

        Called when a `fit` or `test` begins; outside of them, whatever depends on it asks each time.
        """
        self._has_taken_stock = self._is_in_loop
        memory = self._memory
        self._append = None if memory is None else appending(memory, self.reward_scale)

    def remember(self, reward: float, terminal: bool) -> None:
        """Append the step that `forward` began to the memory, which learns of a time limit as far as it knows them."""
        assert self._append is not None
        step = (self.recent_observation, self.recent_action, reward, terminal)
        self._append(step, self.training, self.recent_truncated)

    # What an agent may add to

    def parts(self) -> dict[str, Any]:
        """Return by name the objects that it was given and that change while it acts; those it lacks are None.

        A training state saves what they hold, and a test in the middle of a training leaves them as they were.
        """
        return {"processor": self.processor, **({} if self.normalizer is None else {"normalizer": self.normalizer})}

    def random_action(self, env: Any) -> Any:
        """Return an action of the kind that `forward` chooses, for a start step; the environment's own by default."""
        return env.action_space.sample()

    @property
    def observation_sizes(self) -> list[int] | None:
        """How many numbers each part of an observation has, None if that is unknown."""
        sizes: list[int] | None = None if self._inputs is None else self._inputs.observation_sizes()
        return sizes

    def expect(self, observation: Any, truncated: bool = False) -> None:
        """Learn, before `backward`, what will be acted on next, and whether a time limit has ended the episode.

        At an episode's end `observation` is first its last one, then None; None, too, if nothing will be acted on.
        """
        self.recent_truncated = truncated

    def keep_masks(self) -> None:
        """Get ready to learn from steps with an `action_mask`; raise `UserError` if that is impossible."""

    def reset_states(self) -> None:
        """Forget the recent action and observation."""
        self._seen = []
        self.recent_action = None
        self.recent_observation = None

    # The network that acts

    @property
    def acting_model(self) -> Any:
        """The network from states to what an action is chosen by, or to the action itself."""
        return self._network.online()

    def states(self, batch: list[Any]) -> list[np.ndarray]:
        """Return states as the network that acts takes them: an array for each of its inputs."""
        arrays: list[np.ndarray] = self._inputs.of_states(batch)
        return arrays

    def output(self, state: list[Any]) -> np.ndarray:
        """Return what the network that acts makes of a state."""
        output: np.ndarray = self._network.output(self.states([state]))[0]
        return output

    def start_generators(self, seed: int) -> None:
        """Seed the generators of exploration (NumPy's, in rl.policy) and of replay."""
        np.random.seed(seed)
        random.seed(seed)
        if callable(seed_memory := getattr(self.memory, "seed", None)):
            seed_memory(seed)

    # Weights

    def _networks(self) -> Any:
        """Return an object with the layers of all online networks, brought up to date."""
        self.synchronise()
        layers = [layer for network in self.trainables.values() for layer in network.model.layers]
        return SimpleNamespace(layers=list(dict.fromkeys(layers)))

    def get_weights(self) -> list[np.ndarray]:
        """Return the online networks' weights in the order of a weights file."""
        return weights.arrays(self._networks())

    def weights_files(self, filepath: str | os.PathLike[str]) -> list[str]:
        """Return the files that `write_weights` writes, the one with the metadata first."""
        return [os.fspath(filepath)]

    def held_state(self) -> bytes | None:
        """Return what processor and normalizer hold, for a weights file; None if that is nothing."""
        return held_state.encoded(self._holding())

    def _holding(self) -> dict[str, Any]:
        return {"processor": self.processor, "normalizer": self.normalizer}

    def write_weights(
        self, filepath: str | os.PathLike[str], values: list[np.ndarray] | None = None, held: bytes | None = None
    ) -> None:
        """Write the online networks' weights, what the processor holds, and the agent's `metadata` to one HDF5 file.

        Args:
            filepath: File to write.
            values: What `get_weights` returned earlier, to write instead of the present weights.
            held: What `held_state` returned then.

        Raises:
            WeightsError: The values come from another network.
            OSError: The file cannot be written; an earlier one is left as it was.
        """
        held = self.held_state() if values is None else held
        weights.write(filepath, self._networks(), self.metadata, values, held=held)

    def save_weights(self, filepath: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the weights as `write_weights` does, if the file does not exist yet or with `overwrite`.

        Raises:
            FileExistsError: The file exists and `overwrite` is False.
            OSError: The file cannot be written; an earlier one is left as it was.
        """
        existing = [] if overwrite else [file for file in self.weights_files(filepath) if os.path.exists(file)]
        if existing:
            raise FileExistsError(f"{existing[0]} exists; pass overwrite=True to replace it")
        self.write_weights(filepath)

    def load_weights(self, filepath: str | os.PathLike[str], skip_mismatch: bool = False) -> None:
        """Read weights written by this or any older Keras-RL into the online and the target networks.

        What the processor held when they were saved comes back, too; a `Note` says if the file does not know it.

        Args:
            filepath: File to read.
            skip_mismatch: As in Keras: let layers of other shapes keep their own weights; a `Note` says which. A
                processor whose state does not fit keeps its own, too.

        Raises:
            WeightsError: The file is missing, damaged, or holds the weights of another network or another processor.
        """
        self.assign_weights(weights.read(filepath), skip_mismatch)

    def assign_weights(self, saved: weights.Weights, skip_mismatch: bool = False) -> None:
        """Put weights read from a file into the online and the target networks; `WeightsError` if they do not fit."""
        for network in self.trainables.values():
            network.online()
        self.left_out = weights.assign(self._networks(), saved, skip_mismatch)
        inputs = [tensor for network in self.trainables.values() for tensor in network.model.inputs]
        try:
            held_state.put_back(saved.held, self._holding(), saved.file, [tuple(tensor.shape[1:]) for tensor in inputs])
        except WeightsError as error:
            error.are_others = True  # the weights fit
            if not skip_mismatch:
                raise
            warnings.warn(f"a processor stays as it is: {error}", Note, stacklevel=3)
        if self.left_out:
            warnings.warn(f"the weights of these layers are not taken: {', '.join(self.left_out)}", Note, stacklevel=3)
        self.copy_targets()

    def start_from(self, filepath: str | os.PathLike[str], skip_mismatch: bool = False) -> None:
        """Let a new training begin with the weights of an earlier one; arguments and errors are `load_weights`'."""
        self.load_weights(filepath, **({"skip_mismatch": True} if skip_mismatch else {}))

    def copy_targets(self) -> None:
        """Make the target networks equal to the online networks."""
        for network in self.trainables.values():
            network.copy_target()

    # For `Loop` and `kerasrl.storage`

    def get_state(self) -> dict[str, Any]:
        """Return what the agent needs to continue between two episodes, except its memory."""
        networks = {name: network.get_state() for name, network in self.trainables.items()}
        return {"step": self.step, **networks, **self.parts()}

    def set_state(self, state: dict[str, Any], warm_up: bool) -> None:
        """Continue from what `get_state` returned, as decoded; with `warm_up`, the warm-up starts here."""
        self.step = state["step"]
        self.first_step = self.step if warm_up else 0
        for name, network in self.trainables.items():
            network.set_state(state[name])
        for name, part in self.parts().items():
            restore(part, state[name])

    def why_unsound(self) -> str:
        """Return which of weights, optimizers' values and losses should keep it from being saved, "" if none does."""
        if self.excess_step is not None and self.step - self.excess_step < SUSPECT:
            return f"the loss was above {LARGEST:g} at step {self.excess_step}"
        return why_unsound("the weights", (a for net in self.trainables.values() for a in net.get_state()))

    def synchronise(self) -> None:
        """Bring the models up to date for whoever holds a reference to them."""
        for network in self.trainables.values():
            network.synchronise()

    def begin_training(self) -> None:
        """Take over any changes made to the models since the last `fit` or `test`."""
        for network in self.trainables.values():
            network.take_over()
            network.is_in_loop = True
        self.is_fitting = self._is_in_loop = True
        self.excess_step = None
        self.take_stock()
        self.did_abort = self.did_abort and self.stop_training  # a signal may have come already
        self._on_train_begin()

    def take_final_weights(self) -> None:
        """Take the weights that a training ends with, if they are others, before callbacks hear of its end."""

    def end_training(self, observation: Any) -> None:
        """Leave models and memory consistent after `fit`; `observation` is the last one, None between episodes."""
        for network in self.trainables.values():
            network.is_in_loop = False
        self.is_fitting = self.stop_training = False
        self._is_in_loop = self._has_taken_stock = False
        self.first_step = 0
        self.synchronise()
        if observation is not None and hasattr(self.memory, "truncate_episode"):
            if hasattr(self.memory, "keep_masks"):
                self.memory.action_mask = self.action_mask
            self.memory.truncate_episode(observation)
        self.action_mask = None
        self._on_train_end()

    @contextlib.contextmanager
    def acting(self, seed: int | None) -> Iterator[None]:
        """Act without learning in the block; a `fit` that it interrupts goes on as if nothing had happened."""
        try:
            with undone(self):
                self._is_in_loop = True
                self.take_stock()
                for network in self.trainables.values():
                    if not network.is_in_loop:
                        network.take_over()
                    network.is_in_loop = True
                if seed is not None:
                    np.random.seed(seed)
                    random.seed(seed)
                self.training = False
                self.step = 0
                self._on_test_begin()
                yield
        finally:
            self._on_test_end()
