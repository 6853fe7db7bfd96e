"""The files of a run."""

import re
from pathlib import Path


class RunFiles:
    """Where the weights, state, log and pictures of a training are written.

    Args:
        env_name: Name of the environment.
        checkpoint_dir: Folder for weights and state.
        log_dir: Folder for log and pictures.

    Attributes:
        weights: Weights at the end.
        best: Weights that did best in an evaluation.
        checkpoints: Weights saved at regular intervals, with a placeholder for the step.
        state: What a resume needs.
        log: Log of the episodes.
        curve: Picture of the log.
        config: Settings, command and versions of the run.
        tensorboard: Folder for TensorBoard.
        progress_film: The films of all evaluations, joined.
    """

    def __init__(self, env_name: str, checkpoint_dir: Path, log_dir: Path) -> None:
        self.env_name, self.checkpoint_dir, self.log_dir = env_name, checkpoint_dir, log_dir
        self._prefix = f"dqn_{env_name.replace('/', '-').replace(':', '-')}_"
        kept, shown = (str(folder / self._prefix) for folder in (checkpoint_dir, log_dir))
        self.weights, self.best, self.state = (Path(f"{kept}{what}") for what in ("weights.h5f", "best.h5f", "state"))
        # Braces in a folder's name are not placeholders.
        self.checkpoints = f"{kept}weights_".replace("{", "{{").replace("}", "}}") + "{step}.h5f"
        self.log, self.curve, self.config = (
            Path(f"{shown}{what}") for what in ("log.json", "curve.png", "config.toml")
        )
        self.tensorboard, self.progress_film = Path(f"{shown}tensorboard"), Path(f"{shown}progress.gif")

    def film(self, step: int) -> Path:
        """Return the film of an evaluation."""
        return self.log_dir / f"{self._prefix}film_{step}.gif"

    def films(self) -> list[Path]:
        """Return the existing films of evaluations, in order of their steps."""
        films = self._matching(self.log_dir, r"film_\d+\.gif")
        return sorted(films, key=lambda film: int(film.stem.rpartition("_")[2]))

    def _matching(self, folder: Path, names: str) -> list[Path]:
        pattern = re.escape(self._prefix) + names
        return [file for file in folder.iterdir() if re.fullmatch(pattern, file.name) and file.is_file()]

    def all(self) -> list[Path]:
        """Return this training's existing files, the state first: without it nothing can be resumed."""
        files = [self.state, self.weights, self.best, self.log, self.curve, self.config, self.progress_film]
        files += self._matching(self.checkpoint_dir, r"(state\.memory-\d+|weights_\d+\.h5f)")
        files += [*self.films(), *self.tensorboard.glob("events.out.tfevents.*.kerasrl")]
        return [file for file in files if file.is_file()]
