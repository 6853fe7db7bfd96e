"""What surrounds a training: its files, its seed, what it resumes, and what it tells in the end."""

import contextlib
import dataclasses
import secrets
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from command_line import command_to_type, in_words
from config import Config
from kerasrl.errors import UserError

if TYPE_CHECKING:
    from kerasrl import DQNAgent
    from kerasrl.callbacks import Evaluation
    from kerasrl.storage import TrainingState


@dataclass(frozen=True)
class RunFiles:
    """Where weights, state, log and pictures of a training in `env_name` land."""

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
        """Weights every so many steps, with a placeholder for the step."""
        # Braces in a folder's name are no placeholders.
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

    def film(self, step: int) -> Path:
        """Film of an evaluation."""
        return self._named(self.log_dir, f"film_{step}.gif")


@dataclass(frozen=True)
class Prepared:
    """A training that can begin: its configuration with a seed, its environment, where it writes and resumes."""

    config: Config
    env: Any
    files: RunFiles
    state: "TrainingState"
    resume: bool
    threshold: float | None
    """Mean reward that ends the training."""


@contextlib.contextmanager
def prepared(config: Config) -> Iterator[Prepared]:
    """Check what can be checked at once, keep other trainings out of the folders, and note what is about to happen.

    Raises:
        UserError: The configuration cannot be used.
    """
    from kerasrl import environments  # here, so that --help does not wait for gym
    from kerasrl.storage import TrainingState
    from kerasrl.storage.files import exclusive, write_whole

    env = environments.make(config.env, render_mode="human" if config.visualize else None)
    environments.check_spaces(env)
    known = environments.reward_threshold(env)
    threshold = config.stop_at if config.stop_at is not None else known if config.stop_when_solved else None
    if config.stop_when_solved and threshold is None:
        raise UserError(f"{config.env} names no reward at which it is solved; give one with --stop-at")
    places = RunFiles(config.env, Path(config.checkpoint_dir), Path(config.log_dir))
    with exclusive(config.checkpoint_dir, config.log_dir):
        training_state = TrainingState(places.state, config.state_interval, config.save_memory)
        saved = training_state.load() if config.resume else None
        if saved is not None:
            config = config.resumed(saved["metadata"])
        elif config.seed is None:
            config = dataclasses.replace(config, seed=secrets.randbelow(2**32))
        if config.verbose:
            print(f"seed {config.seed}")
            if saved is not None:
                without = "" if saved["memory"] else ", without its replay memory: the result will be another"
                print(f"resume at step {saved['agent']['step']} of {config.nb_steps}{without}")
            elif training_state.path.exists():
                print(f"replaces the run in {config.checkpoint_dir}, with which --resume would have gone on")
        write_whole(places.config, config.to_toml(_about(known)).encode())
        try:
            yield Prepared(config, env, places, training_state, saved is not None, threshold)
        finally:
            env.close()


def _about(threshold: float | None) -> dict[str, str | float]:
    """Return what a run's configuration tells besides the settings."""
    about: dict[str, str | float] = {"command": shlex.join(["python", *sys.argv]), "python": sys.version.split()[0]}
    if threshold is not None:
        about["reward_threshold"] = float(threshold)
    for package in ("tensorflow", "keras", "keras-rl2", "numpy", "gym", "gymnasium", "box2d", "minatar", "ale-py"):
        with contextlib.suppress(metadata.PackageNotFoundError):  # an extra
            about[package] = metadata.version(package)
    return about


@dataclass(frozen=True)
class Trained:
    """What came of a training."""

    agent: "DQNAgent"
    history: dict[str, list[Any]]
    """Of each episode, as Keras-RL's History: episode_reward, nb_episode_steps, nb_steps, evaluation_reward."""
    files: RunFiles
    best: tuple[float, int] | None
    """Mean reward of the best weights in their evaluation, and the steps they were trained for."""
    last: tuple[float, int] | None
    """The same of the last weights."""
    status: int
    """Exit status: 0, or 128 and the number of the signal that stopped the training."""


def finished(
    run: Prepared,
    dqn: "DQNAgent",
    history: dict[str, list[Any]],
    evaluation: "Evaluation | None",
    signal: int | None,
) -> Trained:
    """Draw the curve, print what came of the training, and return it."""
    from plot import plot  # here, so that --help does not wait for its libraries

    if history:
        try:
            plot([run.files.log], run.files.curve, run.threshold)
        except UserError as error:
            print(f"no curve: {error}", file=sys.stderr)  # the weights are there all the same
    if run.config.verbose:
        _tell(run, dqn.step, history, evaluation)
    if dqn.did_abort:
        print(
            f"stopped at step {dqn.step} of {run.config.nb_steps}; the same command with --resume goes on from step "
            f"{run.state.saved_step}",
            file=sys.stderr,
        )
    if evaluation is not None:
        evaluation.eval_env.close()
    best, last = (None, None) if evaluation is None else (evaluation.best, evaluation.last)
    return Trained(dqn, history, run.files, best, last, 0 if signal is None else 128 + signal)


def _tell(run: Prepared, step: int, history: dict[str, list[Any]], evaluation: "Evaluation | None") -> None:
    """Print the scores, the files, and the command to type next."""
    files, config = run.files, run.config
    if evaluation is not None and evaluation.solved is not None:
        print(
            f"solved: mean reward of 100 greedy episodes {in_words(evaluation.solved[0])}, at least {run.threshold:g}"
        )
    if evaluation is not None and evaluation.best is not None:
        for name, path, score in (("best", files.best, evaluation.best), ("last", files.weights, evaluation.last)):
            if score is not None and (name == "best" or score[1] == step):
                print(f"{name} weights {path}: mean reward {in_words(score[0])} when evaluated at step {score[1]:,}")
            else:
                print(f"{name} weights {path}: step {step:,}, not evaluated")
    else:
        print(f"weights {files.weights}")
    if history:
        print(f"curve {files.curve}")
    print("play them, with --visualize in a window:")
    has_best = evaluation is not None and evaluation.best is not None
    to_play = files.best if has_best and config.play == "best" else files.weights
    print(command_to_type("test.py", "--weights", str(to_play)))
