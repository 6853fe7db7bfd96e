"""What a worker does: train a setting with its seeds one after another, score the weights, report progress."""

import contextlib
import dataclasses
import json
import math
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from kerasrl import environments
from kerasrl.compat.keras_settings import choose_tensorflow
from kerasrl.config import AnyConfig
from kerasrl.config.agents import AGENTS
from kerasrl.config.arguments import evaluated_in
from kerasrl.config.commands import PlayConfig
from kerasrl.config.trust import named_to_play
from kerasrl.diagnosis import describe
from kerasrl.phrases import is_shell, shell
from kerasrl.reading import parse_json, read_file
from kerasrl.storage.files import write_whole
from kerasrl.tools.play import run as play
from kerasrl.tools.train import run as train
from kerasrl.tools.tune import storage
from kerasrl.training.files import RunFiles
from kerasrl.training.own_parts import OwnParts

NB_EPISODES, FIRST_TEST_SEED = 100, 1_000_000  # the episodes that score weights; nothing else uses their seeds
RESULT = "result.json"  # beside what train.py writes, once a seed is finished
_SECONDS = 0.5  # between reports of the step


@dataclass(frozen=True)
class Job:
    """Seeds to train one after another, in one task."""

    name: str
    config: AnyConfig
    seeds: tuple[int, ...]
    folder: Path
    """Where each seed's folder is, or where it comes back to from another machine."""
    play: bool
    """Whether to score best and last weights in 100 greedy episodes."""
    command: tuple[str, ...]
    """What the user typed, for the runs' configuration files."""
    storage: str = ""
    """Folder or URL to which each training state is copied, and from which a restarted task continues."""
    can_end: bool = False
    """Whether to wait after each evaluation to hear if it may continue."""
    is_shell: bool = field(default_factory=is_shell)
    """Whether a shell started it, so that what failed is told as there."""

    def home(self, seed: int) -> Path:
        """Return a seed's folder on the machine where the command runs."""
        return self.folder / f"seed-{seed}"

    def away(self, seed: int) -> Path:
        """Return a seed's folder where it is trained: on another machine, it is inside the worker's own folder."""
        home = self.home(seed)
        if not self.storage or not (home.is_absolute() or ".." in home.parts):
            return home
        return Path(*Path(os.path.abspath(home)).parts[1:])  # noqa: PTH100  # as it is written, links and all

    def stored(self, seed: int) -> str:
        """Return where a seed's copies are stored."""
        return f"{self.storage}/{self.away(seed).as_posix()}"


@dataclass(frozen=True)
class News:
    """A job's progress: the seed, the steps of all seeds so far, and any evaluation at this step."""

    seed: int
    step: int
    begins: str = ""
    """What to say if the seed begins or continues."""
    reward: float | None = None
    """Mean reward of the evaluation."""
    best: float | None = None
    """That of the best weights so far."""
    score: float | None = None
    """Mean of the best weights' evaluations over the seeds so far."""


def read_result(folder: Path, nb_steps: int = 0) -> dict[str, Any] | None:
    """Return the result of a seed, None if it is not finished, or was trained for fewer steps."""
    try:
        result = parse_json(read_file(folder / RESULT, 2**24))
    except (OSError, ValueError):
        return None
    if not isinstance(result, dict):
        return None
    known = result.get("nb_steps")
    return result if nb_steps <= (known if isinstance(known, int) else 0) else None


def work(job: Job, tell: Callable[[News], bool]) -> str:
    """Train a job's seeds; return "" if all are finished, "ended" if `tell` ended it, or else what failed."""
    choose_tensorflow()
    with _in_its_place(job.command), shell(job.is_shell):
        try:
            scores: list[float] = []
            for seed in job.seeds:
                if job.storage:
                    storage.fetch(job.stored(seed), job.away(seed))
                result = read_result(job.away(seed), job.config.nb_steps) or _train(job, seed, scores, tell)
                if result is None:
                    return "ended"
                scores.append(result["best"][0])
        except Exception as error:
            return describe(error)
    return ""


def _train(job: Job, seed: int, scores: Sequence[float], tell: Callable[[News], bool]) -> dict[str, Any] | None:
    """Train and score a seed; return its result, None if `tell` ended it."""
    from kerasrl.compat import keras_rl  # noqa: F401  # late: TensorFlow takes seconds

    # isort: split

    import keras

    folder = job.away(seed)
    files = RunFiles(environments.full_name(job.config.env), folder, folder, job.config.agent)
    resume = files.state.exists()
    config = dataclasses.replace(
        job.config, seed=seed, checkpoint_dir=str(folder), log_dir=str(folder), resume=resume, verbose=1
    )
    _wait_for(folder)
    keras.backend.clear_session()  # so that layers get the names they would have in a process of their own
    watch, seen = _watch(job, seed, files, scores, tell)
    begin = time.process_time()
    given = [field.name for field in dataclasses.fields(config)]  # all of them, whatever their defaults are
    trained = train(config, OwnParts(observers=[watch]), given)
    if trained.status:  # the machine is being taken away: the task must be restarted
        _store(job, seed, trained.agent.step)
        os._exit(trained.status)
    if seen.has_ended:
        return None
    result: dict[str, Any] = {
        "nb_steps": config.nb_steps,
        "best": trained.best or trained.last or (math.nan, 0),
        "evaluations": evaluations(files.log),
        "seconds": None if resume else time.process_time() - begin,
    }
    if job.play:
        last = _rewards(files, files.weights, config)
        best = _rewards(files, files.best, config) or last  # without evaluations, there are no best weights
        result |= {"mean_best": _mean(best), "mean_last": _mean(last)}
        if trained.playoff:
            result |= _without_playoff(trained, files, config, best)
    write_whole(folder / RESULT, json.dumps(result).encode())
    _store(job, seed, math.inf)
    return result


def _wait_for(folder: Path) -> None:
    """Wait, at most a minute, until the worker of a command that was killed has noticed and left the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", timeout=60, fallback_to_soft=False)  # as in kerasrl.storage.files
    with contextlib.suppress(Timeout, OSError, NotImplementedError), lock:
        pass  # otherwise `train` says that it is in use


def evaluations(log: Path) -> list[tuple[int, float]]:
    """Return the step and mean reward of each evaluation in a log; none if it does not exist yet."""
    if not log.is_file():
        return []
    columns = json.loads(log.read_text())
    both = zip(columns["nb_steps"], columns.get("evaluation_reward", []), strict=False)
    return [(step, reward) for step, reward in both if reward is not None]


def _rewards(files: RunFiles, weights: Path, config: AnyConfig) -> list[float]:
    """Return the rewards of 100 greedy episodes where evaluations are, none if the weights do not exist."""
    if not files.exists(weights):
        return []
    seed = (FIRST_TEST_SEED + (config.seed or 0)) % 2**32
    # Somebody else may have written them: only what the user has named is imported.
    named = {**named_to_play(vars(config)), **evaluated_in(config)}
    return list(play(PlayConfig(str(weights), NB_EPISODES, seed=seed, trust=config.trust, **named)))


def _mean(rewards: list[float]) -> float | None:
    return sum(rewards) / len(rewards) if rewards else None


def _without_playoff(trained: Any, files: RunFiles, config: AnyConfig, best: list[float]) -> dict[str, Any]:
    """Return the mean of the weights that would be the best without a playoff, and the error of its difference."""
    first, rewards = trained.playoff[0], best
    if trained.best != (first.reward, first.step):
        with tempfile.TemporaryDirectory() as folder:
            first.write(trained.agent, file := Path(folder, files.best.name))
            rewards = _rewards(files, file, config)
    differences = [one - other for one, other in zip(best, rewards, strict=True)]
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    return {"mean_without_playoff": _mean(rewards), "error_of_difference": error}


@dataclass
class _Seen:
    """What has been seen of a training; not in the callback, whose attributes training states would save."""

    best: float | None = None
    told: float = 0.0  # seconds
    state: int = 0  # when the state that was stored last was written
    has_ended: bool = False


def _watch(
    job: Job, seed: int, files: RunFiles, scores: Sequence[float], tell: Callable[[News], bool]
) -> tuple[Any, _Seen]:
    """Return a callback that reports progress, ends the training if asked to, and stores its states."""
    import rl.callbacks

    before = job.seeds.index(seed) * job.config.nb_steps
    seen = _Seen(state=_modified(files.state))

    class Watch(rl.callbacks.Callback):
        def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
            earlier = [reward for step, reward in evaluations(files.log) if step <= self.model.step]
            seen.best = max(earlier, default=None)
            words = f"continues from step {self.model.step:,}" if self.model.step else "begins"
            which = f"seed {seed} " if len(job.seeds) > 1 else ""
            tell(News(seed, before + self.model.step, which + words, best=seen.best))

        def on_episode_begin(self, episode: int, logs: dict[str, Any] | None = None) -> None:
            # States are saved between episodes, so this is the first moment at which a new one is whole.
            if job.storage and _modified(files.state) != seen.state:
                seen.state = _modified(files.state)
                _store(job, seed, self.model.step)

        def on_episode_end(self, episode: int, logs: dict[str, Any]) -> None:
            if not self._evaluated(logs) and time.monotonic() - seen.told > _SECONDS:
                tell(News(seed, before + logs["nb_steps"]))
                seen.told = time.monotonic()

        def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
            self._evaluated(logs or {})

        def _evaluated(self, logs: dict[str, Any]) -> bool:
            reward = logs.get("evaluation_reward", math.nan)
            if not math.isfinite(reward):
                return False
            seen.best = reward if seen.best is None else max(seen.best, reward)
            best = [*scores, seen.best]
            if not tell(News(seed, before + logs["nb_steps"], "", reward, seen.best, sum(best) / len(best))):
                seen.has_ended = self.model.stop_training = True
            return True

    return Watch(), seen


def _store(job: Job, seed: int, step: float) -> None:
    if job.storage:
        storage.store(job.away(seed), job.stored(seed), step)


def _modified(file: Path) -> int:
    return file.stat().st_mtime_ns if file.exists() else 0


@contextlib.contextmanager
def _in_its_place(command: Sequence[str]) -> Iterator[None]:
    """Make a training believe that the user's command started it, and discard its output."""
    before, sys.argv = sys.argv, list(command)
    with Path(os.devnull).open("w") as nowhere:
        try:
            with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
                yield
        finally:
            sys.argv = before


def clear(folder: Path) -> None:
    """Remove intermediate weights and what only a resume needs: hundreds of trials would fill a disk."""
    for agent, kind in AGENTS.items():
        numbered = [f"{agent}_*_weights_*{suffix}.h5f" for suffix in kind.suffixes]
        for file in [found for name in (f"{agent}_*_state*", *numbered) for found in folder.glob(f"seed-*/{name}")]:
            shutil.rmtree(file) if file.is_dir() else file.unlink(missing_ok=True)
