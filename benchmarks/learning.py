"""What each preset learns: train it with many seeds, score best and last weights, write RESULTS.md.

python benchmarks/learning.py                            every preset, with its number of seeds
python benchmarks/learning.py --presets cartpole acrobot --seeds 3 --jobs 4

A run that was interrupted continues where it stopped: finished runs are in benchmarks/learning.json, unfinished ones in
benchmarks/.runs/. Delete an entry, or the folder, to have it run again.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from config import Config  # noqa: E402
from kerasrl.storage.files import exclusive, write_whole  # noqa: E402
from tuning import seeds  # noqa: E402
from tuning.cluster import Cluster  # noqa: E402

RESULTS = ROOT / "benchmarks" / "learning.json"
NOTES = ROOT / "benchmarks" / "learning_notes.md"  # what was tried, below the table
RUNS = ROOT / "benchmarks" / ".runs"
# Tuning used seeds from 1,000 on.
SEEDS = {
    "cartpole": range(20),
    "cartpole-v1": range(20),
    "cartpole-3x24": range(20),
    "cartpole-v1-tuned": range(20),
    "acrobot": range(10),
    "mountaincar": range(10),
    "lunarlander": range(10),
    "minatar-breakout": range(3),
    "minatar-space-invaders": range(3),
}
THRESHOLDS = {
    "CartPole-v0": 195, "CartPole-v1": 475, "Acrobot-v1": -100, "MountainCar-v0": -110, "LunarLander-v2": 200,
}  # fmt: skip
# RL Baselines3 Zoo's published DQN results, for the same steps.
PUBLISHED = {
    "cartpole-v1-tuned": "500.0 ± 0.0",
    "acrobot": "-76.6 ± 11.8",
    "lunarlander": "154.4 ± 79.2",
    "mountaincar": "-100.8 ± 9.9",
}


def row(preset: str, runs: dict[str, dict]) -> str:
    config, found = Config.load(preset), list(runs.values())
    threshold = THRESHOLDS.get(config.env)
    best, last = ([one[which] for one in found] for which in ("best", "last"))
    solved = steps = "-"
    if threshold is not None:
        solved = f"{sum(reward >= threshold for reward in best)} of {len(best)}"
        steps = seeds.steps_to_solve(found, threshold)
    speed = statistics.median(one["steps_per_second"] for one in found if one["steps_per_second"] is not None)
    cells = [
        f"[{preset}](presets/{preset}.toml)", config.env, f"{config.nb_steps:,}", threshold or "-", solved,
        seeds.mean_in_words(best), seeds.mean_in_words(last), PUBLISHED.get(preset, "-"), steps, f"{speed:,.0f}",
    ]  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


TEXT = """# What the presets learn

Each row is what `python benchmarks/learning.py` found for one preset, and what `python tune.py --preset NAME --seeds N`
finds, too. It trains with each seed (`python train.py --preset NAME --seed N`) and then plays the best and the last
weights for 100 greedy episodes (`python test.py --weights FILE --episodes 100`) that neither the training nor the
choice of the best weights used.

- *solved*: number of seeds whose best weights reach the environment's own threshold in these 100 episodes.
- *best*, *last*: mean reward over the seeds, with its 95% bootstrap interval. The best weights are those that did best
  in the evaluations during training; the 100 episodes play no part in the choice.
- *published*: mean and standard deviation in RL Baselines3 Zoo's table for DQN, with the same number of steps.
- *steps to solve*: step of the first evaluation that reaches the threshold; median over the seeds that have one.
- *steps/s*: steps per second of processor time, evaluations included, and the program's start in runs before
  2026-11-21; median.

Seeds are 0, 1, 2, ...; all tuning was done on seeds from 1,000 on. MinAtar and Atari environments have no threshold.
Every figure of every run is in [benchmarks/learning.json](benchmarks/learning.json).

| preset | environment | steps | threshold | solved | best | last | published | steps to solve | steps/s |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
{rows}
"""


def write_results(results: dict[str, dict[str, dict]]) -> None:
    write_whole(RESULTS, (json.dumps(results, indent=1) + "\n").encode())
    order = [preset for preset in SEEDS if preset in results]
    rows = "\n".join(row(preset, results[preset]) for preset in order)
    write_whole(ROOT / "RESULTS.md", (TEXT.format(rows=rows) + NOTES.read_text()).encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", choices=SEEDS, default=list(SEEDS), metavar="NAME")
    parser.add_argument("--seeds", type=int, help="number of seeds, instead of the preset's own")
    parser.add_argument("--jobs", type=int, default=2, help="trainings side by side")
    options = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    with Cluster(jobs=options.jobs) as cluster:
        for preset in options.presets:
            runs = results.setdefault(preset, {})
            missing = [seed for seed in SEEDS[preset][: options.seeds] if str(seed) not in runs]
            config, _ = seeds.checked(Config.load(preset))

            def keep(seed: int, found: dict, preset: str = preset, nb_steps: int = config.nb_steps) -> None:
                results[preset][str(seed)] = {
                    "best": found["mean_best"],
                    "last": found["mean_last"],
                    "evaluations": found["evaluations"],
                    "steps_per_second": found["seconds"] and round(nb_steps / found["seconds"], 1),
                }
                results[preset] = dict(sorted(results[preset].items(), key=lambda item: int(item[0])))
                write_results(results)

            with exclusive(RUNS / preset):
                seeds.claim(RUNS / preset, config, {})
                _, failures = seeds.train_seeds(config, missing, RUNS / preset, cluster, sys.argv, keep)
            if failures:
                sys.exit(f"{preset}: {failures}")
    write_results(results)
    print("\n".join(row(preset, results[preset]) for preset in options.presets))


if __name__ == "__main__":
    main()
