"""The files of a run."""

import os
import re
import warnings
from pathlib import Path

from kerasrl.config.agents import AGENTS, DQN
from kerasrl.errors import Note, UserError
from kerasrl.storage import several_files, weights
from kerasrl.storage.earlier import EARLIER, carries, is_interrupted, next_number, places, set_aside
from kerasrl.storage.several_files import files_of
from kerasrl.storage.state import TrainingState

_MOST_KEPT = 500_000_000  # bytes of a replay memory that is kept when a new run begins
_STATE = "_state"


class RunFiles:
    """Where the weights, state, log and pictures of a training are written.

    Args:
        env_name: Name of the environment.
        checkpoint_dir: Folder for weights and state.
        log_dir: Folder for log and pictures.
        agent: Name of the agent.

    Attributes:
        weights: Weights at the end. If an agent's are in several files, it adds `suffixes` to this name.
        best: Weights that did best in an evaluation.
        checkpoints: Weights saved at regular intervals, with a placeholder for the step.
        state: What a resume needs.
        log: Log of the episodes.
        curve: Picture of the log.
        config: Settings, command and versions of the run.
        tensorboard: Folder for TensorBoard.
        progress_film: The films of all evaluations, joined.
    """

    def __init__(self, env_name: str, checkpoint_dir: Path, log_dir: Path, agent: str = DQN) -> None:
        self.env_name, self.checkpoint_dir, self.log_dir, self.agent = env_name, checkpoint_dir, log_dir, agent
        self.suffixes = AGENTS[agent].suffixes
        self._prefix = f"{agent}_{_in_file_name(env_name)}_"
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

    def written(self, weights: Path) -> list[Path]:
        """Return the files that weights of this name are in."""
        return [Path(file) for file in files_of(weights, self.suffixes)]

    def exists(self, weights: Path) -> bool:
        """Return whether weights of this name are there."""
        return all(file.is_file() for file in self.written(weights))

    def _matching(self, folder: Path, names: str) -> list[Path]:
        pattern = re.escape(self._prefix) + names
        found = folder.iterdir() if folder.is_dir() else ()
        return [file for file in found if re.fullmatch(pattern, file.name) and not _is_folder(file)]

    def kept(self) -> list[Path]:
        """Return the existing files in `checkpoint_dir`, the replay memory before the state that refers to it."""
        files = [*self._matching(self.checkpoint_dir, r"state\.memory-\d+"), self.state]
        files += [*self.written(self.weights), *self.written(self.best)]
        suffixes = "|".join(map(re.escape, self.suffixes))
        files += self._matching(self.checkpoint_dir, rf"weights_\d+({suffixes})\.h5f")
        return [file for file in files if os.path.lexists(file) and not _is_folder(file)]

    def shown(self) -> list[Path]:
        """Return the existing files in `log_dir`; a link in the place of TensorBoard's folder is one of them."""
        files = [self.log, self.curve, self.config, self.progress_film, *self.films(), self.tensorboard]
        if not self.tensorboard.is_symlink():
            files += self.tensorboard.glob("events.out.tfevents.*.kerasrl")
        return [file for file in files if os.path.lexists(file) and not _is_folder(file)]

    # What later runs have replaced

    @property
    def _journal(self) -> str:
        return f"{self._prefix}moving.json"

    def number_of_next(self) -> int:
        """Return the number that the next run's files will get when a later one replaces them."""
        return next_number(self.checkpoint_dir, self.log_dir) + bool(self.kept() or self.shown())

    def complete(self) -> str:
        """Complete a move that was interrupted; return what to say about it, "" if there was none."""
        return self.set_aside() if is_interrupted(self._journal, self.checkpoint_dir, self.log_dir) else ""

    def set_aside(self, run: str = "") -> str:
        """Move existing files to `earlier/N` in their folders; return a line that says so, "" if there were none.

        With `run`, the id of a run that continues, only weights and logs of other runs are moved.

        Raises:
            UserError: The place is behind a link.
            OSError: A file cannot be moved; the next start completes the move.
        """
        kept, shown = self.kept(), self.shown()
        if run:
            of_state = re.escape(self.state.name)
            kept = [f for f in kept if not re.match(of_state, f.name) and not carries(f, run)]
            shown = [file for file in shown if not carries(file, run)]
        files = {self.checkpoint_dir: kept}
        files[self.log_dir] = [*files.get(self.log_dir, []), *shown]
        moved = set_aside(files, self._journal)
        if not moved:
            return ""
        size = 0
        if self.checkpoint_dir in moved:
            state = RunFiles(self.env_name, moved[self.checkpoint_dir], self.log_dir, self.agent).state
            size = TrainingState(state).leave_out_memory(_MOST_KEPT)
        without = f", without its replay memory of {size / 1e9:.1f} GB" if size else ""
        return f"earlier files are kept in {' and '.join(map(str, moved.values()))}{without}"

    def of_run(self, run: str) -> "RunFiles":
        """Return where the files of a run are: here, or where a later run has moved them.

        Raises:
            UserError: Its weights are in neither.
        """
        names = [self.written(file)[0].name for file in (self.weights, self.best)]
        weights = self._place_of(run, self.checkpoint_dir, *names, self.state.name)
        if weights is None:
            folder = self.checkpoint_dir
            raise UserError(f"the weights of this training have been removed from {folder} and {folder / EARLIER}")
        shown = self._place_of(run, self.log_dir, self.config.name) or self.log_dir
        return RunFiles(self.env_name, weights, shown, self.agent)

    def _place_of(self, run: str, folder: Path, *names: str) -> Path | None:
        """Return the folder, or that in its `earlier`, where a run has one of the files."""
        found = (place for place in (folder, *places(folder)) if any(carries(place / name, run) for name in names))
        return next(found, None)


def _in_file_name(env_name: str) -> str:
    return env_name.replace("/", "-").replace(":", "-")


def states(folder: Path, agent: str) -> dict[str, Path]:
    """Return the training states of an agent in a folder by the environments' names, as files have them."""
    found = sorted(folder.glob(f"{agent}_*{_STATE}")) if os.path.isdir(folder) else []
    return {file.name.removeprefix(f"{agent}_").removesuffix(_STATE): file for file in found}


def agent_to_resume(checkpoint_dir: str, env: str | None, default: str) -> str:
    """Return the only agent of which there is a run to resume in a folder, of an environment if one is named.

    If there is none, it is `default`; `UserError` if there are several.
    """
    found = {agent: states(Path(checkpoint_dir), agent) for agent in AGENTS}
    if env is not None:
        from kerasrl import environments

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Note)  # the training says once more which version is taken
            name = _in_file_name(environments.full_name(env))
        found = {agent: {name: of[name]} if name in of else {} for agent, of in found.items()}
    agents = [agent for agent, of in found.items() if of]
    if len(agents) > 1:
        runs = ", ".join(f"{agent} on {name}" for agent, of in found.items() for name in of)
        raise UserError(f"{checkpoint_dir} holds runs of several agents to resume: {runs}; name one with --agent")
    return agents[0] if agents else default


def weights_files(name: str) -> tuple[list[str], str]:
    """Return the files that the weights of this name are in, the one with the settings first, and who writes them so.

    An agent's weights may be in several files; then the name is that of one of them, or of all without what tells them
    apart.
    """
    for agent, kind in AGENTS.items():
        files = several_files.find(name, kind.suffixes) if len(kind.suffixes) > 1 else []
        are_there = list(map(weights.exists, files))
        is_one = str(Path(name.removesuffix(".index"))) in files
        if all(are_there) if is_one else any(are_there) and not weights.exists(name):
            return files, agent
    return [name], DQN


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
