"""What each preset learns: train it with many seeds, score best and last weights, write RESULTS.md.

python benchmarks/learning.py                            every preset, with its number of seeds
python benchmarks/learning.py --presets cartpole acrobot --seeds 3 --jobs 4

A run that was interrupted continues where it stopped: finished runs are in benchmarks/learning.json, unfinished ones in
benchmarks/.runs/. Delete an entry, or the folder, to have it run again.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from config import Config  # noqa: E402
from kerasrl.storage.files import write_whole  # noqa: E402
from run import RunFiles  # noqa: E402

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
NB_EPISODES, FIRST_TEST_SEED = 100, 1_000_000


def run(script: str, *arguments: str) -> tuple[str, float]:
    """Run a command line; return what it printed and the seconds of processor time it took."""
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen([sys.executable, str(ROOT / script), *arguments], stdout=out, stderr=out, cwd=ROOT)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        printed = out.read()
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {printed.strip()}")
    return printed, used.ru_utime + used.ru_stime


def score(weights: Path, seed: int) -> float:
    """Return the mean reward of 100 greedy episodes with seeds that neither training nor evaluation used."""
    out, _ = run("test.py", "--weights", str(weights), "--episodes", str(NB_EPISODES), "--seed", str(seed))
    rewards = [float(reward) for reward in re.findall(r"^Episode \d+: reward: (-?[\d.]+),", out, re.MULTILINE)]
    assert len(rewards) == NB_EPISODES, out
    return float(np.mean(rewards))


def learn(preset: str, seed: int) -> dict[str, object]:
    folder = RUNS / preset / f"seed-{seed}"
    files = RunFiles(Config.load(preset).env, folder, folder)
    resume = ["--resume"] if files.state.exists() else []
    arguments = ["--preset", preset, "--seed", str(seed), "--checkpoint-dir", str(folder), "--log-dir", str(folder)]
    _, seconds = run("train.py", *arguments, "--verbose", "0", *resume)
    log = json.loads(files.log.read_text())
    evaluations = [
        (step, reward)
        for step, reward in zip(log["nb_steps"], log["evaluation_reward"], strict=True)
        if reward is not None
    ]
    return {
        "best": score(files.best, FIRST_TEST_SEED + seed),
        "last": score(files.weights, FIRST_TEST_SEED + seed),
        "evaluations": evaluations,
        "steps_per_second": None if resume else round(Config.load(preset).nb_steps / seconds, 1),
    }


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the 95% bootstrap interval of the mean."""
    rng = np.random.default_rng(0)
    means = rng.choice(values, (10_000, len(values))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def mean_and_interval(values: list[float]) -> str:
    low, high = interval(np.array(values))
    return f"{np.mean(values):.1f} [{low:.1f}, {high:.1f}]"


def row(preset: str, runs: dict[str, dict]) -> str:
    config = Config.load(preset)
    threshold = THRESHOLDS.get(config.env)
    best, last = ([one[which] for one in runs.values()] for which in ("best", "last"))
    solved = steps = "-"
    if threshold is not None:
        solved = f"{sum(reward >= threshold for reward in best)} of {len(best)}"
        first = [next((s for s, reward in one["evaluations"] if reward >= threshold), None) for one in runs.values()]
        reached = [step for step in first if step is not None]
        steps = f"{np.median(reached):,.0f}" if reached else "never"
    speed = np.median([one["steps_per_second"] for one in runs.values() if one["steps_per_second"] is not None])
    cells = [
        f"[{preset}](presets/{preset}.toml)", config.env, f"{config.nb_steps:,}", threshold or "-", solved,
        mean_and_interval(best), mean_and_interval(last), PUBLISHED.get(preset, "-"), steps, f"{speed:,.0f}",
    ]  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


TEXT = """# What the presets learn

Each row is what `python benchmarks/learning.py` found for one preset. It trains with each seed
(`python train.py --preset NAME --seed N`) and then plays the best and the last weights for 100 greedy episodes
(`python test.py --weights FILE --episodes 100`) that neither the training nor the choice of the best weights used.

- *solved*: number of seeds whose best weights reach the environment's own threshold in these 100 episodes.
- *best*, *last*: mean reward over the seeds, with its 95% bootstrap interval. The best weights are those that did best
  in the evaluations during training; the 100 episodes play no part in the choice.
- *published*: mean and standard deviation in RL Baselines3 Zoo's table for DQN, with the same number of steps.
- *steps to solve*: step of the first evaluation that reaches the threshold; median over the seeds that have one.
- *steps/s*: steps per second of processor time of the whole program, including start and evaluations; median.

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
    wanted = [(preset, seed) for preset in options.presets for seed in SEEDS[preset][: options.seeds]]
    missing = [(preset, seed) for preset, seed in wanted if str(seed) not in results.get(preset, {})]
    with ThreadPoolExecutor(options.jobs) as pool, tqdm(total=len(missing), unit="run") as progress:
        running = {pool.submit(learn, preset, seed): (preset, seed) for preset, seed in missing}
        try:
            for done in as_completed(running):
                preset, seed = running[done]
                found = done.result()
                results.setdefault(preset, {})[str(seed)] = found
                results[preset] = dict(sorted(results[preset].items(), key=lambda item: int(item[0])))
                write_results(results)
                progress.update()
                progress.write(f"{preset} seed {seed}: best {found['best']:.1f}, last {found['last']:.1f}")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    write_results(results)
    print("\n".join(row(preset, results[preset]) for preset in options.presets))


if __name__ == "__main__":
    main()
