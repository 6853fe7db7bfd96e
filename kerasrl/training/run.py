"""What a recipe's functions are given: an environment, the settings, and what people bring along."""

from kerasrl.compat import keras_rl  # noqa: F401  # before the imports that it makes possible

# isort: split

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from rl.callbacks import Callback
from rl.core import Processor

from kerasrl import signals
from kerasrl.agents import Agent
from kerasrl.callbacks import Deadline, Evaluation
from kerasrl.callbacks.callback_list import checked
from kerasrl.callbacks.evaluation import Candidate
from kerasrl.config import AnyConfig
from kerasrl.config.agents import AGENTS
from kerasrl.config.files import to_toml
from kerasrl.environments.normalizing import NormalizingProcessor
from kerasrl.environments.processors import processor_for
from kerasrl.environments.spaces import Spaces, describe_spaces
from kerasrl.errors import UserError
from kerasrl.named import named
from kerasrl.phrases import to_type
from kerasrl.storage import TrainingState
from kerasrl.storage.files import write_whole
from kerasrl.training import room, warm_start
from kerasrl.training.callbacks import build_evaluation, build_tensorboard, own_callbacks
from kerasrl.training.files import RunFiles
from kerasrl.training.networks import StateSize, own_network, require_activation
from kerasrl.training.own_parts import OwnParts, copied
from kerasrl.training.playoff import Playoff
from kerasrl.training.recipe import Recipe
from kerasrl.training.start import Prepared, nb_weights

Settings = TypeVar("Settings")  # the class of an agent's


@dataclass
class Run:
    """An environment, and what an agent for it is made of: all that a recipe's `build` needs."""

    config: AnyConfig
    env: Any
    state_size: StateSize
    """Size of an observation for the network: its length, its shape, or for a Dict the shape of each part by key."""
    spaces: Spaces
    """The environment's observations and actions."""
    processor: Any
    """rl.core.Processor between environment and agent, None if there is none."""
    parts: OwnParts

    @classmethod
    def of(cls, config: AnyConfig, env: Any, parts: OwnParts, **others: Any) -> Any:
        """Inspect an environment, and the processor that is given, named or needed.

        Raises:
            UserError: A space is not supported, the processor cannot be made, these observations cannot be normalised,
                or Keras does not know the activation.
        """
        spaces = describe_spaces(env)
        size, processor, tried = spaces.observation, None, Processor()
        if parts.processor is not None or config.processor:
            processor, tried = _own_processor(config, parts.processor)
            seen = tried.process_observation(env.observation_space.sample())
            size = (
                {str(key): np.shape(part) for key, part in seen.items()} if isinstance(seen, dict) else np.shape(seen)
            )
        else:
            processor = processor_for(env.observation_space)
            tried = processor or tried
        if config.normalize_observations:
            processor = NormalizingProcessor(tried.process_observation(env.observation_space.sample()), processor)
        if parts.model is None and not config.network:
            require_activation(config.activation)
        return cls(config, env, size, spaces, processor, parts, **others)

    def settings(self, kind: type[Settings]) -> Settings:
        """Return the settings of the agent that the recipe builds; raise `UserError` if they are another's."""
        if not isinstance(self.config, kind):
            agent = kind.agent  # type: ignore[attr-defined]
            cure = to_type(f"give --agent {agent}", f"use {kind.__name__}")
            raise UserError(f"the recipe builds {agent}, but these are the settings of {self.config.agent}: {cure}")
        return self.config

    @property
    def num_actions(self) -> int:
        """Number of actions, or of numbers in a continuous one; raises `UserError` if the agent takes others."""
        return self.spaces.require(AGENTS[self.config.agent].actions, self.config.agent.upper())

    @property
    def nb_weights(self) -> int | None:
        """Number of weights of the recipe's network, not counting biases; None if the network is another."""
        if self.config.recipe or self.parts.model is not None:
            return None
        return nb_weights(self.state_size, self.num_actions, self.config)

    def own_network(self) -> Any:
        """Return the network given or that `--network` names, None if neither; raises `UserError` if it is unusable.

        It is a Keras model, or for an agent with several networks a tuple.
        """
        return own_network(self.state_size, self.num_actions, self.config, self.parts.model)

    def build_other(self) -> Agent:
        """Return the agent that the settings name if it is not DQN: kerasrl/agents/NAME/recipe.py builds it."""
        agent: Agent = import_module(f"kerasrl.agents.{self.config.agent}.recipe").build(self)
        return agent

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of `fit` and `test` that say how an episode is played."""
        config = self.config
        return {
            "action_repetition": config.action_repetition,
            "nb_max_start_steps": config.nb_max_start_steps,
            "nb_max_episode_steps": config.nb_max_episode_steps or None,
            "seed": config.seed,
            **({} if vars(config).get("action_masks", True) else {"action_masks": False}),
        }


def _own_processor(config: AnyConfig, given: Any) -> tuple[Processor, Processor]:
    """Return the given or named processor, and another one to try out, since it may have state."""
    if given is None:
        return _named_processor(config.processor), _named_processor(config.processor)
    if not isinstance(given, Processor):
        raise UserError(f"processor must be an instance of a subclass of rl.core.Processor, not {given!r}")
    return given, copied(given)


def _named_processor(name: str) -> Processor:
    kind = named(name)
    if not (isinstance(kind, type) and issubclass(kind, Processor)):
        raise UserError(f"{name} must be a subclass of rl.core.Processor")
    try:
        return kind()
    except TypeError as error:
        raise UserError(f"{name} must be a class that needs no arguments: {error}") from None


@dataclass
class TrainingRun(Run):
    """A training ready to begin: all that a recipe's `train` needs."""

    recipe: Recipe
    files: RunFiles
    state: TrainingState
    resume: bool
    threshold: float | None
    """Mean reward that ends the training."""
    about: dict[str, Any]
    """What the run's configuration file says besides the settings."""
    id: str
    """What tells the run from others; all of its files carry it."""
    deadline: float | None
    """When its time is up, as `time.monotonic` counts; None: never."""
    eval_env: Any
    """The environment to evaluate in; None: copies of the one trained in."""
    source: dict[str, str]
    """What `source_of` says of the weights that it started from."""
    evaluation: Evaluation | None = None
    """The callback that keeps the best weights."""
    agent: Any = None
    """The agent that was trained."""
    signal: int | None = None
    """Number of the signal that stopped the training."""
    playoff: list[Candidate] = field(default_factory=list)
    """What has played in a playoff, the best evaluated first."""
    _is_over: bool = field(default=False, repr=False)
    _deadline: Deadline | None = field(default=None, repr=False)

    @classmethod
    def of_prepared(cls, prepared: Prepared, recipe: Recipe) -> "TrainingRun":
        """Inspect the environment of a prepared training; raises as `of`."""
        others = {field.name: getattr(prepared, field.name) for field in dataclasses.fields(prepared)}
        run: TrainingRun = cls.of(recipe=recipe, **others)
        return run

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of `fit` that say how an episode is played and where a resumed run continues."""
        return {**super().options, "state": self.state, "resume": self.resume}

    def callbacks(self, of_recipe: Sequence[Callback]) -> list[Callback]:
        """Add those of settings and user to a recipe's callbacks, in order; raises `UserError` if one cannot work."""
        config = self.config
        callbacks = list(of_recipe)
        if config.eval_interval:
            place = self.eval_env
            if place is None:
                place = self.parts.copies_of(self.env, config, "rgb_array" if config.record_every else None)
            self.evaluation = build_evaluation(config, self.files, self.threshold, place)
            callbacks.insert(0, self.evaluation)  # first, so that others can log its results
        if config.tensorboard:
            callbacks.append(build_tensorboard(config, self.files, self.id))
        self.state.observers = checked(self.parts.observers, "observers")
        if self.deadline is not None:
            self._deadline = Deadline(self.deadline)
            self.state.observers = [*self.state.observers, self._deadline]
        return [*callbacks, *own_callbacks(config, self.parts.callbacks), *self.state.observers]

    @contextlib.contextmanager
    def training(self, agent: Any) -> Iterator[None]:
        """Surround an agent's `fit`: rehearse, begin the run's files, let a signal end it cleanly, and hold a playoff.

        Its weights files will carry the settings, the names of the objects that were given, and the run's id.

        Raises:
            Exception: What the training would raise.
            UserError: Earlier files would have to be moved through a link.
            OSError: A file cannot be moved or written.
        """
        self.agent = agent
        settings, about = dataclasses.asdict(self.config), {**self.parts.metadata(), **self.source, "run": self.id}
        agent.metadata = {**settings, **(agent.metadata or {}), **about}
        if self.resume:  # no file is touched before everything is there again
            self.state.when_restored = self._begin
        else:
            if self.config.start_from:
                warm_start.start(agent, self.config, self.source)
            self._rehearse()
        with signals.StopOnSignal(agent) as stop:
            if not self.resume:
                self._begin()
            yield
            self._hold_playoff()
        self.signal, self._is_over = stop.signal, True

    def close(self) -> None:
        """Close the copy that evaluations have played in."""
        from kerasrl import environments

        if self.evaluation is not None and self.evaluation.copies is not None:
            environments.close(self.evaluation.eval_env)

    @property
    def is_over(self) -> bool:
        """Whether the training has ended or was stopped cleanly."""
        return self._is_over

    @property
    def is_time_up(self) -> bool:
        """Whether `max_time` has stopped the training."""
        return self._deadline is not None and self._deadline.has_stopped

    def _rehearse(self) -> None:
        """Let a throwaway agent act and learn for a few steps, so that failures come before any file is touched.

        It plays in a copy, as evaluations do, or else, since there may be no second environment, in the training's own,
        and then in one of evaluations' own, too.
        """
        known = vars(self.config)
        nb_steps = known.get("window_length", 1) + known.get("n_step", 1) + 7
        at_once: dict[str, Any] = {"nb_steps_warmup": 0, "nb_steps_warmup_actor": 0, "nb_steps_warmup_critic": 0}
        at_once |= {"train_interval": 1, "jit_compile": False}  # which would take seconds, for only a few updates
        at_once |= {"memory_limit": nb_steps} if "n_step" in known else {}
        config = dataclasses.replace(self.config, **{name: value for name, value in at_once.items() if name in known})
        copies = None if self.evaluation is None else self.evaluation.copies
        env = self.env if copies is None else copies.latest
        with self.parts.unchanged() as parts:
            run = Run.of(config, env, parts)
            agent = self.recipe.build(run)
            for place in (env, self.eval_env):
                if place is not None:
                    agent.fit(place, nb_steps=nb_steps, verbose=0, **run.options)
            self.state.check(agent)
            self._tell_of_memory(agent)
        if copies is not None:
            copies.require_copyable(env)
        if agent.did_abort:
            raise KeyboardInterrupt

    def _hold_playoff(self) -> None:
        """Let the best evaluated weights decide in a playoff which of them are the best, unless the run was stopped."""
        evaluation, config = self.evaluation, self.config
        if not config.playoff or evaluation is None or self.agent.did_abort:
            return

        @contextlib.contextmanager
        def stand_in(env: Any) -> Iterator[Agent]:
            with self.parts.unchanged() as parts:
                yield self.recipe.build(Run.of(config, env, parts))

        self.playoff = Playoff(evaluation, stand_in, self.state, self._deadline, config.verbose > 0).hold()
        self.agent.stop_training = False  # which a signal has set
        if self.playoff:
            told = [{"step": one.step, "evaluation": one.reward, "playoff": one.playoff} for one in self.playoff]
            write_whole(self.files.config, to_toml(config, {**self.about, "playoff": told}).encode())

    def _tell_of_memory(self, agent: Any) -> None:
        """Say how large the replay memory can become if it is large, or raise `UserError`; `agent` has stored steps."""
        size = getattr(agent, "bytes_per_entry", lambda: None)()  # agents of one's own need not say
        limit = getattr(self.agent.memory, "limit", None)
        if size and limit:
            told = room.told_of(size, min(limit, self.config.nb_steps), room.of_machine())
            if told and self.config.verbose:
                print(told)

    def _begin(self) -> None:
        """Move other runs' files out of the way, so that two runs never mix, and write the configuration."""
        if self.resume:
            self._tell_of_memory(self.agent)
        told = self.files.set_aside(self.id if self.resume else "")
        if told and self.config.verbose:
            print(told)
        write_whole(self.files.config, to_toml(self.config, self.about).encode())


@dataclass
class PlayRun(Run):
    """Saved weights and the environment to play in: all that a recipe's `test` needs."""

    weights: Path
    episodes: int
    seed: int | None
    visualize: bool = False
    callbacks: list[Callback] = field(default_factory=list)

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of `test` that say how an episode is played."""
        options = super().options
        del options["nb_max_start_steps"]  # random steps are for varied training
        return {**options, "seed": self.seed}
