"""Runs that end when their time is up, and go on; the clock is the environment's, a minute for each step."""

import json
from pathlib import Path

import gym
import numpy as np
import pytest
from gym.envs.classic_control.cartpole import CartPoleEnv

from kerasrl import Config, train, tune
from kerasrl.cli.door import run as run_command
from kerasrl.config.durations import seconds
from kerasrl.storage import weights

START = 1_000.0  # of the program
FEW = {"nb_steps": 120, "seed": 3, "eval_interval": 25, "eval_episodes": 1, "hidden_layers": (4,), "batch_size": 4}
OPTIONS = [word for name, value in FEW.items() for word in (f"--{name}", str(value).strip("(,)"))]


class Clock(CartPoleEnv):
    trained = None  # evaluations, which play in copies, take no time
    nb_steps = 0

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        Clock.trained = self

    def step(self, action):
        Clock.nb_steps += self is Clock.trained
        return super().step(action)


@pytest.fixture(autouse=True)
def clock(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kerasrl.training.run.TrainingRun._rehearse", lambda _: None)
    monkeypatch.setattr("kerasrl.installation.STARTED", START)
    monkeypatch.setattr("time.monotonic", lambda: START + 60 * Clock.nb_steps)
    gym.envs.registration.registry.pop("Clock-v0", None)
    gym.register("Clock-v0", Clock, max_episode_steps=10)
    Clock.nb_steps = 0


def run(*options):
    return run_command("train", ["--env", "Clock-v0", *OPTIONS, *options])


def result(checkpoints="checkpoints", logs="logs"):
    saved = [weights.read(f"{checkpoints}/dqn_Clock-v0_{which}.h5f") for which in ("weights", "best")]
    log = json.loads(Path(logs, "dqn_Clock-v0_log.json").read_text())
    del log["duration"]
    return [array for file in saved for layer in file.layers for array in layer.values()], log


@pytest.mark.long
def test_a_run_ends_with_the_episode_in_which_its_time_is_up_and_goes_on_as_if_it_had_not(capsys, said):
    assert run("--checkpoint-dir", "whole", "--log-dir", "whole") == 0
    Clock.nb_steps = 0
    capsys.readouterr()
    assert run("--max-time", "45m") == 0
    out, errors = capsys.readouterr()
    log = result()[1]
    assert 45 <= log["nb_steps"][-1] < 45 + 10 and log["nb_steps"][-2] < 45
    (told,) = [line for line in out.splitlines() if "--resume" in line]
    assert f"at step {log['nb_steps'][-1]} of 120" in said(told) and errors == ""
    Clock.nb_steps = 0
    assert run("--resume", "--max-time", "1d") == 0
    assert "resume at step" in capsys.readouterr().out
    (arrays, log), (expected, whole) = result(), result("whole", "whole")
    for one, other in zip(arrays, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert log == whole


def test_one_episode_is_played_at_least_and_nothing_is_said_where_nothing_is_wanted(capsys):
    Clock.nb_steps = 500
    assert run("--max-time", "1", "--verbose", "0", "--eval-interval", "0") == 0
    assert capsys.readouterr() == ("", "")
    assert len(json.loads(Path("logs/dqn_Clock-v0_log.json").read_text())["nb_steps"]) == 1


@pytest.mark.long
def test_in_python_it_is_counted_from_the_call(capsys, said):
    Clock.nb_steps = 500
    trained = train(Config(env="Clock-v0", max_time=20 * 60.0, **FEW))
    assert 20 <= trained.agent.step < 30 and trained.status == 0
    (told,) = [line for line in capsys.readouterr().out.splitlines() if "resume=True" in line]
    said(told)
    assert train(Config(env="Clock-v0", resume=True, max_time="1d")).agent.step == 120


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        *(("2h30m", 9_000), ("90m", 5_400), ("45s", 45), ("1d", 86_400), ("1d2h3m4s", 93_784), ("1.5h", 5_400)),
        *(("2h 30m", 9_000), ("90", 90), ("1e3", 1_000), (90, 90), (0.5, 0.5)),
    ],
)
def test_times(time, expected):
    assert seconds("max_time", time) == expected
    assert Config(max_time=time).max_time == time


@pytest.mark.parametrize(
    "time", ["", "2h30", "30m2h", "-1", "0", "0s", "h", "2 hours", "inf", "nan", True, [1]], ids=str
)
def test_what_is_no_time_is_refused(time, refused):
    with refused("max_time"):
        Config(max_time=time)


def test_many_trainings_have_no_time_each(refused):
    with refused("max_time"):
        tune(Config(env="Clock-v0", max_time="2h"), seeds=2)
