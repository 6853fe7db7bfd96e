"""Train with many seeds, or look for better settings: on all cores of this machine, or on a cluster.

python tune.py --preset acrobot --seeds 10
python tune.py --preset cartpole --space spaces/dqn.toml --trials 50 --trial-seeds 3
python tune.py --help
"""

from kerasrl import signals

if __name__ == "__main__":
    signals.leave_quietly()  # the imports below take a moment

# isort: split

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from command_line import Start, command_line, command_to_type, parse_with_config  # first, as in plot.py

# isort: split

from msgspec import Meta

from config import Config, Count, CountOrZero, File, Folder
from kerasrl.errors import UserError


@dataclass(frozen=True)
class Tune:
    """Train with many seeds, or look for better settings. train.py's options hold, but for seed and folders."""

    seeds: Annotated[str, Meta(title="SEEDS")] | None = None
    """Train with each of these seeds: 10 means 0 to 9; 3,17,40 and 20-29 are those."""
    space: File | None = None
    """Look for the best settings within those that a TOML file gives, such as spaces/dqn.toml."""
    trials: Count = 50
    """Settings to try, those of earlier calls included."""
    trial_seeds: Count = 3
    """Seeds to train each of them with, from 1,000 on; the five best again with as many from 2,000 on."""
    folder: Folder | None = None
    """Folder for all files. Without it: in tune/, by the name of the preset or environment."""
    jobs: CountOrZero = 0
    """Trainings side by side. 0: as many as there are cores."""
    address: Annotated[str, Meta(title="ADDRESS")] | None = None
    """Ray cluster to train on, HOST:PORT or auto. Without it: RAY_ADDRESS, or else this machine."""
    storage: Annotated[str, Meta(title="FOLDER")] | None = None
    """With a cluster: folder that all its machines share, or a bucket's URL, through which files come back."""

    def __post_init__(self) -> None:
        from bounds import check

        check(self)
        if (self.seeds is None) == (self.space is None):
            raise UserError("give either --seeds, such as --seeds 10, or --space, such as --space spaces/dqn.toml")
        if (self.address or os.environ.get("RAY_ADDRESS") or None) is None:
            if self.storage is not None:
                raise UserError("--storage is for a cluster: give its --address, too")
        elif self.storage is None:
            raise UserError("a cluster needs --storage: a folder that all its machines share, or a bucket's URL")


_CHOSEN = "tune.py chooses it"
_REFUSED = {
    "seed": "use --seeds",
    **dict.fromkeys(("checkpoint_dir", "log_dir"), "use --folder"),
    **dict.fromkeys(("resume", "overwrite"), "the same command again goes on where it was stopped"),
    **dict.fromkeys(("visualize", "play", "verbose"), "trainings side by side show a table only"),
}


def tune(options: Tune, start: Start, config: Config) -> int:
    """Do what the options say and return the exit status.

    Raises:
        UserError: An option, a setting or the cluster cannot be used.
    """
    from kerasrl.storage.files import exclusive  # late: --help is quick
    from tuning import seeds, space
    from tuning.cluster import Cluster

    wanted = seeds.parse_seeds(options.seeds) if options.seeds is not None else []
    config, threshold = seeds.checked(config)
    varied: space.Space = {}
    if options.space is not None:
        varied = space.read_space(Path(options.space), config, dataclasses.asdict(config))
        if not config.eval_interval:
            raise UserError("a search needs evaluations: eval_interval must not be 0")
    name = start.preset or config.env.replace("/", "-").replace(":", "-")
    folder = Path(options.folder or f"tune/{name}{'' if wanted else '-search'}")
    address = options.address or os.environ.get("RAY_ADDRESS") or None
    with contextlib.ExitStack() as stack:
        stack.enter_context(exclusive(folder))
        about = {"space": {name: dataclasses.asdict(part) for name, part in varied.items()}}
        seeds.claim(folder, config, {**about, "trial_seeds": options.trial_seeds} if varied else {})
        stack.enter_context(_told_how_to_go_on())
        cluster = stack.enter_context(Cluster(address, options.storage, options.jobs, config.threads))
        if varied:
            from tuning.search import Search

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
        print(f"all is kept; to go on: {command_to_type('tune', *sys.argv[1:])}", file=sys.stderr)
        raise


def _run(settings: tuple[Tune, Start, Config]) -> int:
    return tune(*settings)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    return command_line(lambda words: parse_with_config(Tune, _REFUSED, words), _run, argv)


if __name__ == "__main__":
    sys.exit(main())
