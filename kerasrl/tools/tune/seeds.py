"""Many seeds of one setting: which they are, how they are trained, what can be said about all of them."""

import contextlib
import dataclasses
import json
import re
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasrl import environments
from kerasrl.config import AnyConfig
from kerasrl.config.checks import LARGE
from kerasrl.config.trust import named_to_play, options
from kerasrl.environments.spaces import describe_spaces
from kerasrl.errors import UserError
from kerasrl.phrases import arguments, called, command_to_type, reward_text, to_type
from kerasrl.reading import parse_json, read_file
from kerasrl.storage.files import write_whole
from kerasrl.tools.intervals import FEWEST, interval_of_mean
from kerasrl.tools.plot import plot
from kerasrl.tools.tune.table import Table
from kerasrl.tools.tune.worker import NB_EPISODES, Job, News, read_result
from kerasrl.training.files import RunFiles
from kerasrl.training.own_parts import OwnParts
from kerasrl.training.start import check_spaces, eval_env_of, named_in_full, nb_weights

if TYPE_CHECKING:
    from kerasrl.tools.tune.cluster import Cluster

_MOST, _LAST = 10_000, 2**32 - 1
_SETTINGS = "settings.json"  # those of all runs in a folder
# Settings in which the runs in a folder may differ, or which these commands choose themselves.
OWN = {"seed", "checkpoint_dir", "log_dir", "resume", "overwrite", "trust", "verbose", "visualize", "play"}


def parse_seeds(text: str) -> list[int]:
    """Return the seeds that a text means: "10" means 0 to 9, "3,17,40" and "20-29" mean those.

    Raises:
        UserError: It means none, or the same one twice.
    """
    name = called("seeds")
    parts = text.replace(" ", "").split(",")
    if not all(re.fullmatch(r"\d{1,10}(-\d{1,10})?", part) for part in parts):
        raise UserError(f"{name}: {text!r} is neither a number of seeds (10) nor a list of them (3,17,40 or 20-29)")
    if len(parts) == 1 and "-" not in text:
        ranges = [range(int(text))]
    else:
        ends = [(int(part.partition("-")[0]), int(part.rpartition("-")[2])) for part in parts]
        for first, last in ends:
            if first > last:
                raise UserError(f"{name}: {first}-{last} ends before it begins")
        ranges = [range(first, last + 1) for first, last in ends]
    if not 1 <= sum(map(len, ranges)) <= _MOST:
        raise UserError(f"{name}: {text!r} means {sum(map(len, ranges)):,} seeds; 1 to {_MOST:,} can be trained")
    seeds = [seed for part in ranges for seed in part]
    if max(seeds) > _LAST:
        raise UserError(f"{name}: a seed must be between 0 and {_LAST}, not {max(seeds)}")
    twice = [seed for seed in dict.fromkeys(seeds) if seeds.count(seed) > 1] if len(set(seeds)) < len(seeds) else []
    if twice:
        raise UserError(f"{name}: {text!r} names seed {twice[0]} twice")
    return seeds


def checked(config: AnyConfig) -> tuple[AnyConfig, float | None]:
    """Make the environment once; return the settings, with one thread, and the reward at which it counts as solved.

    Raises:
        UserError: It cannot be made, or its spaces are not supported; or each training would have a time of its own.
    """
    if config.max_time is not None:
        again = to_type("the same command", "the same call")
        raise UserError(f"max_time ends a single training; tune may be stopped at any time, and {again} continues")
    config = named_in_full(config)
    config = dataclasses.replace(config, visualize=False, seed=None, resume=False, overwrite=False)
    with contextlib.ExitStack() as stack:
        env = OwnParts().make_env(config)
        stack.callback(environments.close, env)
        check_spaces(config, env)
        judging = stack.enter_context(eval_env_of(config, env, OwnParts())) or env
        spaces = describe_spaces(env)
        shape = spaces.observation
        shapes = shape.values() if isinstance(shape, dict) else [shape]
        is_large = (nb_weights(shape, spaces.nb_actions or 1, config) or 0) >= LARGE
        if not config.threads and (config.processor or is_large or any(len(shape) > 1 for shape in shapes)):
            config = dataclasses.replace(config, threads=1)  # where train.py would use all cores
        return config, config.stop_at if config.stop_at is not None else environments.reward_threshold(judging)


def claim(folder: Path, config: AnyConfig, others: dict[str, Any]) -> None:
    """Record the settings of the runs in a folder, or check that those recorded are the same.

    Seeds may be trained for more steps than before: then all of them go on. `others` is what a search adds, none of
    whose trials may be longer than another.

    Raises:
        UserError: It holds runs with different settings.
    """
    about = {name: value for name, value in dataclasses.asdict(config).items() if name not in OWN} | others
    about = json.loads(json.dumps(about))  # lists for tuples
    file = folder / _SETTINGS
    if file.exists():
        try:
            before = dict(parse_json(read_file(file, 2**20)))
        except (OSError, ValueError, TypeError):
            raise UserError(f"{file} is damaged; choose another {called('folder')}") from None
        defaults = {name: value for name, value in dataclasses.asdict(type(config)()).items() if name not in OWN}
        before = {**json.loads(json.dumps(defaults)), **before}  # an earlier version lacked some settings
        names = [name for name in {**before, **about} if before.get(name) != about.get(name)]
        lengths = [steps for steps in (before.get("nb_steps"), about["nb_steps"]) if isinstance(steps, int)]
        is_other_length = names == ["nb_steps"] and not others and len(lengths) == 2
        another = f"choose another {called('folder')}"
        if is_other_length and lengths != sorted(lengths):
            raise UserError(f"{folder} holds runs of {lengths[0]:,} steps, which may take more, not fewer; {another}")
        if names and not is_other_length:
            differences = "; ".join(f"{name} is {about.get(name)} here but was {before.get(name)}" for name in names)
            raise UserError(f"{folder} holds runs with different settings: {differences}; {another}")
    write_whole(file, (json.dumps(about, indent=1) + "\n").encode())


def train_seeds(
    config: AnyConfig,
    seeds: Sequence[int],
    folder: Path,
    cluster: "Cluster",
    command: Sequence[str],
    on_result: Callable[[int, dict[str, Any]], None] = lambda seed, result: None,
) -> tuple[dict[int, dict[str, Any]], dict[int, str]]:
    """Train and score seeds side by side, each in its own seed-N; finished ones are only read.

    Args:
        config: Settings, with the environment's full name.
        seeds: Seeds.
        folder: Where each seed gets its folder.
        cluster: Where to train.
        command: What the user typed, for the runs' configuration files.
        on_result: Called with each finished seed and its result.

    Returns:
        The result of each finished seed, and the reason for each that failed.
    """
    jobs = {f"seed {seed}": seed for seed in seeds}
    with Table("seed") as table:
        results, failures = run_jobs(
            [Job(name, config, (seed,), folder, True, tuple(command), cluster.storage) for name, seed in jobs.items()],
            cluster,
            table,
            lambda job, result: on_result(job.seeds[0], result),
        )
    finished = {seed: results[name] for name, seed in jobs.items() if name in results}
    return finished, {seed: failures[name] for name, seed in jobs.items() if name in failures}


def run_jobs(
    jobs: Sequence[Job],
    cluster: "Cluster",
    table: Table,
    on_result: Callable[[Job, dict[str, Any]], None] = lambda job, result: None,
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Do jobs of one seed each; return results and failures by the jobs' names."""
    results: dict[str, dict[str, Any]] = {}
    failures: dict[str, str] = {}

    def keep(job: Job, how: str) -> bool:
        result = read_result(job.home(job.seeds[0]), job.config.nb_steps)
        if result is not None:
            results[job.name] = result
            on_result(job, result)
            best, last = (reward_text(result[name]) for name in ("mean_best", "mean_last"))
            table.end(job.name, f"{how}, best weights {best}, last weights {last}")
        return result is not None

    def unfinished() -> Iterator[Job]:
        for job in jobs:
            table.add(job.name, job.config.nb_steps)
            if not keep(job, "already finished"):
                yield job

    def on_news(job: Job, news: News) -> bool:
        table.update(job.name, news)
        return True

    def on_end(job: Job, failure: str) -> None:
        if failure or not keep(job, "finished"):
            failures[job.name] = failure or "it left no result"
            table.end(job.name, f"failed: {failures[job.name]}", is_failure=True)

    waiting = unfinished()
    cluster.run(lambda: next(waiting, None), on_news, on_end)
    return results, failures


def mean_text(values: Sequence[float]) -> str:
    """Return a mean, and its interval if there is one, as text."""
    mean, ends = reward_text(statistics.fmean(values)), interval_of_mean(values)
    return mean if ends is None else f"{mean} [{reward_text(float(ends[0]))}, {reward_text(float(ends[1]))}]"


def what_is_told(nb_runs: int) -> str:
    """Return what `mean_text` shows of so many runs, in words."""
    return "mean [95% bootstrap interval]" if nb_runs >= FEWEST else "mean"


def steps_to_solve(results: Sequence[dict[str, Any]], threshold: float) -> str:
    """Return, as text, the median step of the first evaluation to reach the threshold, or "never"."""
    first = [next((s for s, reward in one["evaluations"] if reward >= threshold), None) for one in results]
    reached = [step for step in first if step is not None]
    return f"{statistics.median(reached):,.0f}" if reached else "never"


def summarise(config: AnyConfig, folder: Path, results: dict[int, dict[str, Any]], threshold: float | None) -> None:
    """Print what can be said about all seeds, and draw their curves."""
    found = list(results.values())
    number = f"{len(found)} seed{'s' if len(found) > 1 else ''}"
    print(f"{number} of {config.env}, {NB_EPISODES} greedy episodes each: {what_is_told(len(found))}")
    print(f"best weights {mean_text([result['mean_best'] for result in found])}")
    if any("mean_without_playoff" in result for result in found):
        without = [result.get("mean_without_playoff", result["mean_best"]) for result in found]
        print(f"without the playoff {mean_text(without)}")
    print(f"last weights {mean_text([result['mean_last'] for result in found])}")
    if threshold is not None:
        solved = sum(result["mean_best"] >= threshold for result in found)
        print(f"solved (at least {threshold:g}): {solved} of {len(found)}")
        print(f"steps to solve, median of those that do: {steps_to_solve(found, threshold)}")
    places = {seed: folder / f"seed-{seed}" for seed in results}
    logs = [RunFiles(config.env, place, place, config.agent).log for place in places.values()]
    try:
        print(f"curves {plot(logs, folder / 'curves.png', threshold)}")
    except UserError as error:
        print(f"no curves: {error}")
    best = max(results, key=lambda seed: results[seed]["mean_best"])
    files = RunFiles(config.env, places[best], places[best], config.agent)
    weights = files.best if files.exists(files.best) else files.weights
    named = named_to_play(vars(config))
    command = command_to_type("test", "--weights", str(weights), *options(named))
    in_python = f"from kerasrl import play; play({arguments(str(weights), **named)})"
    print(f"play the best of them:\n{to_type(command, in_python)}")
