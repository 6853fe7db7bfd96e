"""What each preset learns, and which options help: train many seeds, score best and last weights, write RESULTS.md.

python benchmarks/learning.py                            every preset, with its number of seeds; then the options
python benchmarks/learning.py --presets cartpole acrobot --seeds 3 --jobs 4
python benchmarks/learning.py --options                  the options only: two presets without them, with each, with all
python benchmarks/learning.py --presets acrobot --playoff 5   with a playoff, and the same trainings without it

A run that was interrupted continues where it stopped: finished runs are in benchmarks/learning.json, unfinished ones in
benchmarks/.runs/. Delete an entry, or the folder, to have it run again.
"""

import argparse
import dataclasses
import io
import json
import re
import statistics
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from kerasrl import Config  # noqa: E402
from kerasrl.storage.files import exclusive, write_whole  # noqa: E402
from kerasrl.tools.intervals import mean_and_interval  # noqa: E402
from kerasrl.tools.plot.drawing import COLOURS, STYLE  # noqa: E402
from kerasrl.tools.tune import seeds  # noqa: E402
from kerasrl.tools.tune.cluster import Cluster  # noqa: E402

RESULTS = ROOT / "benchmarks" / "learning.json"
NOTES = ROOT / "benchmarks" / "learning_notes.md"  # what was tried, below the table
RUNS = ROOT / "benchmarks" / ".runs"
PICTURE = ROOT / "docs" / "options.png"
# Tuning used seeds from 1,000 on.
SEEDS = {
    "cartpole": range(20),
    "cartpole-v1": range(20),
    "cartpole-3x24": range(20),
    "cartpole-v1-tuned": range(20),
    "acrobot": range(10),
    "mountaincar": range(10),
    "lunarlander": range(10),
    "minatar-breakout": range(10),
    "minatar-space-invaders": range(10),
    "pong": range(3),
    "pendulum": range(10),
    "pendulum-naf": range(10),
    "mountaincar-continuous": range(10),
    "lunarlander-continuous": range(5),
    "cartpole-sarsa": range(10),
    "cartpole-cem": range(10),
}
# Which options help: each of them on top of these presets without all of them, with ten seeds.
WITHOUT = {"enable_double_dqn": False, "n_step": 1, "memory": "sequential"}
OPTIONS = {
    "none of them": {},
    "double DQN": {"enable_double_dqn": True},
    "n-step returns (3)": {"n_step": 3},
    "prioritised replay": {"memory": "prioritized"},
    "all three": {"enable_double_dqn": True, "n_step": 3, "memory": "prioritized"},
}
WITH_OPTIONS = {  # what differs from the preset otherwise
    "cartpole-v1-tuned": {},
    "mountaincar": {"eval_interval": 4_000, "eval_episodes": 20},
}
THRESHOLDS = {
    "CartPole-v0": 195, "CartPole-v1": 475, "Acrobot-v1": -100, "MountainCar-v0": -110, "LunarLander-v2": 200,
    "MountainCarContinuous-v0": 90, "LunarLanderContinuous-v2": 200,
}  # fmt: skip
# RL Baselines3 Zoo's published results of DQN and DDPG, for the same steps if no others are named.
PUBLISHED = {
    "cartpole-v1-tuned": "500.0 ± 0.0",
    "acrobot": "-76.6 ± 11.8",
    "lunarlander": "154.4 ± 79.2",
    "mountaincar": "-100.8 ± 9.9",
    "pendulum": "-152.1",
    "mountaincar-continuous": "93.5 (300,000 steps)",
    "lunarlander-continuous": "230.2",
    "pong": "20.6 ± 0.6 (10,000,000 steps)",
}


def experiments() -> dict[str, tuple[Config, range]]:
    """Return the settings and the seeds of each experiment."""
    found = {preset: (Config.load(preset), numbers) for preset, numbers in SEEDS.items()}
    for preset, otherwise in WITH_OPTIONS.items():
        for option, settings in OPTIONS.items():
            config = dataclasses.replace(Config.load(preset), **{**WITHOUT, **otherwise, **settings})
            found[f"{preset}: {option}"] = config, range(10)
    return found


def figures(config: Config, runs: dict[str, dict]) -> list[str]:
    """Return how many seeds solved it, best and last weights, steps until then, and steps/s."""
    found, threshold = list(runs.values()), THRESHOLDS.get(config.env)
    best = [one.get("playoff", one["best"]) if config.playoff else one["best"] for one in found]
    last = [one["last"] for one in found]
    solved = steps = "-"
    if threshold is not None:
        solved = f"{sum(reward >= threshold for reward in best)} of {len(best)}"
        steps = seeds.steps_to_solve(found, threshold)
    speeds = [one["steps_per_second"] for one in found if one["steps_per_second"] is not None]  # of runs in one go
    speed = f"{statistics.median(speeds):,.0f}" if speeds else "-"
    return [solved, seeds.mean_text(best), seeds.mean_text(last), steps, speed]


def row(preset: str, runs: dict[str, dict]) -> str:
    config = Config.load(preset)
    solved, best, last, steps, speed = figures(config, runs)
    cells = [
        f"[{preset}](presets/{preset}.toml)", config.env, f"{config.nb_steps:,}", THRESHOLDS.get(config.env, "-"),
        solved, best, last, PUBLISHED.get(preset, "-"), steps, speed,
    ]  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def option_row(name: str, runs: dict[str, dict]) -> str:
    preset, _, option = name.partition(": ")
    return f"| {' | '.join([preset, option, *figures(Config.load(preset), runs)])} |"


def playoff_row(name: str, runs: dict[str, dict]) -> str:
    """Return what a playoff changed in the trainings that had one, a preset's own or the one that was asked for."""
    label = name if ", playoff " in name else f"{name}, playoff {Config.load(name).playoff}"
    pairs = {seed: (one["best"], one["playoff"], one["error"]) for seed, one in runs.items() if "playoff" in one}
    without, best, _ = zip(*pairs.values(), strict=True)
    differences = [one - other for one, other in zip(best, without, strict=True)]
    mean = statistics.fmean(differences)
    share = f"{mean:+.2f} ({100 * mean / abs(statistics.fmean(without)):+.1f}%)"
    if len(pairs) > 1:
        share += f" ± {statistics.stdev(differences) / len(pairs) ** 0.5:.2f}"
    lost = min(pairs, key=lambda seed: pairs[seed][1] - pairs[seed][0])
    worst = f"{pairs[lost][1] - pairs[lost][0]:+.2f} ± {pairs[lost][2]:.2f}"
    others = sum(difference != 0 for difference in differences)
    worse = sum(one[1] - one[0] < -one[2] for one in pairs.values())
    counts = f"{others} of {len(pairs)}", seeds.mean_text(without), seeds.mean_text(best), share, worst, str(worse)
    return f"| {' | '.join([label, *counts])} |"


def draw(results: dict[str, dict[str, dict]]) -> None:
    """Draw the evaluations of each preset with and without options: the seeds' mean and its 95% interval."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    presets = [preset for preset in WITH_OPTIONS if any(name.startswith(f"{preset}: ") for name in results)]
    with rc_context(STYLE):
        figure = Figure(figsize=(1 + 5 * len(presets), 4), layout="constrained")
        for axes, preset in zip(figure.subplots(1, len(presets), squeeze=False)[0], presets, strict=True):
            for colour, option in zip(COLOURS, OPTIONS, strict=False):
                runs = results.get(f"{preset}: {option}", {}).values()
                curves = [tuple(np.transpose(np.asarray(run["evaluations"], float))) for run in runs]
                average = mean_and_interval(curves)
                if average is None:
                    continue
                (steps, mean), band = average
                axes.plot(steps, mean, color=colour, label=option)
                axes.fill_between(steps, *band, color=colour, alpha=0.15, linewidth=0)
            config = Config.load(preset)
            axes.axhline(THRESHOLDS[config.env], color="black", linestyle=":", linewidth=1.4, label="reward threshold")
            axes.set(title=f"{config.env}, preset {preset}", xlabel="environment steps", xlim=(0, config.nb_steps))
            axes.xaxis.set_major_formatter("{x:,.0f}")
        figure.axes[0].set_ylabel("reward per episode (evaluations)")
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
        picture = io.BytesIO()
        figure.savefig(picture, dpi=110, metadata={"Software": None})
    write_whole(PICTURE, picture.getvalue())


TEXT = """# What the presets learn

Each row is what `python benchmarks/learning.py` found for one preset, and what
`python -m kerasrl tune --preset NAME --seeds N` finds as well. It trains with each seed (`python train.py --preset NAME
--seed N`) and then plays the best and the last weights for 100 greedy episodes (`python test.py --weights FILE
--episodes 100`) that neither the training nor the choice of the best weights used.

- *solved*: number of seeds whose best weights reach the environment's own threshold in these 100 episodes.
- *best*, *last*: mean reward over the seeds, with its 95% bootstrap interval. The best weights are those that did best
  in the evaluations during training; the 100 episodes play no part in the choice.
- *published*: mean and standard deviation in RL Baselines3 Zoo's table for DQN or DDPG, with the same number of
  steps unless another is named; one run each for DDPG.
- *steps to solve*: step of the first evaluation that reaches the threshold; median over the seeds that have one.
- *steps/s*: steps per second of processor time, evaluations included, and the program's start in runs before
  2026-11-21; median.

Seeds are 0, 1, 2, ...; settings were found on seeds from 1,000 on ([but see below](#how-the-presets-were-found)).
MinAtar and Atari environments have no threshold.
Every figure of every run is in [benchmarks/learning.json](benchmarks/learning.json).

| preset | environment | steps | threshold | solved | best | last | published | steps to solve | steps/s |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
{rows}
"""
OPTIONS_TEXT = """
## Options

What double DQN, n-step returns and prioritised replay change, each alone and all together: presets without these
options, ten seeds each, columns as above, on a busy machine. `python benchmarks/learning.py --options` measures what is
missing here; [Which options help?](docs/options.md) says what to conclude from it.

| preset | options | solved | best | last | steps to solve | steps/s |
| --- | --- | ---: | ---: | ---: | ---: | ---: |
{rows}

![Rewards of evaluations while learning, mean of ten seeds with its 95% interval](docs/options.png)
"""


PLAYOFF_TEXT = """
## Playoffs

What `--playoff` changed: each training once, and the 100 episodes of the first table with the weights that the playoff
chose and with those that the evaluations alone would have kept. *others*: seeds in which their means differ;
*difference*: mean over the seeds, in percent of the mean without, and its standard error; *worst seed*: its difference
and the standard error of that over the 100 episodes; *worse*: seeds that lost more than this error.
`python benchmarks/learning.py --presets NAME --playoff 5` measures it.

| preset | others | without | with | difference | worst seed | worse |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
{rows}
"""


def write_results(results: dict[str, dict[str, dict]]) -> None:
    write_whole(RESULTS, (json.dumps(results, indent=1) + "\n").encode())
    rows = "\n".join(row(preset, results[preset]) for preset in SEEDS if results.get(preset))
    with_options = [name for name in experiments() if ": " in name and results.get(name)]
    option_rows = "\n".join(option_row(name, results[name]) for name in with_options)
    options = OPTIONS_TEXT.format(rows=option_rows) if option_rows else ""
    played = [name for name, runs in results.items() if any("playoff" in one for one in runs.values())]
    playoff_rows = "\n".join(playoff_row(name, results[name]) for name in played)
    playoffs = PLAYOFF_TEXT.format(rows=playoff_rows) if played else ""
    write_whole(ROOT / "RESULTS.md", (TEXT.format(rows=rows) + options + playoffs + NOTES.read_text()).encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--presets", nargs="+", choices=SEEDS, metavar="NAME", help="these presets only")
    which.add_argument("--options", action="store_true", help="what options change only")
    parser.add_argument("--seeds", type=int, help="number of seeds, instead of each experiment's own")
    parser.add_argument("--jobs", type=int, default=2, help="trainings side by side")
    kept = range(2, 21)
    parser.add_argument("--playoff", type=int, choices=kept, metavar="K", help="a playoff of the K best (2 to 20)")
    options = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    chosen = options.presets or [name for name in experiments() if ": " in name or not options.options]
    with Cluster(jobs=options.jobs) as cluster:
        for name in chosen:
            config, numbers = experiments()[name]
            if options.playoff is not None:
                config = dataclasses.replace(config, playoff=options.playoff)
                name = f"{name}, playoff {options.playoff}"  # which leaves the preset's own row as it is
            runs = results.setdefault(name, {})
            wanted = "playoff" if config.playoff else "best"
            missing = [seed for seed in numbers[: options.seeds] if wanted not in runs.get(str(seed), {})]
            config, _ = seeds.checked(config)

            def keep(seed: int, found: dict, name: str = name, config: Config = config) -> None:
                without = found.get("mean_without_playoff", found["mean_best"])
                played = {"playoff": found["mean_best"], "error": found.get("error_of_difference", 0.0)}
                results[name][str(seed)] = {
                    "best": without,
                    **(played if config.playoff else {}),
                    "last": found["mean_last"],
                    "evaluations": found["evaluations"],
                    "steps_per_second": found["seconds"] and round(config.nb_steps / found["seconds"], 1),
                }
                results[name] = dict(sorted(results[name].items(), key=lambda item: int(item[0])))
                write_results(results)

            folder = RUNS / re.sub("[:, ]+", "-", name)
            with exclusive(folder):
                seeds.claim(folder, config, {})
                _, failures = seeds.train_seeds(config, missing, folder, cluster, sys.argv, keep)
            if failures:
                sys.exit(f"{name}: {failures}")
    write_results(results)
    if any(": " in name for name in results):
        draw(results)
    for name in chosen:
        if options.playoff is None:
            print((option_row if ": " in name else row)(name, results[name]))
        else:
            name = f"{name}, playoff {options.playoff}"
            print(playoff_row(name, results[name]))


if __name__ == "__main__":
    main()
