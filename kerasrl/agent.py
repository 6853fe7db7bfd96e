"""Keras-RL's DQNAgent over the compiled learner."""

from kerasrl import compat as compat  # before the imports that it makes work

# isort: split

import contextlib
import copy
import math
import os
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import rl.memory
from rl.agents.dqn import DQNAgent as KerasRLDQNAgent
from rl.agents.dqn import mean_q

from kerasrl import weights
from kerasrl.dueling import dueling_model
from kerasrl.errors import DivergenceError, UserError
from kerasrl.inputs import ModelInputs
from kerasrl.learner import Learner
from kerasrl.loop import Loop
from kerasrl.memory import SequentialMemory
from kerasrl.state import TrainingState, attributes, set_attributes


class DQNAgent(KerasRLDQNAgent):
    """Deep Q-learning (Mnih et al. 2015) with Keras-RL's arguments, defaults and methods.

    Replaced, because they cannot work on Keras 3, are wrong, or slow: `compile` and the update (one compiled
    call for each step, in `kerasrl.learner`), `fit` and `test` (Keras-RL's counters overflow at 32,767 steps on
    NumPy 2), weights files (`kerasrl.weights`). One thing differs on purpose: an episode that a time limit ends
    (`truncated`) keeps the value of its last state; Keras-RL treats it as terminal.

    `model` is exact whenever it is read from the agent, at each end of an episode and after `fit`; a reference
    that was taken before may be up to one episode behind during `fit`.

    Args:
        model: Keras model from states [B, window_length, *observation] to Q-values [B, nb_actions].
        policy: Policy during `fit`; EpsGreedyQPolicy() by default.
        test_policy: Policy during `test`; GreedyQPolicy() by default.
        enable_double_dqn: Let the online network choose the action that the target network values.
        enable_dueling_network: Replace the model's last layer by a dueling one (see `kerasrl.dueling`).
        dueling_type: 'avg', 'max' or 'naive'.
        nb_actions: Number of actions.
        memory: kerasrl.SequentialMemory, or any Keras-RL memory, which is slower.
        gamma: Discount factor.
        batch_size: Transitions in an update.
        nb_steps_warmup: Steps before the first update.
        train_interval: Steps between training steps.
        memory_interval: Steps between those that are stored.
        target_model_update: Below 1 the mixing rate of a soft update after each update, from 1 on the number
            of steps between hard updates.
        delta_range: Deprecated, use delta_clip.
        delta_clip: Size of the temporal-difference error from which the Huber loss is linear.
        custom_model_objects: Classes by name, needed to copy a model that holds them.
        processor: rl.core.Processor between environment and agent.
        gradient_steps: Updates in each training step, in one call.
        metadata: What weights files tell about the agent besides the weights; anything JSON can hold.

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
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        model = _checked(model)
        if enable_dueling_network:
            model = dueling_model(model, dueling_type)
        self._learner: Learner | None = None
        self._target_clone: Any = None
        self._lent: set[str] = set()  # 'model', 'target': a caller may have changed its weights
        # The observation to act on next, while `fit` knows it; its state as the model sees it; its Q-values.
        self._upcoming: Any = None
        self._upcoming_state: list[np.ndarray] | None = None
        self._upcoming_q_values: np.ndarray | None = None
        self.recent_truncated = False
        self._is_fitting = self._is_in_loop = False  # whether `fit`, or either loop, is running
        self._first_step = 0  # from which the warm-up counts
        self.stop_training = False  # set it, as in Keras, to let `fit` end
        self.did_abort = False  # whether Ctrl-C or a closed window ended the last `fit`
        self._abort_test_at: float | None = None
        self.gradient_steps = gradient_steps
        self.metadata = metadata
        super().__init__(model, policy, test_policy, enable_double_dqn, False, dueling_type, *args, **kwargs)
        self.enable_dueling_network = enable_dueling_network
        self._check()

    def _check(self) -> None:
        for name in ("nb_actions", "batch_size", "train_interval", "memory_interval", "gradient_steps"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1, is {getattr(self, name)}")
        if not self.delta_clip > 0:
            raise UserError(f"delta_clip must be positive, is {self.delta_clip}")
        if not isinstance(self.memory, rl.memory.Memory) or isinstance(self.memory, rl.memory.EpisodeParameterMemory):
            raise UserError(f"DQNAgent learns from a kerasrl.SequentialMemory, not from {self.memory!r}")
        stateful = [layer.name for layer in self._model.layers if getattr(layer, "stateful", False)]
        if stateful:
            raise UserError(f"stateful layers ({', '.join(stateful)}) cannot learn from shuffled transitions")
        self._inputs = ModelInputs(self._model, self.processor)
        # A processor, or a memory of Keras-RL's own, hands over states instead of frames.
        self._draws_frames = isinstance(self.memory, SequentialMemory) and not self._inputs.are_processed
        window = self._model.inputs[0].shape[1] if len(self._model.inputs[0].shape) > 1 else None
        if not self._inputs.are_processed and window not in (None, self.memory.window_length):
            raise UserError(
                f"the model takes {window} observations, the memory's window_length is {self.memory.window_length}"
            )

    # Models

    @property
    def model(self) -> Any:
        """The online network. Reading it brings it up to date; changes to it take effect."""
        if self._learner is not None:
            self._learner.synchronise()
            self._lend("model")
        return self._model

    @model.setter
    def model(self, model: Any) -> None:
        if self._learner is not None:
            raise UserError("the model of a compiled agent cannot be replaced; make a new agent")
        self._model = model

    @property
    def target_model(self) -> Any:
        """The target network, a copy that is made when it is read; changes to it take effect."""
        if self._target_clone is None:
            with keras.saving.custom_object_scope(self.custom_model_objects):
                self._target_clone = keras.models.clone_model(self._model)
        self._compiled_learner().write_target(self._target_clone)
        self._lend("target")
        return self._target_clone

    def _lend(self, which: str) -> None:
        self._lent.add(which)
        self._upcoming_q_values = None

    def _compiled_learner(self) -> Learner:
        """Return the learner, with what callers may have changed in the models they were lent."""
        if self._learner is None:
            raise RuntimeError("the agent has not been compiled yet: call compile() first")
        if not self._is_in_loop and not self._learner.model_is_behind:
            self._lent.add("model")  # whoever holds the model may have changed it
        if self._lent:
            if "model" in self._lent:
                self._learner.read_model()
            if "target" in self._lent:
                self._learner.read_target(self._target_clone)
            self._lent.clear()
        return self._learner

    def compile(self, optimizer: Any, metrics: Sequence[Any] = (), jit_compile: bool | str = "auto") -> None:
        """Set the optimizer and the metrics, which are logged after the loss and before mean_q.

        Args:
            optimizer: Keras optimizer or its name.
            metrics: Keras metrics, their names, or functions of (target Q-values, Q-values).
            jit_compile: As in Keras: compile with XLA, or not, or wherever it is possible ('auto').

        Raises:
            UserError: The optimizer or a metric cannot be used.
        """
        try:
            optimizer = keras.optimizers.get(optimizer)
            if optimizer is None:
                raise ValueError("an optimizer is needed, such as Adam()")
            named = [_metric(metric) for metric in [*metrics, mean_q]]
        except (ValueError, TypeError) as error:
            raise UserError(f"cannot compile: {' '.join(str(error).split())}") from error
        if optimizer.use_ema:
            raise UserError("use_ema is not supported: the target network is this agent's moving average")
        if optimizer.built:  # an optimizer's state belongs to one set of weights
            optimizer = type(optimizer).from_config(optimizer.get_config())
        # A copy after every update is a soft update at rate 1, which the compiled call includes.
        always = self.target_model_update == 1 and self.gradient_steps == 1
        self._moves_target_in_call = self.target_model_update < 1 or always
        self._learner = Learner(
            self._model,
            optimizer,
            [metric for _, metric in named],
            gamma=self.gamma,
            delta_clip=self.delta_clip,
            double=self.enable_double_dqn,
            tau=float(self.target_model_update) if self._moves_target_in_call else None,
            batch_size=self.batch_size,
            gradient_steps=self.gradient_steps,
            jit_compile=jit_compile,
        )
        self.optimizer = optimizer
        self._learner_metrics_names = ["loss", *(name for name, _ in named)]
        self._target_clone = None
        self._lent.clear()
        self.compiled = True

    @property
    def metrics_names(self) -> list[str]:
        """Names of the values that `backward` returns: loss, metrics, mean_q, then policy's and processor's."""
        names: list[str] = self._learner_metrics_names + self.policy.metrics_names
        return names + self.processor.metrics_names if self.processor is not None else names

    def reset_states(self) -> None:
        """Forget the recent action and observation."""
        self.recent_action = None
        self.recent_observation = None
        self._forget_upcoming()

    def _forget_upcoming(self) -> None:
        self._upcoming = self._upcoming_state = self._upcoming_q_values = None

    def update_target_model_hard(self) -> None:
        """Make the target network equal to the online network."""
        self._compiled_learner().copy_target()

    # Weights

    def save_weights(self, filepath: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the online network's weights and the agent's `metadata` to one HDF5 file.

        Raises:
            FileExistsError: The file exists and `overwrite` is False.
            OSError: The file cannot be written; what was there stays.
        """
        if not overwrite and os.path.exists(filepath):
            raise FileExistsError(f"{os.fspath(filepath)} exists; pass overwrite=True to replace it")
        if self._learner is not None:
            self._learner.synchronise()
        weights.write(filepath, self._model, self.metadata)

    def load_weights(self, filepath: str | os.PathLike[str]) -> None:
        """Read weights of this or any older Keras-RL into the online and the target network.

        Raises:
            WeightsError: The file is missing, damaged, or holds the weights of another network.
        """
        weights.assign(self._model, weights.read(filepath))
        if self._learner is not None:
            self._lend("model")
            self.update_target_model_hard()

    # States

    def _recent_state(self, observation: Any) -> list[Any]:
        return [observation] if self.memory.window_length == 1 else self.memory.get_recent_state(observation)

    def process_state_batch(self, batch: list[Any]) -> list[np.ndarray]:
        """Turn a list of states, each a list of observations, into an array for each input of the model."""
        return self._inputs.of_states(batch)

    def compute_batch_q_values(self, state_batch: list[Any]) -> np.ndarray:
        """Return the Q-values [B, nb_actions] of a list of states."""
        return self._compiled_learner().q_values(self.process_state_batch(state_batch))

    def compute_q_values(self, state: list[Any]) -> np.ndarray:
        """Return the Q-values [nb_actions] of one state, a list of observations."""
        q_values: np.ndarray = self.compute_batch_q_values([state])[0]
        return q_values

    # One step

    def forward(self, observation: Any) -> Any:
        """Choose an action for `observation`."""
        if self._upcoming_state is None or observation is not self._upcoming:
            q_values = self.compute_q_values(self._recent_state(observation))
        elif self._upcoming_q_values is None:  # somebody may have changed the weights since
            q_values = self._compiled_learner().q_values(self._upcoming_state)[0]
        else:
            q_values = self._upcoming_q_values
        self._forget_upcoming()
        policy = self.policy if self.training else self.test_policy
        action = policy.select_action(q_values=q_values)
        self.recent_observation = observation
        self.recent_action = action
        return action

    def backward(self, reward: float, terminal: bool) -> list[float]:
        """Store the step that `forward` began and, when it is due, train; return the metrics."""
        if self.step % self.memory_interval == 0:
            self._remember(reward, terminal)
        if not self.training:
            return [np.nan] * len(self.metrics_names)
        if (
            self.step - self._first_step > self.nb_steps_warmup
            and self.step % self.train_interval == 0
            and self.memory.nb_entries >= self.memory.window_length + 2
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
        """Update the networks and, in the same call, value the observation to act on next."""
        learner = self._compiled_learner()
        if self._draws_frames:
            sample = self.memory.draw(self.batch_size, self.gradient_steps)
            states0, states1 = self._inputs.ordered(sample.frames, self.recent_observation), list[np.ndarray]()
            actions, rewards, terminated = sample.actions, sample.rewards, sample.terminated
        else:
            states0, states1, actions, rewards, terminated = self._draw_states()
        if self._upcoming is None:  # the episode is over: any state will do
            upcoming = [s[:1] if states1 else s[:1, 1:] for s in states0]
        else:
            upcoming = self._upcoming_state = self.process_state_batch([self._recent_state(self._upcoming)])
        metrics, self._upcoming_q_values = learner.update(states0, states1, [actions, rewards, terminated], upcoming)
        result: list[float] = metrics.tolist()
        if not math.isfinite(result[0]):
            finite = all(np.isfinite(array).all() for array in (*states0, *states1, rewards))
            cause = (
                f"lower the learning rate or scale down the rewards (the largest of this batch is "
                f"{np.abs(rewards).max():g})"
                if finite
                else "the environment gave an observation or a reward that is not a finite number"
            )
            raise DivergenceError(f"the loss became {result[0]} at step {self.step}: {cause}")
        return result

    def _draw_states(self) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
        """Sample as Keras-RL does, for memories and processors that know no frames."""
        experiences = [e for _ in range(self.gradient_steps) for e in self.memory.sample(self.batch_size)]
        return (
            self.process_state_batch([e.state0 for e in experiences]),
            self.process_state_batch([e.state1 for e in experiences]),
            np.array([e.action for e in experiences]),
            np.array([e.reward for e in experiences], np.float32),
            np.array([e.terminal1 for e in experiences], np.bool_),
        )

    # Loops

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
    ) -> keras.callbacks.History:
        """Train for `nb_steps` steps in `env`, as Keras-RL's `fit`; Ctrl-C ends it early.

        Args:
            env: Environment with discrete actions: gym, Gymnasium, or `rl.core.Env`.
            nb_steps: Number of steps.
            action_repetition: Times each action is repeated within a step.
            callbacks: Keras-RL callbacks.
            verbose: 0 for nothing, 1 for a live line, 2 for a line each episode.
            visualize: Show the environment in a window.
            nb_max_start_steps: Upper limit of the number of steps at each episode's start that are not learned from.
            start_step_policy: Their policy, observation -> action; random actions by default.
            log_interval: Steps between lines at verbose=1 where nobody watches a terminal.
            nb_max_episode_steps: Time limit of an episode in steps.
            seed: Start of every random draw of this run: exploration, replay, random starts, and the
                environment, whose k-th episode starts from a seed made of (seed, k).
            state: Where to keep what an exact resume needs.
            resume: Go on from `state`. With the same arguments and a seed the result is that of one run, provided
                that a reset with a seed fixes all that the environment draws.

        Returns:
            The History of the episodes.

        Raises:
            RuntimeError: The agent has not been compiled.
            UserError: An argument cannot be used, or there is nothing to resume.
            DivergenceError: The loss is no longer a finite number.
        """
        if state is not None and not isinstance(self.memory, SequentialMemory):
            raise UserError("an exact resume needs a kerasrl.SequentialMemory")
        if resume and state is None:
            raise UserError("resume needs the state to resume from: fit(state=TrainingState(...), resume=True)")
        if nb_steps < 1:
            raise UserError(f"nb_steps must be at least 1, is {nb_steps}")
        loop = Loop(
            self, env, action_repetition, callbacks, visualize, nb_max_start_steps, start_step_policy,
            nb_max_episode_steps, seed,
        )  # fmt: skip
        self._seed(seed)
        return loop.fit(nb_steps, verbose, log_interval, state, resume)

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
    ) -> keras.callbacks.History:
        """Play `nb_episodes` episodes with the test policy, without learning; arguments as for `fit`.

        Called from a callback during `fit`, it leaves the training as it was.

        Returns:
            The History of the episodes.
        """
        if nb_episodes < 1:
            raise UserError(f"nb_episodes must be at least 1, is {nb_episodes}")
        loop = Loop(
            self, env, action_repetition, callbacks, visualize, nb_max_start_steps, start_step_policy,
            nb_max_episode_steps, seed,
        )  # fmt: skip
        return loop.test(nb_episodes, verbose)

    # What `Loop` and `kerasrl.state` ask for

    def get_state(self) -> dict[str, Any]:
        """Return what the agent would need to go on between two episodes, but for its memory."""
        policies = {"policy": attributes(self.policy), "test_policy": attributes(self.test_policy)}
        learner = self._compiled_learner().get_state()
        return {"step": self.step, "learner": learner, "processor": attributes(self.processor), **policies}

    def set_state(self, state: dict[str, Any], warm_up: bool) -> None:
        """Go on from `get_state`; with `warm_up` the steps before the first update count anew."""
        self.step = state["step"]
        self._first_step = self.step if warm_up else 0
        self._compiled_learner().set_state(state["learner"])
        for name in ("processor", "policy", "test_policy"):
            set_attributes(getattr(self, name), state[name])

    def synchronise(self) -> None:
        """Bring `model` up to date for whoever holds a reference to it."""
        self._compiled_learner().synchronise()

    def begin_loop(self, fitting: bool) -> None:
        """Take over what happened to the model since the last `fit` or `test`."""
        if not self._is_in_loop:
            self._compiled_learner()
        self._is_in_loop = True
        if fitting:
            self._is_fitting = True
            self.did_abort = self.did_abort and self.stop_training  # a signal may have come already

    def end_training(self, observation: Any) -> None:
        """Leave `model` and memory true after `fit`; `observation` is where it stopped, None between episodes."""
        self._is_fitting = self._is_in_loop = self.stop_training = False
        self._first_step = 0
        self.synchronise()
        if observation is not None and isinstance(self.memory, SequentialMemory):
            self.memory.truncate_episode(observation)

    def begin_test(self, seed: int | None) -> dict[str, Any]:
        """Start acting without learning; return what `end_test` needs to go on with an interrupted `fit`."""
        names = ["training", "step", "recent_observation", "recent_action", "recent_truncated"]
        interrupted = {
            **{name: getattr(self, name) for name in [*names, "_upcoming", "_upcoming_state"]},
            "recent": (list(self.memory.recent_observations), list(self.memory.recent_terminals)),
            "generator": np.random.get_state() if self._is_fitting else None,
            "processor": _copied_attributes(self.processor) if self._is_fitting else {},
            "_is_in_loop": self._is_in_loop,
        }
        self.begin_loop(fitting=False)
        if seed is not None:
            np.random.seed(seed)
        self.training = False
        self.step = 0
        self.memory.recent_observations.clear()
        self.memory.recent_terminals.clear()
        return interrupted

    def end_test(self, interrupted: dict[str, Any]) -> None:
        """Undo `begin_test`."""
        observations, terminals = interrupted.pop("recent")
        for name, value in interrupted.pop("processor").items():
            setattr(self.processor, name, value)
        generator = interrupted.pop("generator")
        if generator is not None:
            np.random.set_state(generator)
        for deque, values in (
            (self.memory.recent_observations, observations),
            (self.memory.recent_terminals, terminals),
        ):
            deque.clear()
            deque.extend(values)
        for name, value in interrupted.items():
            setattr(self, name, value)
        self._upcoming_q_values = None

    def is_interrupted(self) -> bool:
        """Tell whether a test during `fit` should end, a second after a signal wanted `fit` to end."""
        if not (self._is_fitting and self.did_abort):
            self._abort_test_at = None
            return False
        self._abort_test_at = self._abort_test_at or time.monotonic() + 1
        return time.monotonic() >= self._abort_test_at

    def _seed(self, seed: int | None) -> None:
        """Start the generators that exploration (NumPy's, in rl.policy) and replay draw from."""
        if seed is None:
            return
        np.random.seed(seed)
        random.seed(seed)
        if isinstance(self.memory, SequentialMemory):
            self.memory.seed(seed)


def _checked(model: Any) -> Any:
    """Return a model that DQN can use, or raise `UserError`."""
    if not isinstance(model, keras.Model) or not model.built:
        raise UserError("model must be a Keras model that knows its input's shape: begin it with keras.Input(...)")
    if isinstance(model, keras.Sequential):
        model(model.inputs[0])  # Keras 3 defines the input and output of a Sequential model when it is first called
    if len(model.outputs) != 1:
        raise UserError(f"model must have one output, the Q-values [B, nb_actions], not {len(model.outputs)}")
    lone_input = len(model.inputs) == 1 and isinstance(getattr(model, "_inputs_struct", None), list)
    if lone_input or not isinstance(model.output, keras.KerasTensor):  # a list of one tensor instead of the tensor
        return keras.Model(model.inputs[0] if lone_input else model.input, model.outputs[0])
    return model


def _copied_attributes(thing: Any) -> dict[str, Any]:
    """Return copies of what an object holds, as far as it can be copied, but for the agent."""
    copies = {}
    for name, value in ({} if thing is None else vars(thing)).items():
        if name != "agent":
            with contextlib.suppress(TypeError):  # a lock, a file: not what a test would change
                copies[name] = copy.deepcopy(value)
    return copies


def _metric(metric: Any) -> tuple[str, Any]:
    """Return a metric's name in the log and a Keras metric object."""
    found = keras.metrics.get(metric)
    if not isinstance(found, keras.metrics.Metric):
        found = keras.metrics.MeanMetricWrapper(found, name=getattr(found, "__name__", type(found).__name__))
    return (metric if isinstance(metric, str) else found.name), found
