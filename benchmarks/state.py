"""Measure what it costs to lose nothing: training states, image memories, the log.

python benchmarks/state.py        about two minutes
"""

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from kerasrl import environments
from kerasrl.learning import device

# isort: split

import keras
import numpy as np
import rl.callbacks

from callbacks import build_callbacks
from kerasrl import Config, SequentialMemory
from kerasrl.callbacks import FileLogger
from kerasrl.storage import TrainingState
from kerasrl.storage.memory_file import MemoryFile
from model import build_agent, build_model


class TimedState(TrainingState):
    """A training state that adds up how long its writes take."""

    seconds = 0.0
    nb_writes = 0

    def save(self, *arguments: object) -> None:
        start = time.perf_counter()
        super().save(*arguments)
        self.seconds += time.perf_counter() - start
        self.nb_writes += 1


def training(folder: str) -> None:
    keras.utils.set_random_seed(0)
    config = Config()
    dqn = build_agent(build_model(4, 2), 2, config)
    state = TimedState(Path(folder) / "state", config.state_interval)
    start = time.perf_counter()
    callbacks = build_callbacks("CartPole-v0", folder, folder)
    dqn.fit(environments.make(config.env), config.nb_steps, callbacks=callbacks, verbose=0, seed=0, state=state)
    seconds = time.perf_counter() - start
    size = sum(file.stat().st_size for file in Path(folder).glob("state*"))
    print(
        f"the defaults: {state.nb_writes} states of {size / 1e6:.1f} MB in {seconds:.1f} s of training, "
        f"{state.seconds / state.nb_writes * 1e3:.1f} ms each, {state.seconds / seconds:.1%} of the time"
    )


def images(folder: str) -> None:
    memory, interval = SequentialMemory(100_000, 4), 5_000
    file = MemoryFile(Path(folder) / "images", memory.limit + 2 * interval)
    frame = np.random.default_rng(0).integers(0, 255, (84, 84), np.uint8)
    seconds = []
    for _ in range(24):
        for step in range(interval):
            memory.append(frame, 0, 0.0, terminal=step % 500 == 499)
        start = time.perf_counter()
        file.add(memory)
        seconds.append(time.perf_counter() - start)
    (path,) = Path(folder).glob("images.memory-*")
    print(
        f"100,000 frames of 84 x 84: {np.median(seconds):.2f} s for {interval:,} new steps, "
        f"{path.stat().st_size / 1e6:.0f} MB on the disk"
    )


def priorities(folder: str) -> None:
    env = environments.make("CartPole-v0")
    for limit in (50_000, 1_000_000):
        for kind in ("sequential", "prioritized"):
            dqn = build_agent(build_model(4, 2), 2, Config(memory=kind, memory_limit=limit))
            state, seconds = TrainingState(Path(folder) / f"{kind}_{limit}"), []
            for nb_steps in (limit, *[5_000] * 5):
                for step in range(nb_steps):
                    dqn.memory.append(np.zeros(4, np.float32), 0, 0.0, terminal=step % 200 == 199)
                dqn.memory.draw(32)
                start = time.perf_counter()
                state.save(dqn, 0, [], env)
                seconds.append(time.perf_counter() - start)
            print(
                f"{kind} memory of {limit:,} steps: {np.median(seconds[1:]) * 1e3:.0f} ms for 5,000 new steps, "
                f"{state.path.stat().st_size / 1e6:.1f} MB beside the steps"
            )


def log(folder: str) -> None:
    for kind, nb_episodes in ((FileLogger, 100_000), (rl.callbacks.FileLogger, 20_000)):
        logger = kind(str(Path(folder) / "log.json"), interval=100)
        logger.set_model(type("Agent", (), {"metrics_names": ["loss", "mae", "mean_q", "mean_eps"]}))
        logger.on_train_begin(logs={})
        microseconds = []
        for first in range(0, nb_episodes, nb_episodes // 5):
            start = time.perf_counter()
            for episode in range(first, first + nb_episodes // 5):
                logger.on_episode_begin(episode, logs={})
                logger.on_step_end(0, logs={"episode": episode, "metrics": [1.0, 2.0, 3.0, 0.1]})
                logs = {"episode_reward": 1.0, "nb_episode_steps": 1, "nb_steps": episode}
                logger.on_episode_end(episode, logs=logs)
            microseconds.append((time.perf_counter() - start) / (nb_episodes // 5) * 1e6)
        row = ", ".join(f"{value:,.0f}" for value in microseconds)
        print(f"{kind.__module__}.FileLogger, {nb_episodes:,} episodes: {row} us per episode in each fifth")


if __name__ == "__main__":
    device.configure((4,))
    for measure in (training, images, priorities, log):
        with tempfile.TemporaryDirectory() as folder:
            measure(folder)
