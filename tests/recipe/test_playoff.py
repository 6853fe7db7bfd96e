"""Playoffs, in an environment whose evaluations favour weights that are worse in all other episodes."""

import functools
import io
import json
import os
import signal

import gym
import numpy as np
import pytest
import rl.callbacks
from gym import spaces

from kerasrl import Config, play, train
from kerasrl.callbacks import PlayoffProgress
from kerasrl.config.files import read_toml
from kerasrl.storage import weights
from kerasrl.tools.tune.worker import FIRST_TEST_SEED

# The action of the weights with which each episode, of a single step, is played; every second one is evaluated.
ACTIONS = [3, 0, 3, 1, 3, 2, 3, 3]
FEW = {"nb_steps": 6, "seed": 3, "eval_interval": 2, "eval_episodes": 2, "hidden_layers": (2,), "playoff": 3}
FEW |= {"nb_steps_warmup": 1_000, "jit_compile": False}


class Lucky(gym.Env):
    """Evaluations reward the first actions most, a playoff the later ones up to 2; what happens there may end it."""

    observation_space, action_space = spaces.Box(-1, 1, (1,)), spaces.Discrete(4)
    is_over, seeds, nb_played, event = False, [], 0, None

    def __init__(self, scale=1.0):
        self.scale = scale

    def reset(self, seed=None, options=None):
        Lucky.seeds.append(seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        rewards = [0, 1, 2, 0] if Lucky.is_over else [3, 2, 1, 0]
        Lucky.nb_played += Lucky.is_over
        if Lucky.nb_played == 150 and Lucky.event is not None:
            Lucky.event()
        return np.zeros(1, np.float32), self.scale * rewards[action], True, False, {}


class Script(rl.callbacks.Callback):
    """Lets each episode be played with weights that choose the action of ACTIONS, and the last weights choose 3."""

    def on_train_begin(self, logs=None):
        Lucky.is_over = False

    def choose(self, action):
        model = self.model.model
        model.set_weights([*(np.zeros_like(array) for array in model.get_weights()[:-1]), np.eye(4)[action]])

    def on_episode_begin(self, episode, logs=None):
        self.choose(ACTIONS[episode])

    def on_train_end(self, logs=None):
        Lucky.is_over = True
        self.choose(3)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kerasrl.training.run.TrainingRun._rehearse", lambda _: None)
    for name, value in {"is_over": False, "seeds": [], "nb_played": 0, "event": None}.items():
        monkeypatch.setattr(Lucky, name, value)


def trained(**settings):
    Lucky.nb_played = 0
    return train(Config(**{"verbose": 0, **FEW, **settings}), env=Lucky, callbacks=[Script()])


def choice(file):
    """Return the action that weights choose."""
    return int(np.argmax(list(weights.read(file).layers[-1].values())[-1]))


def result(of):
    """Return what best and last weights choose, the log without its times, and the figures of the playoff."""
    log = json.loads(of.files.log.read_text())
    del log["duration"]
    figures = [(one.step, one.reward, one.playoff) for one in of.playoff]
    return choice(of.files.best), choice(of.files.weights), log, figures


def test_the_winner_is_not_the_luckiest_and_the_training_is_as_without(capsys, said):
    found, without = trained(verbose=1), trained(playoff=0, checkpoint_dir="without", log_dir="without")
    assert (choice(found.files.best), choice(without.files.best), found.best) == (2, 0, (1.0, 6))
    assert result(found)[1:3] == result(without)[1:3]
    assert result(found)[3] == [(2, 3.0, 0.0), (4, 2.0, 1.0), (6, 1.0, 2.0)]
    assert read_toml(found.files.config)["run"]["playoff"] == [
        {"step": step, "evaluation": reward, "playoff": played} for step, reward, played in result(found)[3]
    ]
    told = [line for line in capsys.readouterr().out.splitlines() if "playoff" in line or "best weights" in line]
    said("\n".join(told))


@pytest.mark.long
def test_its_episodes_are_fresh_and_the_same_for_all():
    found = trained(playoff=2)
    assert choice(found.files.best) == 1  # the third of the weights, which would have won, are not among the two best
    before, played = Lucky.seeds[:-200], Lucky.seeds[-200:]
    assert played[:100] == played[100:] and len(set(played)) == 100
    assert not set(before) & set(played)
    Lucky.seeds.clear()
    play(found.weights, 100, env=Lucky, seed=FIRST_TEST_SEED + FEW["seed"])
    assert not set(Lucky.seeds) & set(played)


@functools.cache
def undisturbed(**settings):
    return result(trained(**settings, checkpoint_dir="whole", log_dir="whole"))


class Killed(Exception):
    pass


def kill():
    raise Killed


@pytest.mark.long
@pytest.mark.parametrize("how", ["killed", "signal", pytest.param("time", marks=pytest.mark.long)])
def test_ended_in_a_playoff_and_resumed_is_as_never_ended(monkeypatch, capsys, said, how):
    whole = undisturbed(playoff=2)
    monkeypatch.setattr("time.monotonic", lambda: 100.0 * (Lucky.nb_played >= 150))
    Lucky.event = {"killed": kill, "signal": lambda: os.kill(os.getpid(), signal.SIGTERM), "time": None}[how]
    if how == "killed":
        with pytest.raises(Killed):
            trained(playoff=2)
    else:
        ended = trained(playoff=2, max_time=50 if how == "time" else None, verbose=1)
        assert (ended.status, ended.playoff) == (143 if how == "signal" else 0, [])
        out, errors = capsys.readouterr()
        (told,) = [line for line in [*out.splitlines(), *errors.splitlines()] if "resume=True" in line]
        said(told)
        assert choice(ended.files.best) == 0
    Lucky.event = None
    assert result(trained(playoff=2, resume=True, max_time=None)) == whole
    assert Lucky.nb_played == 100  # of the first of the weights, the figure is kept


@pytest.mark.long
def test_a_longer_run_is_as_one_that_was_that_long():
    whole = undisturbed(nb_steps=6)
    assert len(trained(nb_steps=4).playoff) == 2
    assert result(trained(nb_steps=6, resume=True)) == whole


@pytest.mark.long
def test_a_solved_run_has_one_in_the_environment_to_evaluate_in():
    solved = trained(stop_at=10.0, nb_steps=8, eval_env_arg={"scale": 10.0})
    assert result(solved)[3] == []  # with its first evaluation
    ACTIONS[1], ACTIONS[3], before = 1, 0, ACTIONS[:4]
    try:
        two = {"nb_steps": 8, "eval_env_arg": {"scale": 10.0}, "checkpoint_dir": "two"}
        solved = trained(stop_at=30.0, **two)
        assert result(solved)[3] == [(4, 30.0, 0.0), (2, 20.0, 10.0)]
        assert choice(solved.files.best) == 1
        trained(stop_at=99.0, resume=True, **two)  # it goes on
        assert Lucky.nb_played == 300  # all three play, since what the environment has gathered may be more by now
    finally:
        ACTIONS[:4] = before


@pytest.mark.parametrize("interval", [0, 100])
def test_without_two_evaluated_weights_there_is_none(capsys, interval):
    assert trained(eval_interval=interval, verbose=1).playoff == []
    assert "playoff 1" not in capsys.readouterr().out


def test_a_playoff_of_one_is_refused(refused):
    with refused("playoff"):
        Config(playoff=1)


def test_a_terminal_shows_how_many_episodes_have_been_played(monkeypatch):
    screen = io.StringIO()
    screen.isatty = lambda: True
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setattr("kerasrl.callbacks.progress._PER_SECOND", 1e9)
    line = PlayoffProgress("playoff 2 of 5", 100)
    for episode in range(34):
        line.on_episode_end(episode)
    line.on_train_end()
    shown = [text.strip() for text in screen.getvalue().split("\r")]
    assert "playoff 2 of 5: 34 of 100 episodes" in shown and shown[-1] == ""
