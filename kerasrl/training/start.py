"""How a training starts: checked, seeded, kept apart from others; or resumed where an earlier one stopped.

Nothing here imports TensorFlow, so that mistakes are reported at once.
"""

import contextlib
import dataclasses
import os
import secrets
import sys
import time
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from kerasrl import environments
from kerasrl.config import AnyConfig, checks
from kerasrl.config.agents import AGENTS, agents_for, listed
from kerasrl.config.arguments import evaluated_in
from kerasrl.config.durations import seconds
from kerasrl.config.files import changes
from kerasrl.config.resuming import (
    EXPLORATION,
    LEARNING_RATES,
    changes_on_the_way,
    continued,
    from_metadata,
    history,
    id_of,
    new_id,
    resumed,
    told_of,
)
from kerasrl.config.trust import require_trust
from kerasrl.environments.spaces import describe_spaces
from kerasrl.errors import Note, UserError
from kerasrl.phrases import to_give, to_type, typed
from kerasrl.storage import TrainingState
from kerasrl.storage.earlier import EARLIER
from kerasrl.storage.files import exclusive
from kerasrl.storage.state import OutdatedError
from kerasrl.training.files import RunFiles, states
from kerasrl.training.own_parts import OwnParts
from kerasrl.training.recipe import require_recipe
from kerasrl.training.warm_start import kept_source, source_of


@dataclass(frozen=True)
class Prepared:
    """A training ready to begin: seeded settings, the environment, where it writes and what it resumes."""

    config: AnyConfig
    env: Any
    parts: OwnParts
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


@contextlib.contextmanager
def started(
    config: AnyConfig, parts: OwnParts, given: Collection[str] | None = None, since: float | None = None
) -> Iterator[Prepared]:
    """Check what can be checked at once, and keep other trainings out of the folders.

    Args:
        config: Settings.
        parts: Objects that take the place of what the settings name.
        given: Names of the settings that were given; None means those that the settings know of, or else all that
            differ from the defaults.
        since: When `max_time` begins, as `time.monotonic` counts; None: now.

    Raises:
        UserError: The settings or an object cannot be used.
    """
    begin = time.monotonic() if since is None else since
    said = getattr(config, "given", None) if given is None else given
    config = named_in_full(config)
    require_recipe(config.recipe)
    with contextlib.ExitStack() as stack:
        env = None
        if parts.env is not None:
            env = stack.enter_context(_training_env(config, parts))
            config = dataclasses.replace(config, env=environments.name_of(env))
        saved = None
        if config.resume:
            place = _state_to_resume(config, given)
            saved = TrainingState(place).load()
            config = _resumed(config, said, parts, saved, place)
        if env is None:
            env = stack.enter_context(_training_env(config, parts))
        check_spaces(config, env)
        eval_env = stack.enter_context(eval_env_of(config, env, parts))
        judging, name = (env, config.env) if eval_env is None else (eval_env, evaluated_in(config)["env"])
        if config.record_every:
            environments.require_drawing(judging, name)
        known = environments.reward_threshold(judging)
        threshold = config.stop_at if config.stop_at is not None else known if config.stop_when_solved else None
        if config.stop_when_solved and threshold is None:
            stop_at = to_type("--stop-at", "stop_at=...")
            raise UserError(f"{name} has no reward threshold at which it is solved; give one with {stop_at}")
        files = RunFiles(config.env, Path(config.checkpoint_dir), Path(config.log_dir), config.agent)
        stack.enter_context(exclusive(config.checkpoint_dir, config.log_dir))
        state = TrainingState(files.state, config.state_interval, config.save_memory)
        changed: dict[str, tuple[Any, Any]] = {}
        if saved is not None:
            changed = changes_on_the_way(config, saved["metadata"])
            rates = {name: rate for name, (_, rate) in changed.items() if name in LEARNING_RATES}
            state.learning_rates = {
                name.removesuffix("learning_rate").rstrip("_"): rate for name, rate in rates.items()
            }
            state.explores_anew = bool(changed.keys() & EXPLORATION)
            state.has_other_callbacks = "callback" in changed or 0 in changed.get("eval_interval", ())
        completed = files.complete()
        source = source_of(config) if saved is None else kept_source(saved["metadata"])
        if saved is None:
            _require_replaceable(config, state)
            seed = secrets.randbelow(2**32) if config.seed is None else config.seed
            # A repetition has to ask for overwriting and trust again.
            config = dataclasses.replace(config, seed=seed, overwrite=False, trust=False)
            run = ""
        else:
            saved = state.load()  # now that nobody else writes it
            run = id_of(saved["metadata"])
        run = run or new_id(config, {**parts.metadata(), **source}, files.number_of_next())
        if config.verbose:
            for line in filter(None, [completed, f"seed {config.seed}"]):
                print(line)
            if saved is not None:
                without = "" if saved["memory"] else ", without its replay memory: the result will differ"
                print(f"resume at step {saved['agent']['step']} of {config.nb_steps}{without}")
                if changed:
                    print(f"from here on {told_of(changed)}: the result is no longer that of a single run")
        command = typed()
        if saved is None:
            state.history = {"command": command, "segment": []}
        else:
            state.history = continued(history(saved.get("history")), saved["agent"]["step"], command, changed)
        about = {"id": run, **_about(known, parts, state.history), **source}
        deadline = None if config.max_time is None else begin + seconds("max_time", config.max_time)
        told = threshold, about, run, deadline, eval_env, source
        yield Prepared(config, env, parts, files, state, saved is not None, *told)


@contextlib.contextmanager
def _training_env(config: AnyConfig, parts: OwnParts) -> Iterator[Any]:
    """Yield the environment to train in; it can draw if its copies are filmed."""
    is_filmed = config.record_every and not evaluated_in(config)
    env = parts.training_env(config, "human" if config.visualize else "rgb_array" if is_filmed else None)
    with parts.closing(env):
        yield env


@contextlib.contextmanager
def eval_env_of(config: AnyConfig, env: Any, parts: OwnParts) -> Iterator[Any]:
    """Yield the environment to evaluate in, None if that is a copy of `env`; `UserError` if its spaces are others."""
    eval_env = parts.make_eval_env(config, "rgb_array" if config.record_every else None)
    with contextlib.nullcontext() if eval_env is None else environments.closing(eval_env):
        if eval_env is not None:
            name = config.eval_env or f"{config.env} with other arguments"
            is_changed = bool(config.processor or config.recipe) or parts.processor is not None
            environments.require_alike(env, config.env, eval_env, name, with_observations=not is_changed)
        yield eval_env


def check_spaces(config: AnyConfig, env: Any, weights: str | None = None) -> None:
    """Raise `UserError` for unsupported spaces, of the environment to train in, or of the one to play `weights` in.

    With a custom recipe, the agent decides which actions it can take.
    """
    spaces = describe_spaces(env)
    if config.recipe:
        return
    wanted = AGENTS[config.agent].actions
    if spaces.kind not in (None, wanted):
        agents = agents_for(spaces.kind)
        classes = [AGENTS[agent].settings.__name__ for agent in agents]
        cure = to_type(f"--agent {listed(agents, 'or')}", f"train with {listed(classes, 'or')}")
        if weights is not None:
            cure = f"{weights} is of {config.agent}, which takes {wanted} ones"
        raise UserError(f"{config.env} has {spaces.kind} actions: {cure}")
    spaces.require(wanted, config.agent.upper())


def nb_weights(shape: Any, num_actions: int, config: AnyConfig) -> int | None:
    """Return how many weights, not counting biases, the recipe's network has, None if the settings name another.

    With an actor, there is a critic, whose weights count, too.
    """
    if config.network or config.recipe:
        return None
    sizes = list(shape.values()) if isinstance(shape, dict) else [shape]
    inputs = vars(config).get("window_length", 1) * sum(int(np.prod(size)) for size in sizes)
    of_critic = vars(config).get("critic_hidden_layers")
    critic = 0 if of_critic is None else checks.nb_weights([inputs + num_actions, *of_critic, 1])
    return checks.nb_weights([inputs, *config.hidden_layers, num_actions]) + critic


def named_in_full(config: AnyConfig) -> AnyConfig:
    """Add the version to the environments' names, by which files and metadata are named."""
    names = {"env": config.env, "eval_env": config.eval_env}
    full: dict[str, Any] = {
        setting: environments.full_name(name) for setting, name in names.items() if name is not None
    }
    is_full = all(getattr(config, setting) == name for setting, name in full.items())
    return config if is_full else dataclasses.replace(config, **full)


def _state_to_resume(config: AnyConfig, given: Collection[str] | None) -> Path:
    """Return the state of the run that `config` names by folder and environment, or else the only one in the folder."""
    folder = Path(config.checkpoint_dir)
    own = RunFiles(config.env, folder, Path(config.log_dir), config.agent).state
    is_named = config.env != type(config).env or "env" in (given or ()) or (os.path.exists(own) and not given)
    found = {} if is_named else states(folder, config.agent)
    if len(found) > 1:
        named = [to_give(env=env) for env in map(_env_of, found.values())]
        raise UserError(f"{folder} holds several runs to resume: give {listed(named, 'or')}")
    others = [agent for agent in AGENTS if states(folder, agent)]
    if not found and not os.path.exists(own) and others and config.agent not in others:
        raise UserError(f"{folder} has no run of {config.agent} to resume, but of {listed(others, 'and')}")
    return next(iter(found.values()), own)


def _env_of(state: Path) -> str:
    """Return the environment of a run, as one names it, or else as its files do."""
    try:
        return from_metadata(TrainingState(state).load()["metadata"]).env
    except UserError:
        return state.name.partition("_")[2].removesuffix("_state")


def _resumed(
    config: AnyConfig,
    given: Collection[str] | None,
    parts: OwnParts,
    saved: dict[str, Any],
    state: Path,
) -> AnyConfig:
    metadata = saved["metadata"]
    place = Path(config.checkpoint_dir)
    if place.parent.name == EARLIER and "log_dir" not in (changes(config, type(config)()) if given is None else given):
        # What has been moved as a whole goes on as a whole.
        config = dataclasses.replace(config, log_dir=str(Path(config.log_dir, EARLIER, place.name)))
    reached = from_metadata(metadata, state).nb_steps if saved.get("finished") else saved["agent"]["step"]
    found = resumed(config, given, metadata, state, reached)
    before = from_metadata(metadata).log_dir
    if place.parent.name != EARLIER and found.log_dir == type(config).log_dir != before:
        chosen = to_give(log_dir=before)
        warnings.warn(f"the log goes on in {found.log_dir}; {chosen} is where it was before", Note, stacklevel=3)
    if not config.trust:
        require_trust(str(state), dataclasses.asdict(found), dataclasses.asdict(config))
    if missing := parts.missing(metadata):
        options = ", ".join(f"{name}=..." for name in missing)
        raise UserError(
            f"the run was given {', '.join(missing)} as objects, which no file holds; resume it from Python: "
            f"train({type(config).__name__}(..., resume=True), {options})"
        )
    return found


def _require_replaceable(config: AnyConfig, state: TrainingState) -> None:
    """Raise `UserError` if there is an unfinished run, unless it is to be replaced."""
    if config.overwrite:
        return
    try:
        saved = state.load()
        step, end = saved["agent"]["step"], from_metadata(saved["metadata"]).nb_steps
    except OutdatedError:
        raise
    except UserError:  # there is none, or its remains cannot be resumed
        return
    if not saved.get("finished"):
        settings = type(config).__name__
        raise UserError(
            f"{config.checkpoint_dir} holds an unfinished run of {config.env}, saved at step {step} of {end}; "
            f"continue it with {to_type('--resume', f'{settings}(..., resume=True)')}, "
            f"or replace it with {to_type('--overwrite', f'{settings}(..., overwrite=True)')}"
        )


def _about(threshold: float | None, parts: OwnParts, history: dict[str, Any]) -> dict[str, Any]:
    about: dict[str, Any] = {name: told for name, told in history.items() if told}
    about |= {name: ", ".join(given) for name, given in parts.metadata().items()}
    about["python"] = sys.version.split()[0]
    if threshold is not None:
        about["reward_threshold"] = float(threshold)
    for package in ("tensorflow", "keras", "keras-rl2", "numpy", "gym", "gymnasium", "box2d", "minatar", "ale-py"):
        with contextlib.suppress(metadata.PackageNotFoundError):  # an extra
            about[package] = metadata.version(package)
    return about
