"""What the tests of agents with continuous actions share: an environment, and a reference's parts in NumPy."""

import itertools

import keras
import numpy as np
import pytest
import rl.callbacks


class Env:
    """A point in the plane that actions push. Episodes of 3, 7 and 5 steps; the second ends by a time limit.

    Which of them comes, is next or, for a training that has to be resumed, determined by the seed.
    """

    def __init__(self, is_seeded=False):
        self.episode, self.is_seeded = -1, is_seeded

    def reset(self, seed=None):
        self.episode = seed if self.is_seeded and seed is not None else self.episode + 1
        self.nb_steps = 0
        self.position = np.array([0.5, -0.3], np.float32)
        return self.position.copy(), {}

    def step(self, action):
        self.nb_steps += 1
        push = np.resize(np.asarray(action, np.float32), 2)
        self.position = np.tanh(self.position + 0.5 * push) + np.float32(0.1)
        ends, limited = self.nb_steps == (3, 7, 5)[self.episode % 3], self.episode % 3 == 1
        return self.position.copy(), float(self.position.sum()), ends and not limited, ends and limited, {}


class Steps(rl.callbacks.Callback):
    """What each step brought; `changes` are made to the agent after some steps."""

    def __init__(self, changes=None):
        super().__init__()
        self.metrics, self.actions, self.observations, self.changes = [], [], [], changes or {}

    def on_step_end(self, step, logs):
        self.metrics.append(logs.get("metrics"))
        self.actions.append(logs["action"].copy())
        self.observations.append(logs["observation"])
        change = self.changes.get(len(self.metrics), {})
        if callable(change):
            change(self.model)
        else:
            for name, value in change.items():
                setattr(self.model, name, value)


def train(agent, nb_steps=30, changes=None, seed=5, env=Env, callbacks=(), **options):
    steps = Steps(changes)
    agent.fit(env(), nb_steps, verbose=0, callbacks=[steps, *callbacks], seed=seed, **options)
    return steps


class Optimizer:
    """SGD or Adam with a limit for the norm of each gradient."""

    def __init__(self, rate, clipnorm=None, is_adam=False):
        self.rate, self.clipnorm, self.is_adam, self.step = rate, clipnorm, is_adam, 0

    def of_keras(self):
        kind = keras.optimizers.Adam if self.is_adam else keras.optimizers.SGD
        return kind(self.rate, clipnorm=self.clipnorm)

    def apply(self, weights, gradients):
        self.step += 1
        if self.step == 1:
            self.means, self.squares = ([np.zeros_like(w) for w in weights] for _ in range(2))
        for i, gradient in enumerate(gradients):
            if self.clipnorm is not None and np.linalg.norm(gradient) > self.clipnorm:
                gradient = gradient * self.clipnorm / np.linalg.norm(gradient)
            if self.is_adam:
                self.means[i] = 0.9 * self.means[i] + 0.1 * gradient
                self.squares[i] = 0.999 * self.squares[i] + 0.001 * gradient**2
                mean, square = self.means[i] / (1 - 0.9**self.step), self.squares[i] / (1 - 0.999**self.step)
                gradient = mean / (np.sqrt(square) + 1e-7 / np.sqrt(1 - 0.999**self.step))
            weights[i] -= self.rate * gradient


def recording(kind, **options):
    """A memory that keeps what it has drawn, and which errors it was told."""

    class Recorded(kind):
        def draw(self, *args):
            self.drawn.append(super().draw(*args))
            return self.drawn[-1]

        def update_priorities(self, rows, errors):
            self.errors.append(errors)
            super().update_priorities(rows, errors)

    memory = Recorded(200, seed=2, **options)
    memory.drawn, memory.errors = [], []
    return memory


def combinations(choices, most=None):
    """Few that have every value, and those in which each two of them meet, which are long."""
    every = [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
    np.random.RandomState(0).shuffle(every)
    every = every[:most]
    missing = {pair for chosen in every for pair in itertools.combinations(chosen.items(), 2)}
    for i in itertools.count():
        if not missing:
            break
        best = max(every, key=lambda chosen: len(missing & set(itertools.combinations(chosen.items(), 2))))
        every.remove(best)
        missing -= set(itertools.combinations(best.items(), 2))
        yield pytest.param(best, marks=pytest.mark.long) if i >= 4 else best
