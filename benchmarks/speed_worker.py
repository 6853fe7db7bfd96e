"""One run of this project for benchmarks/speed.py: prints its figures as JSON.

The first argument is the folder of the checkout of this project that runs.
"""

import dataclasses
import json
import sys
import tempfile
import time
from typing import Any

sys.path.insert(0, sys.argv[1])

from kerasrl.learning import device

# isort: split

import gym
import keras
import numpy as np
import rl.callbacks
import tensorflow as tf
from peers.common import Clock, arguments, peak_memory

from callbacks import build_callbacks
from kerasrl import Config, PrioritizedMemory, SequentialMemory, environments
from kerasrl.agents.dqn.update import Update
from kerasrl.learning import Metrics, Trainable
from kerasrl.training.own_parts import OwnParts
from kerasrl.training.run import Run
from model import build_agent, build_model
from train import build

REPLAY = {
    "uniform": {},
    "prioritised": {"memory": "prioritized"},
    "n_step=3": {"n_step": 3},
    "prioritised, n_step=3": {"memory": "prioritized", "n_step": 3},
}


class Ticks(rl.callbacks.Callback):
    """Let the clock count the steps."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def on_step_end(self, step: int, logs: dict) -> None:
        self.clock.tick(learned=logs["metrics"][0] == logs["metrics"][0])


class Ends(gym.Env):
    """Show the same four numbers; an episode lasts as long as it is told, and info holds so many numbers."""

    observation_space = gym.spaces.Box(-1, 1, (4,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, length: int, nb_numbers: int) -> None:
        self.length, self.info = length, {f"number {n}": float(n) for n in range(nb_numbers)}
        self.observation, self.nb_steps = np.zeros(4, np.float32), 0

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        self.nb_steps = 0
        return self.observation, {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.nb_steps += 1
        return self.observation, 1.0, self.nb_steps >= self.length, False, self.info


class Flatness(rl.callbacks.Callback):
    """Print time and memory of each block of steps."""

    def __init__(self, block: int) -> None:
        super().__init__()
        self.block, self.steps, self.start = block, 0, 0.0

    def on_step_end(self, step: int, logs: dict) -> None:
        self.steps += 1
        if self.steps == 1_000:
            self.start = time.perf_counter()
        if self.steps % self.block == 0:
            seconds = time.perf_counter() - self.start
            nb_steps = self.block - 1_000 if self.steps == self.block else self.block
            print(f"to step {self.steps:>9,}: {seconds / nb_steps * 1e6:6.1f} us/step, peak {peak_memory():,.0f} MB")
            sys.stdout.flush()
            self.start = time.perf_counter()


def settings(options: Any) -> Any:
    """Return the settings of one kind of work, which the peers have in their own names."""
    work, layers, batch = options.work, tuple(options.hidden), options.batch_size
    if work == "ddpg":
        from kerasrl import DDPGConfig  # here: an older checkout has none

        return DDPGConfig(
            hidden_layers=layers, critic_hidden_layers=tuple(options.critic_hidden), batch_size=batch, clipnorm=1.0,
            target_model_update=1e-3, nb_random_steps=100, nb_steps_warmup_actor=100, nb_steps_warmup_critic=100,
            memory_limit=100_000,
        )  # fmt: skip
    if work == "vectors":
        burst = options.burst
        return Config(hidden_layers=layers, batch_size=batch, train_interval=burst, gradient_steps=burst)
    images = {"train_interval": 4, "nb_steps_warmup": 100, "target_model_update": 1_000, "eps_nb_steps": 100_000}
    if work == "minatar":
        network = "atari:build_minatar_network"
        return Config(
            env="MinAtar/Breakout-v1", network=network, memory_limit=100_000, delta_clip=1.0, threads=1, **images
        )
    return dataclasses.replace(Config.load("pong-nature"), **images, processor="", memory_limit=10_000)


def make_env(work: str, config: Config) -> Any:
    if work == "frames":
        from peers.frames import Frames

        return Frames()
    return environments.make(config.env)


def fit(options: Any, nb_steps: int, callback: rl.callbacks.Callback) -> None:
    """Train as train.py does, with the default log and checkpoints."""
    config, seed = settings(options), options.seed
    env = make_env(options.work, config)
    run = Run.of(config, env, OwnParts())
    device.configure(run.state_size, config.threads)
    keras.utils.set_random_seed(seed)
    dqn = build(run)
    with tempfile.TemporaryDirectory() as folder:
        callbacks = build_callbacks(config.env, checkpoint_dir=folder, log_dir=folder)
        dqn.fit(env, nb_steps, callbacks=[*callbacks, callback], verbose=0, seed=seed)


def floor(nb_updates: int = 20_000) -> float:
    """Return the microseconds of an update when many of them are one call."""
    from kerasrl.learning.batches import Batch  # here: an older checkout has none

    options = {"delta_clip": np.inf, "double": False, "tau": 0.01, "gradient_steps": nb_updates}
    update = Update(Trainable(build_model(4, 2), keras.optimizers.Adam(1e-3)), 2, Metrics(), **options)
    rng = np.random.default_rng(0)
    nb_transitions = 32 * nb_updates
    frames = rng.standard_normal((nb_transitions, 2, 4), np.float32)
    rest = [rng.integers(0, 2, nb_transitions), np.ones(nb_transitions), np.full(nb_transitions, 0.99)]
    arguments = Batch([frames], rest, "frames"), [frames[:1, :1]]
    update(*arguments)
    start = time.perf_counter()
    update(*arguments)
    return (time.perf_counter() - start) / nb_updates * 1e6


def fill(memory: SequentialMemory) -> None:
    """Store steps of random episodes until it is full; give their transitions random priorities, if there are any."""
    rng = np.random.default_rng(0)
    observations = rng.standard_normal((1_000, 4), np.float32)
    for step in range(memory.limit):
        memory.append(observations[step % 1_000], step % 2, 1.0, step % 200 == 199)
    memory.recent_observations.clear()
    memory.recent_terminals.clear()
    if isinstance(memory, PrioritizedMemory):
        for _ in range(memory.limit // 10_000):
            rows = memory.draw(20_000).rows
            memory.update_priorities(rows, rng.standard_normal(len(rows)))


def replay(nb_steps: int, nb_blocks: int) -> dict[str, list[float]]:
    """Return the microseconds of processor time of a step, block by block, for each kind of replay.

    In each block, all kinds take their turns of 1,000 steps, so that a busy machine is busy for all.
    """
    contestants = {}
    for name, settings in REPLAY.items():
        dqn = build_agent(build_model(4, 2), 2, Config(memory_limit=nb_steps, **settings))
        fill(dqn.memory)
        contestants[name] = dqn, environments.make("CartPole-v0")
    return by_turns(contestants, nb_blocks)


def episodes(nb_blocks: int) -> dict[str, list[float]]:
    """Return the microseconds of processor time of a step of the tutorial's agent, for each kind of episode."""
    kinds = {"episodes of 1,000": (1_000, 0), "1,000, with 500 numbers in info": (1_000, 500)}
    kinds |= {f"episodes of {length}": (length, 0) for length in (20, 5, 1)}
    agents = {name: build_agent(build_model(4, 2), 2, Config()) for name in kinds}
    return by_turns({name: (agents[name], Ends(*kind)) for name, kind in kinds.items()}, nb_blocks)


def by_turns(contestants: dict[str, tuple[Any, Any]], nb_blocks: int) -> dict[str, list[float]]:
    """Return the microseconds of processor time of a step, block by block, of each agent in its environment."""
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for block in range(nb_blocks + 1):  # the first one compiles
        for name, (dqn, env) in contestants.items():
            start = time.process_time()
            dqn.fit(env, 1_000, verbose=0, seed=block)
            found[name].append((time.process_time() - start) / 1_000 * 1e6)
    return {name: values[1:] for name, values in found.items()}


def main() -> None:
    parser = arguments()
    parser.add_argument("root", help="folder of a checkout of this project")
    parser.add_argument("--work", choices=["vectors", "ddpg", "minatar", "frames"], default="vectors")
    parser.add_argument("--hidden", type=int, nargs="+", default=[16, 16, 16], help="nodes of the hidden layers")
    parser.add_argument("--critic-hidden", type=int, nargs="+", default=[32, 32, 32])
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--burst", type=int, default=1, help="steps between bursts of as many updates")
    parser.add_argument("--floor", action="store_true")
    parser.add_argument("--flat", action="store_true")
    parser.add_argument("--replay", type=int, help="steps in the replay memory for which its kinds are compared")
    parser.add_argument("--episodes", action="store_true", help="compare episodes of several lengths")
    parser.add_argument("--blocks", type=int, default=15)
    options = parser.parse_args()
    if options.floor or options.replay or options.episodes:
        device.configure((4,))
    if options.floor:
        print(floor())
    elif options.replay:
        print(json.dumps(replay(options.replay, options.blocks)))
    elif options.episodes:
        print(json.dumps(episodes(options.blocks)))
    elif options.flat:
        fit(options, 1_000_000, Flatness(100_000))
    else:
        clock = Clock(options.first, options.last)
        fit(options, options.last, Ticks(clock))
        clock.report(tensorflow=tf.__version__, keras=keras.__version__, numpy=np.__version__)


if __name__ == "__main__":
    main()
