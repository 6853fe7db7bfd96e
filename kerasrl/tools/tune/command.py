"""Train with many seeds, or search for better settings, on all cores of this machine or on a cluster."""

import contextlib
import dataclasses
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from kerasrl.config import AnyConfig, Config
from kerasrl.config.agents import DQN
from kerasrl.config.commands import TuneConfig
from kerasrl.errors import UserError
from kerasrl.phrases import command_to_type, to_type
from kerasrl.storage.files import exclusive
from kerasrl.tools.tune import seeds, space
from kerasrl.tools.tune.cluster import Cluster
from kerasrl.tools.tune.search import Search


def tune(
    config: AnyConfig = Config(),
    *,
    seeds: int | str | Iterable[int] | None = None,
    space: str | Path | None = None,
    trials: int = TuneConfig.trials,
    trial_seeds: int = TuneConfig.trial_seeds,
    folder: str | Path | None = None,
    jobs: int = 0,
    address: str | None = None,
    storage: str | None = None,
) -> bool:
    """Train with many seeds, or search for better settings; print a table and write all files to a folder.

    Args:
        config: Settings; seed and folders are chosen here.
        seeds: Train with each of these seeds: 10 means 0 to 9; "3,17,40", "20-29" and [3, 17, 40] mean those.
        space: Search for the best settings among those that a TOML file allows, such as spaces/dqn.toml.
        trials: Settings to try, including those of earlier calls.
        trial_seeds: Seeds to train each of them with.
        folder: Folder for all files; by default in tune/, named after the environment.
        jobs: Trainings side by side; 0: one per core.
        address: Ray cluster to train on; by default RAY_ADDRESS, or else this machine.
        storage: With a cluster: folder shared by all its machines, or a bucket's URL.

    Returns:
        Whether all seeds were trained, or a setting was found.

    Raises:
        UserError: An option, a setting or the cluster cannot be used.
    """
    if isinstance(seeds, Iterable) and not isinstance(seeds, str):
        each = [str(seed) for seed in seeds]
        seeds = f"{each[0]}-{each[0]}" if len(each) == 1 else ",".join(each)  # one alone would be a number of seeds
    options = TuneConfig(
        None if seeds is None else str(seeds),
        None if space is None else str(space),
        trials=trials,
        trial_seeds=trial_seeds,
        folder=None if folder is None else str(folder),
        jobs=jobs,
        address=address,
        storage=storage,
    )
    return run(options, None, config) == 0


def run(options: TuneConfig, preset: str | None, config: AnyConfig) -> int:
    """Do what the options say and return the exit status; the folder is named after `preset`. Raises as `tune`."""
    wanted = seeds.parse_seeds(options.seeds) if options.seeds is not None else []
    config, threshold = seeds.checked(config)
    varied: space.Space = {}
    if options.space is not None:
        varied = space.read_space(Path(options.space), config, dataclasses.asdict(config))
        if not config.eval_interval:
            raise UserError("a search needs evaluations: eval_interval must not be 0")
    of_agent = "" if config.agent == DQN else f"{config.agent}-"
    name = preset or of_agent + config.env.replace("/", "-").replace(":", "-")
    folder = Path(options.folder or f"tune/{name}{'' if wanted else '-search'}")
    with contextlib.ExitStack() as stack:
        stack.enter_context(exclusive(folder))
        about: dict[str, Any] = {"space": {name: dataclasses.asdict(part) for name, part in varied.items()}}
        seeds.claim(folder, config, {**about, "trial_seeds": options.trial_seeds} if varied else {})
        stack.enter_context(_told_how_to_go_on())
        cluster = stack.enter_context(Cluster(options.cluster, options.storage, options.jobs, config.threads))
        if varied:
            search = Search(config, varied, folder, options.trial_seeds, sys.argv)
            search.run(options.trials, cluster)
            ranked = search.rank(cluster)
            search.summarise(ranked)
            return 0 if ranked else 1
        results, failures = seeds.train_seeds(config, wanted, folder, cluster, sys.argv)
        if results:
            seeds.summarise(config, folder, results, threshold)
        for seed, failure in failures.items():
            print(f"failed: seed {seed}: {failure}", file=sys.stderr)
        return 1 if failures else 0


@contextlib.contextmanager
def _told_how_to_go_on() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        again = to_type(command_to_type("tune", *sys.argv[2:]), "the same call again")
        print(f"everything is kept; to continue: {again}", file=sys.stderr)
        raise
