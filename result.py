"""The result of a training: what is told at its end, and what `train` returns."""

import dataclasses
import io
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from command_line import command_to_type, in_words
from kerasrl.errors import UserError, to_type
from objects import Objects
from run import Prepared, RunFiles
from trust import modules

if TYPE_CHECKING:
    from kerasrl import DQNAgent
    from kerasrl.callbacks import Evaluation
    from play import Played


@dataclass(frozen=True)
class Trained:
    """The result of a training."""

    agent: "DQNAgent" = field(repr=False)
    history: dict[str, list[Any]] = field(repr=False)
    """For each episode, as in Keras-RL's History: episode_reward, nb_episode_steps, nb_steps, evaluation_reward."""
    files: RunFiles
    best: tuple[float, int] | None
    """Mean reward of the best weights in their evaluation, and the number of steps they were trained for."""
    last: tuple[float, int] | None
    """Mean reward and number of steps of the last weights that were evaluated."""
    status: int
    """Exit status: 0, or 128 and the number of the signal that stopped the training."""
    weights: Path
    """Weights that `play` plays: the best, or the last if there are no best or the settings say so."""
    objects: Objects = field(repr=False)
    """What `train` was given as objects."""

    def play(
        self, episodes: int = 5, *, record: str | Path = "", visualize: bool = False, seed: int | None = None
    ) -> "Played":
        """Play with the weights, print the result, and return the episodes' rewards; a notebook shows their film.

        Args:
            episodes: Number of episodes.
            record: Film to write, .gif or .mp4.
            visualize: Show the environment in a window, at natural speed.
            seed: Seed of the episodes; without it, they are random.

        Raises:
            UserError: There is no screen, or the film cannot be written.
        """
        from play import play  # here, so that --help is quick

        return play(self.weights, episodes, record=record, visualize=visualize, seed=seed, **self._trained_with())

    def export(self, to: str | Path, *, overwrite: bool = False, episodes: int = 10, seed: int = 0) -> Path:
        """Write the network to a file for other programs, check it by playing, print what it takes, return its path.

        Args:
            to: File to write, .onnx, .tflite or .keras; a name without an ending is a folder, for TensorFlow Serving.
            overwrite: Replace the file if there is one.
            episodes: Episodes to play with the file.
            seed: Seed of the episodes.

        Raises:
            UserError: The network cannot be written, or the file does not act as the agent.
            OSError: The file cannot be written.
        """
        from export import export  # here, so that --help is quick

        return export(self.weights, to, overwrite=overwrite, episodes=episodes, seed=seed, **self._trained_with())

    def _trained_with(self) -> dict[str, Any]:
        """Return what `play` and `export` have to know of this training; its modules have been imported already."""
        objects = self.objects
        return {"env": objects.env, "model": objects.model, "processor": objects.processor, "trust": True}

    def _repr_png_(self) -> tuple[bytes, dict[str, int]] | None:
        """Return the curve, which a notebook shows: half as large on the screen, so that it is sharp on every one."""
        if not self.files.curve.is_file():
            return None
        from PIL import Image

        with Image.open(self.files.curve) as curve, io.BytesIO() as small:
            curve.convert("RGB").quantize(64).save(small, "png", optimize=True)  # a notebook keeps what it shows
            return small.getvalue(), {"width": curve.width // 2}


def finished(
    run: Prepared,
    dqn: "DQNAgent",
    history: dict[str, list[Any]],
    evaluation: "Evaluation | None",
    signal: int | None,
) -> Trained:
    """Draw the curve, print the result of the training, and return it."""
    from kerasrl import environments  # here, so that --help does not wait for gym

    if not dqn.did_abort:
        run.state.finish()
    from plot import plot  # here, so that --help does not wait for its libraries

    has_log = run.files.log.is_file()  # of a resumed run also without a new episode; none before the first one's end
    if has_log:
        try:
            plot([run.files.log], run.files.curve, run.threshold)
        except UserError as error:
            print(f"no curve: {error}", file=sys.stderr)  # the weights have been saved all the same
    has_best = evaluation is not None and evaluation.best is not None
    weights = run.files.best if has_best and run.config.play == "best" else run.files.weights
    if run.config.verbose:
        _tell(run, dqn.step, has_log, evaluation, weights)
    if dqn.did_abort:
        again = to_type("the same command with --resume", "the same call with Config(..., resume=True)")
        print(
            f"stopped at step {dqn.step} of {run.config.nb_steps}; {again} continues from step {run.state.saved_step}",
            file=sys.stderr,
        )
    if evaluation is not None:
        environments.close(evaluation.eval_env)
    best, last = (None, None) if evaluation is None else (evaluation.best, evaluation.last)
    return Trained(dqn, history, run.files, best, last, 0 if signal is None else 128 + signal, weights, run.objects)


def _tell(run: Prepared, step: int, has_log: bool, evaluation: "Evaluation | None", weights: Path) -> None:
    """Print the scores, the files, and what to type next."""
    from kerasrl import environments

    files = run.files
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
    if has_log:
        print(f"curve {files.curve}")
    if run.config.record_every and files.progress_film.is_file():
        print(f"film {files.progress_film}")
    in_window = f", with {to_type('--visualize', 'visualize=True')} in a window" if environments.draws(run.env) else ""
    print(f"play them{in_window}:")
    settings = dataclasses.asdict(run.config) | {"callback": ()}
    named = [word for name, value in modules(settings) for word in (f"--{name}", value)]
    print(to_type(command_to_type("test", "--weights", str(weights), *named), "trained.play()"))
