"""Many settings: Optuna's TPE proposes them, successive halving (ASHA) stops laggards, the best are trained again."""

import contextlib
import csv
import dataclasses
import errno
import io
import re
import sqlite3
import statistics
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasrl.config import AnyConfig
from kerasrl.config.agents import DQN
from kerasrl.config.files import changes
from kerasrl.config.trust import brought, options
from kerasrl.errors import UserError, WriteError, printable
from kerasrl.phrases import arguments, command_to_type, reward_text, to_type, typed
from kerasrl.storage.files import write_whole
from kerasrl.tools.tune.pictures import draw_pictures
from kerasrl.tools.tune.seeds import OWN, mean_text, run_jobs, what_is_told
from kerasrl.tools.tune.space import Space, settings_text
from kerasrl.tools.tune.table import Table
from kerasrl.tools.tune.worker import NB_EPISODES, Job, News, clear, read_result

if TYPE_CHECKING:
    import optuna

    from kerasrl.tools.tune.cluster import Cluster

FIRST_SEED, FIRST_FRESH_SEED = 1_000, 2_000  # lower ones are for reporting
_BEST = 5
_KEPT = 3  # a third of the trials continues from each rung
STUDY, BEST, TRIALS = "study.db", "best.toml", "trials.csv"
# What makes SQLite compute: virtual tables, generated columns, checks, defaults, functions in an index.
_COMPUTED = re.compile(r"\b(virtual|as|check|default)\b|^\s*create\s+(unique\s+)?index\b[^(]*\([^)]*\(", re.IGNORECASE)


@dataclass
class Search:
    """A search in a folder, or the continuation of the one already there.

    Args:
        config: Settings that do not vary, with the environment's full name.
        space: What varies.
        folder: Folder for everything.
        trial_seeds: Number of seeds to train each setting with.
        command: What the user typed.
    """

    config: AnyConfig
    space: Space
    folder: Path
    trial_seeds: int
    command: Sequence[str]
    study: "optuna.Study" = field(init=False)

    def __post_init__(self) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            _require_plain(self.folder / STUDY)
            # It holds only values, intact after a crash; unlike Ray Tune's pickle, a stranger's file cannot run code.
            storage = optuna.storages.RDBStorage(f"sqlite:///{(self.folder / STUDY).resolve()}")
            pruner = optuna.pruners.SuccessiveHalvingPruner(self._first_rung(), _KEPT)
            self.study = optuna.create_study(
                storage=storage, study_name="search", direction="maximize", load_if_exists=True, pruner=pruner
            )
            # A search that continues must not repeat its draws.
            self.study.sampler = optuna.samplers.TPESampler(seed=len(self.study.trials), constant_liar=True)
        except Exception as error:
            raise UserError(f"{self.folder / STUDY} cannot be used: {_first_line(error)}") from None

    def _first_rung(self) -> int:
        """Return the step of the first decision: the last is at a third of all steps, those before at thirds of it."""
        rung = self.config.nb_steps * self.trial_seeds
        while rung // _KEPT >= self.config.nb_steps // 5:  # any earlier, there is still little but exploration
            rung //= _KEPT
        return max(1, rung)

    def run(self, nb_trials: int, cluster: "Cluster") -> None:
        """Try settings until there are `nb_trials`; those that were interrupted continue first.

        Raises:
            OSError: The disk is full.
        """
        import optuna
        from optuna.trial import TrialState

        trials: dict[str, optuna.Trial] = {}
        for ended in self.study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)):
            clear(self._folder(ended.number))  # a kill may have come in between

        def following() -> Iterator[Job]:
            for frozen in self.study.get_trials(states=(TrialState.RUNNING,)):
                yield from job_of(optuna.Trial(self.study, frozen._trial_id))
            while len(self.study.trials) < nb_trials:
                yield from job_of(self.study.ask())

        def job_of(trial: "optuna.Trial") -> Iterator[Job]:
            settings = {name: part.suggest(trial, name) for name, part in self.space.items()}
            name = f"trial {trial.number}"
            table.add(name, self.config.nb_steps * self.trial_seeds, settings_text(settings))
            try:
                config = dataclasses.replace(self.config, **settings, playoff=0)  # trials are compared by evaluations
            except UserError as error:  # each value is possible, but not all together
                fail(name, trial, str(error))
                return
            trials[name] = trial
            seeds = tuple(range(FIRST_SEED, FIRST_SEED + self.trial_seeds))
            yield Job(
                name,
                config,
                seeds,
                self._folder(trial.number),
                False,
                tuple(self.command),
                cluster.storage,
                can_end=True,
            )

        def fail(name: str, trial: "optuna.Trial", reason: str) -> None:
            trial.set_user_attr("failed", reason)
            self.study.tell(trial, state=TrialState.FAIL)
            table.end(name, f"failed: {reason}", is_failure=True)

        def on_news(job: Job, news: News) -> bool:
            table.update(job.name, news)
            if news.score is None:
                return True
            trial, step = trials[job.name], news.step // self.config.eval_interval * self.config.eval_interval
            if step in self.study.trials[trial.number].intermediate_values:  # reported before an interruption
                return True
            trial.report(news.score, step)
            is_over = news.step >= self.config.nb_steps * self.trial_seeds  # stopping would save nothing
            return is_over or not trial.should_prune()

        def on_end(job: Job, outcome: str) -> None:
            trial, row = trials.pop(job.name), job.name
            results = [result for seed in job.seeds if (result := read_result(job.home(seed))) is not None]
            if outcome == "ended":
                self.study.tell(trial, state=TrialState.PRUNED)
                table.end(row, f"stopped, lagging at {self._last(trial)}")
            elif outcome or len(results) < len(job.seeds):
                fail(row, trial, outcome or "it left no result")
            else:
                score = statistics.fmean(result["best"][0] for result in results)
                self.study.tell(trial, score)
                table.end(row, f"score {reward_text(score)}")
            clear(job.folder)
            self.write_trials({})

        waiting = following()
        try:
            with Table("trial") as table:
                cluster.run(lambda: next(waiting, None), on_news, on_end)
        except optuna.exceptions.StorageInternalError as error:
            raise WriteError(errno.EIO, _first_line(error), str(self.folder / STUDY)) from None

    def _folder(self, number: int) -> Path:
        return self.folder / "trials" / f"{number:03}"

    def rank(self, cluster: "Cluster") -> dict[int, list[float]]:
        """Train the five best settings again on fresh seeds, and rank them by their best weights' mean rewards.

        Returns:
            By the number of each trial, best first: for each seed, the mean reward of 100 greedy episodes.
        """
        complete = [trial for trial in self.study.trials if trial.state.name == "COMPLETE"]
        ranking = sorted(complete, key=lambda trial: -(trial.value or 0.0))[:_BEST]
        fresh = range(FIRST_FRESH_SEED, FIRST_FRESH_SEED + self.trial_seeds)
        jobs = {
            f"trial {trial.number}, seed {seed}": Job(
                f"trial {trial.number}, seed {seed}", self._config(trial), (seed,),
                self.folder / "best" / f"trial-{trial.number:03}", True, tuple(self.command), cluster.storage,
            )
            for trial in ranking
            for seed in fresh
        }  # fmt: skip
        with Table("trial") as table:
            results, _ = run_jobs(list(jobs.values()), cluster, table)
        found = {
            trial.number: [
                results[name]["mean_best"]
                for seed in fresh
                if (name := f"trial {trial.number}, seed {seed}") in results
            ]
            for trial in ranking
        }
        ranked = {number: rewards for number, rewards in found.items() if len(rewards) == len(fresh)}
        return dict(sorted(ranked.items(), key=lambda item: -statistics.fmean(item[1])))

    def summarise(self, ranked: dict[int, list[float]]) -> None:
        """Write best.toml, trials.csv and the pictures, and print what was found."""
        self.write_trials(ranked)
        states = [trial.state.name for trial in self.study.trials]
        print(
            f"{len(states)} trials: {states.count('COMPLETE')} finished, {states.count('PRUNED')} stopped, "
            f"{states.count('FAIL')} failed"
        )
        if ranked:
            seeds = f"{self.trial_seeds} fresh seed{'s' if self.trial_seeds > 1 else ''}"
            print(
                f"the {len(ranked)} best, trained again: score in the search, then {what_is_told(self.trial_seeds)} of"
            )
            print(f"{NB_EPISODES} greedy episodes with each of {seeds}, by which they are ranked:")
        for place, (number, rewards) in enumerate(ranked.items(), 1):
            trial = self.study.trials[number]
            score = reward_text(trial.value or 0.0)
            print(
                f"{place}. trial {number}: {score}, then {mean_text(rewards)}: {settings_text(self._settings(trial))}"
            )
        print(f"trials {self.folder / TRIALS}")
        for line in draw_pictures(self.study, ranked, self.folder):
            print(printable(line))
        if ranked:
            best, file = next(iter(ranked)), str(self.folder / BEST)
            self._write_best(best, ranked[best])
            named = brought(vars(self._config(self.study.trials[best])))
            command = command_to_type("train", "--config", file, *options(named))
            in_python = f"from kerasrl import Config, train; train(Config.load({arguments(file=file, **named)}))"
            print(f"best settings {file}, to train with:\n{to_type(command, in_python)}")

    def write_trials(self, ranked: dict[int, list[float]]) -> None:
        """Write the table of all trials."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["trial", "state", "score", "fresh_score", "step", "seconds", "reason", *self.space])
        states = {"COMPLETE": "finished", "PRUNED": "stopped", "FAIL": "failed", "RUNNING": "unfinished"}
        for trial in self.study.trials:
            settings = self._settings(trial)
            took = trial.duration.total_seconds() if trial.duration is not None else ""
            writer.writerow([
                trial.number, states.get(trial.state.name, trial.state.name),
                "" if trial.state.name == "FAIL" or trial.value is None else trial.value,
                statistics.fmean(ranked[trial.number]) if trial.number in ranked else "",
                trial.last_step or "", took, trial.user_attrs.get("failed", ""),
                *(_plain(settings.get(name, "")) for name in self.space),
            ])  # fmt: skip
        write_whole(self.folder / TRIALS, text.getvalue().encode())

    def _write_best(self, number: int, rewards: Sequence[float]) -> None:
        import tomli_w

        trial = self.study.trials[number]
        settings = {
            name: value
            for name, value in changes(self._config(trial), type(self.config)()).items()
            if name not in OWN and value is not None
        }
        about = {
            **({"command": command} if (command := typed()) else {}),
            "found": f"trial {number} of {len(self.study.trials)}, by TPE and successive halving (Optuna)",
            "tuned_on": f"{self.config.env}, seeds {FIRST_SEED} to {FIRST_SEED + self.trial_seeds - 1}",
            "score_in_search": trial.value,
            "score_on_fresh_seeds": statistics.fmean(rewards),
            "fresh_seeds": f"{FIRST_FRESH_SEED} to {FIRST_FRESH_SEED + self.trial_seeds - 1}, "
            f"{NB_EPISODES} greedy episodes each",
        }
        named = {} if self.config.agent == DQN else {"agent": self.config.agent}
        write_whole(self.folder / BEST, tomli_w.dumps({**named, **settings, "run": about}).encode())

    def _settings(self, trial: Any) -> dict[str, Any]:
        return {name: part.suggest(trial, name) for name, part in self.space.items() if name in trial.params}

    def _config(self, trial: Any) -> AnyConfig:
        return dataclasses.replace(self.config, **self._settings(trial))

    def _last(self, trial: Any) -> str:
        values = self.study.trials[trial.number].intermediate_values
        return f"step {max(values):,}" if values else "its start"


def _require_plain(study: Path) -> None:
    """Raise `ValueError` unless an existing study has nothing but tables, each part of which is there once.

    A view may have rows without end, and so may a table whose pages refer to each other.
    """
    if not study.exists():
        return
    with contextlib.closing(sqlite3.connect(f"{study.resolve().as_uri()}?mode=ro", uri=True)) as database:
        for kind, sql in database.execute("SELECT type, coalesce(sql, '') FROM sqlite_master"):
            text = sql.replace("CHECK (version_info_id=1)", "")  # Optuna's only one
            if kind not in ("table", "index") or _COMPUTED.search(text):
                raise ValueError("it holds more than tables")
        if database.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise ValueError("it is damaged")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _first_line(error: Exception) -> str:
    """Return the first line of an error's text; SQLAlchemy adds the statement and a link."""
    return next(iter(str(error.__cause__ or error).splitlines()), type(error).__name__)
