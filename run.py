"""What surrounds a training before it begins: its files, its seed, resuming, a rehearsal."""

import contextlib
import dataclasses
import re
import secrets
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config import Config
from kerasrl import commands
from kerasrl.errors import UserError, to_type
from objects import Objects
from trust import require_trust

if TYPE_CHECKING:
    from kerasrl.storage import TrainingState


@dataclass(frozen=True)
class RunFiles:
    """Where the weights, state, log and pictures of a training in `env_name` are written."""

    env_name: str
    checkpoint_dir: Path
    log_dir: Path

    def _named(self, folder: Path, what: str) -> Path:
        return folder / f"dqn_{self.env_name.replace('/', '-').replace(':', '-')}_{what}"

    @property
    def weights(self) -> Path:
        """Weights at the end."""
        return self._named(self.checkpoint_dir, "weights.h5f")

    @property
    def best(self) -> Path:
        """Weights that did best in an evaluation."""
        return self._named(self.checkpoint_dir, "best.h5f")

    @property
    def checkpoints(self) -> str:
        """Weights saved at regular intervals; the name has a placeholder for the step."""
        # Braces in a folder's name are not placeholders.
        return str(self._named(self.checkpoint_dir, "weights_")).replace("{", "{{").replace("}", "}}") + "{step}.h5f"

    @property
    def state(self) -> Path:
        """What a resume needs."""
        return self._named(self.checkpoint_dir, "state")

    @property
    def log(self) -> Path:
        """Log of the episodes."""
        return self._named(self.log_dir, "log.json")

    @property
    def curve(self) -> Path:
        """Picture of the log."""
        return self._named(self.log_dir, "curve.png")

    @property
    def config(self) -> Path:
        """Settings, command and versions of the run."""
        return self._named(self.log_dir, "config.toml")

    @property
    def tensorboard(self) -> Path:
        """Folder for TensorBoard."""
        return self._named(self.log_dir, "tensorboard")

    @property
    def progress_film(self) -> Path:
        """The films of all evaluations, one after another."""
        return self._named(self.log_dir, "progress.gif")

    def film(self, step: int) -> Path:
        """Film of an evaluation."""
        return self._named(self.log_dir, f"film_{step}.gif")

    def films(self) -> list[Path]:
        """Return the films of evaluations that there are, in the order of their steps."""
        films = self._matching(self.log_dir, r"film_\d+\.gif")
        return sorted(films, key=lambda film: int(film.stem.rpartition("_")[2]))

    def _matching(self, folder: Path, names: str) -> list[Path]:
        pattern = re.escape(self._named(folder, "").name) + names
        return [file for file in folder.iterdir() if re.fullmatch(pattern, file.name) and file.is_file()]

    def all(self) -> list[Path]:
        """Return the files that there are of this training, the state first: without it nothing can be resumed."""
        files = [self.state, self.weights, self.best, self.log, self.curve, self.config, self.progress_film]
        files += self._matching(self.checkpoint_dir, r"(state\.memory-\d+|weights_\d+\.h5f)")
        files += [*self.films(), *self.tensorboard.glob("events.out.tfevents.*.kerasrl")]
        return [file for file in files if file.is_file()]


@dataclass(frozen=True)
class Prepared:
    """A training ready to begin: its configuration with a seed, its environment, where it writes, what it resumes."""

    config: Config
    env: Any
    files: RunFiles
    state: "TrainingState"
    resume: bool
    threshold: float | None
    """Mean reward that ends the training."""
    about: dict[str, str | float]
    """What the run's configuration tells besides the settings."""
    objects: Objects

    def begin(self) -> None:
        """Write the configuration; what is there of an earlier run goes, so that two runs never mix.

        Raises:
            OSError: A file cannot be removed or written.
        """
        from kerasrl.storage.files import naming, write_whole

        for file in [] if self.resume else self.files.all():
            with naming(file):
                file.unlink()
        write_whole(self.files.config, self.config.to_toml(self.about).encode())


@contextlib.contextmanager
def prepared(config: Config, objects: Objects = Objects()) -> Iterator[Prepared]:
    """Check what can be checked at once, and keep other trainings out of the folders.

    Raises:
        UserError: The configuration cannot be used.
    """
    from kerasrl import environments  # here, so that --help does not wait for gym
    from kerasrl.storage import TrainingState
    from kerasrl.storage.files import exclusive

    config = _named_in_full(config)
    env = None
    if objects.env is not None:
        env = objects.training_env(config, "human" if config.visualize else None)
        config = dataclasses.replace(config, env=environments.name_of(env))
    state = _state_to_resume(config) if config.resume else None
    saved = None if state is None else TrainingState(state).load()
    if saved is not None:
        resumed = config.resumed(saved["metadata"], state)
        if not config.trust:
            require_trust(str(state), dataclasses.asdict(resumed), dataclasses.asdict(config))
        config = resumed
        if missing := objects.missing(saved["metadata"]):
            given = ", ".join(f"{name}=..." for name in missing)
            raise UserError(
                f"the run was given {', '.join(missing)} as objects, which no file holds; resume it from Python: "
                f"train(Config(..., resume=True), {given})"
            )
    if env is None:
        env = objects.training_env(config, "human" if config.visualize else None)
    environments.check_spaces(env)
    if config.record_every:
        environments.require_drawing(env, config.env)
    known = environments.reward_threshold(env)
    threshold = config.stop_at if config.stop_at is not None else known if config.stop_when_solved else None
    if config.stop_when_solved and threshold is None:
        stop_at = to_type("--stop-at", "stop_at=...")
        raise UserError(f"{config.env} has no reward threshold at which it is solved; give one with {stop_at}")
    places = RunFiles(config.env, Path(config.checkpoint_dir), Path(config.log_dir))
    with exclusive(config.checkpoint_dir, config.log_dir):
        training_state = TrainingState(places.state, config.state_interval, config.save_memory)
        earlier = None
        if saved is None:
            earlier = _earlier(config, training_state)
            seed = secrets.randbelow(2**32) if config.seed is None else config.seed
            config = dataclasses.replace(
                config, seed=seed, overwrite=False, trust=False
            )  # which a repetition has to say anew
        if config.verbose:
            print(f"seed {config.seed}")
            if saved is not None:
                without = "" if saved["memory"] else ", without its replay memory: the result will differ"
                print(f"resume at step {saved['agent']['step']} of {config.nb_steps}{without}")
            elif earlier is not None:
                print(f"replaces the {earlier} run in {config.checkpoint_dir}")
        try:
            about = _about(known, objects)
            yield Prepared(config, env, places, training_state, saved is not None, threshold, about, objects)
        finally:
            if env is not objects.env:
                environments.close(env)


def _named_in_full(config: Config) -> Config:
    """Return a configuration whose environment has its version, since files and metadata are named by it."""
    from kerasrl import environments

    env = environments.full_name(config.env)
    named = config if env == config.env else dataclasses.replace(config, env=env)
    object.__setattr__(named, "given", config.given)
    return named


def _state_to_resume(config: Config) -> Path:
    """Return the state of the run that `config` names by folder and environment, or else the only one in the folder.

    Raises:
        UserError: The environment is not given, and there are several.
    """
    folder = Path(config.checkpoint_dir)
    own = RunFiles(config.env, folder, Path(config.log_dir)).state
    is_named = config.env != Config.env or "env" in config.given or (own.exists() and not config.given)
    found = [] if is_named else sorted(folder.glob("dqn_*_state"))
    if len(found) > 1:
        names = ", ".join(file.name.removeprefix("dqn_").removesuffix("_state") for file in found)
        raise UserError(f"{folder} holds several runs to resume: {names}; name one by {to_type('--env', 'env=...')}")
    return found[0] if found else own


def _earlier(config: Config, state: "TrainingState") -> str | None:
    """Return 'finished' or 'unfinished' for the run that a new one would replace, None if there is none to go on with.

    Raises:
        UserError: It is unfinished, and `config` does not say to overwrite it.
    """
    from kerasrl.storage.state import OutdatedError

    try:
        saved = state.load()
        step, end = saved["agent"]["step"], Config.from_metadata(saved["metadata"]).nb_steps
    except OutdatedError:
        if not config.overwrite:
            raise
        return "unfinished"
    except UserError:  # there is none, or what is left of it cannot be resumed
        return None
    if saved.get("finished"):
        return "finished"
    if not config.overwrite:
        raise UserError(
            f"{config.checkpoint_dir} holds an unfinished run of {config.env}, saved at step {step} of {end}; "
            f"continue it with {to_type('--resume', 'Config(..., resume=True)')}, "
            f"or replace it with {to_type('--overwrite', 'Config(..., overwrite=True)')}"
        )
    return "unfinished"


def rehearse(run: Prepared) -> None:
    """Let a throw-away agent act and learn for a few steps, so that what cannot work fails before a file is touched.

    Raises:
        Exception: What the training would raise.
    """
    from kerasrl import environments
    from model import build_agent, build_network, observed

    nb_steps = run.config.window_length + run.config.n_step + 7
    config = dataclasses.replace(run.config, nb_steps_warmup=0, train_interval=1, memory_limit=nb_steps)
    env = run.objects.make_env(config)
    with contextlib.ExitStack() as stack:
        stack.callback(environments.close, env)
        objects = stack.enter_context(run.objects.unchanged())
        state_size, num_actions, processor = observed(env, config, objects.processor)
        model = build_network(state_size, num_actions, config, objects.model)
        # Compiling for the few updates would take seconds.
        dqn = build_agent(model, num_actions, config, processor, jit_compile=False)
        dqn.fit(
            env,
            nb_steps=nb_steps,
            action_repetition=config.action_repetition,
            verbose=0,
            nb_max_start_steps=config.nb_max_start_steps,
            nb_max_episode_steps=config.nb_max_episode_steps or None,
            seed=config.seed,
        )
        run.state.check(dqn)
    if dqn.did_abort:
        raise KeyboardInterrupt


def _about(threshold: float | None, objects: Objects) -> dict[str, str | float]:
    """Return what a run's configuration file says besides the settings."""
    script, *arguments = sys.argv
    named = ["-m", "kerasrl", Path(script).stem] if commands.IS_INSTALLED else [script]
    command = to_type(shlex.join(["python", *named, *arguments]), "")
    about: dict[str, str | float] = {"command": command} if command else {}
    about |= {name: ", ".join(given) for name, given in objects.metadata().items()}
    about["python"] = sys.version.split()[0]
    if threshold is not None:
        about["reward_threshold"] = float(threshold)
    for package in ("tensorflow", "keras", "keras-rl2", "numpy", "gym", "gymnasium", "box2d", "minatar", "ale-py"):
        with contextlib.suppress(metadata.PackageNotFoundError):  # an extra
            about[package] = metadata.version(package)
    return about
