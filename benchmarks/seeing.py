"""Measure what it costs to watch a training: live line, evaluations, TensorBoard, curve.

    python benchmarks/seeing.py                5 repetitions of 50,000 steps of the tutorial, about 4 minutes
    python benchmarks/seeing.py --help

Every run is a process of its own, and the variants take turns. Processor time is compared, not the clock's, so that a
busy machine disturbs less; what others do on the same cores still shows as noise.
"""

import argparse
import contextlib
import json
import os
import pty
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VARIANTS = ("nothing", "a line every 10,000 steps", "live line", "evaluations", "TensorBoard", "log and checkpoints")


def work(variant: str, seed: int, nb_steps: int) -> float:
    """Train as `variant` says; return the seconds of processor time of `fit`."""
    sys.path.insert(0, str(ROOT))
    from kerasrl import environments
    from kerasrl.learning import device

    device.configure((4,))
    import keras

    from callbacks import build_callbacks
    from kerasrl import Config, RunFiles
    from kerasrl.training.callbacks import build_evaluation, build_tensorboard
    from model import build_agent, build_model

    keras.utils.set_random_seed(seed)
    config = Config(seed=seed)
    dqn = build_agent(build_model(4, 2), 2, config)
    with tempfile.TemporaryDirectory() as folder:
        files = RunFiles(config.env, Path(folder), Path(folder))
        callbacks = {
            "evaluations": lambda: [build_evaluation(config, files, None)],
            "TensorBoard": lambda: [build_tensorboard(config, files)],
            "log and checkpoints": lambda: build_callbacks(config.env, folder, folder),
        }.get(variant, list)()
        verbose = int("line" in variant)
        begin = time.process_time()
        dqn.fit(environments.make(config.env), nb_steps, callbacks=callbacks, verbose=verbose, seed=seed)
        return time.process_time() - begin


def measure(variant: str, seed: int, nb_steps: int) -> float:
    """Run `work` in a process of its own, whose screen is a terminal for the live line and a pipe otherwise."""
    command = [sys.executable, __file__, "--work", variant, "--seed", str(seed), "--steps", str(nb_steps)]
    with tempfile.NamedTemporaryFile() as result:
        command += ["--result", result.name]
        if variant != "live line":
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        else:
            terminal, screen = pty.openpty()
            threading.Thread(target=_read_all, args=[terminal], daemon=True).start()
            subprocess.run(command, stdout=screen, check=True)
            os.close(screen)
        return json.loads(Path(result.name).read_text())


def _read_all(terminal: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(terminal, 65536):
            pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--steps", type=int, default=50_000)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--result", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        Path(options.result).write_text(json.dumps(work(options.work, options.seed, options.steps)))
        return
    seconds = {variant: [0.0] * options.repetitions for variant in VARIANTS}
    for repetition in range(options.repetitions):
        for variant in VARIANTS:
            seconds[variant][repetition] = measure(variant, repetition, options.steps)
    bare = seconds["nothing"]
    print(f"processor time of {options.steps:,} steps, medians of {options.repetitions} runs")
    for variant in VARIANTS:
        more = [100 * (with_it / without - 1) for with_it, without in zip(seconds[variant], bare, strict=True)]
        print(f"{variant:>26}: {statistics.median(seconds[variant]):6.2f} s, {statistics.median(more):+5.1f}%")


if __name__ == "__main__":
    main()
