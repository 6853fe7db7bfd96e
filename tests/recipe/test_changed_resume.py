"""Runs that go on with something changed: what may be, what is told of it, and what stays."""

import json
import pickle
import shlex
from pathlib import Path

import numpy as np
import pytest
import rl.callbacks

from kerasrl import Config, DDPGConfig, train
from kerasrl.cli.door import run as run_command
from kerasrl.config.agents import AGENTS
from kerasrl.config.files import read_toml
from kerasrl.config.resuming import history
from kerasrl.storage import TrainingState, weights
from kerasrl.tools.tune.seeds import claim
from kerasrl.tools.tune.worker import Job, read_result, work
from kerasrl.training.run import TrainingRun

FEW = {"seed": 1, "nb_max_episode_steps": 10, "hidden_layers": (3,), "verbose": 0, "state_interval": 10}
FEW |= {"eval_interval": 0, "nb_steps": 30}
MORE = {"nb_steps": 60, "resume": True}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(TrainingRun, "_rehearse", lambda _: None)


def settings(name="dqn", **others):
    kind = AGENTS[name].settings
    warm_up = {f"nb_steps_warmup{of}": 1000 for of in ("", "_actor", "_critic")}
    own = {setting: value for setting, value in warm_up.items() if hasattr(kind, setting)}
    return kind(**{**FEW, **own, **others})


def arrays(file):
    return [array for layer in weights.read(file).layers for array in layer.values()]


def log(name="dqn_CartPole-v0"):
    return json.loads(Path(f"logs/{name}_log.json").read_text())


def segments():
    return read_toml(Path("logs/dqn_CartPole-v0_config.toml"))["run"].get("segment", [])


# What may change


@pytest.mark.long
def test_a_resume_may_explore_otherwise():
    before = {"eps_max": 1.0, "eps_min": 0.0, "eps_nb_steps": 100}
    train(settings(**before))
    agent = train(settings(**before | {"eps_min": 0.5, "eps_nb_steps": 60}, **MORE)).agent
    assert (agent.policy.value_min, agent.policy.nb_steps) == (0.5, 60)
    assert agent.policy.get_current_value() == pytest.approx(0.5)
    now = before | {"eps_schedule": "exponential", "eps_rate": 0.01, "eps_nb_steps": 10_000}
    agent = train(settings(**now, nb_steps=80, resume=True)).agent  # a policy of another class
    assert agent.policy.get_current_value() == pytest.approx(np.exp(-0.8), rel=1e-6)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "before", "after", "expected"),
    [
        ("sarsa", {"tau": 2.0}, {"policy": "eps", "tau": 1.0}, lambda agent: agent.policy.inner_policy.eps > 0.9),
        pytest.param(
            *("cem", {}, {"noise_ampl": 0.25}, lambda agent: agent.noise_ampl == 0.25), marks=pytest.mark.long
        ),
        (
            "ddpg",
            {"noise_nb_steps": 100, "nb_random_steps": 0},
            {"noise_sigma": 0.5},
            lambda agent: agent.random_process.sigma == 0.5 and agent.random_process.n_steps > 50,
        ),
        pytest.param(
            "naf",
            {"nb_random_steps": 0},
            {"random_process": "ornstein-uhlenbeck"},
            lambda agent: type(agent.random_process).__name__ == "DriftingNoise" and agent.random_process.n_steps > 50,
            marks=pytest.mark.long,
        ),
    ],
    ids=["sarsa", "cem", "ddpg", "naf"],
)
def test_every_agent_may(name, before, after, expected):
    train(settings(name, **before))
    assert expected(train(settings(name, **{**before, **after}, **MORE)).agent)


@pytest.mark.long
def test_a_resume_in_python_may_go_back_to_a_default(refused):
    train(settings(learning_rate=1e-4, gamma=0.5))
    assert float(train(settings(**MORE, learning_rate=1e-3)).agent.optimizer.learning_rate) == pytest.approx(1e-3)
    with refused("gamma is 0.99 here but was 0.5 there"):
        train(settings(resume=True, gamma=0.99))
    again = pickle.loads(pickle.dumps(settings(gamma=0.5)))
    assert again == settings(gamma=0.5) and "given" not in vars(again)


@pytest.mark.long
def test_evaluations_may_be_less_frequent_and_longer():
    train(settings(eval_interval=10, eval_episodes=1))
    trained = train(settings(**{**MORE, "nb_steps": 90}, eval_interval=30, eval_episodes=2))
    columns = log()
    evaluated = [s for s, r in zip(columns["nb_steps"], columns["evaluation_reward"], strict=True) if r is not None]
    assert [step // 10 for step in evaluated if step < 60] == [1, 2, 3] and 60 <= min(
        s for s in evaluated if s > 50
    ) < 70
    assert trained.last[1] == 90


@pytest.mark.long
def test_the_best_weights_are_not_forgotten_while_there_are_no_evaluations():
    train(settings(eval_interval=10, eval_episodes=1))
    kept = TrainingState("checkpoints/dqn_CartPole-v0_state").load()["callbacks"][0]
    best = Path("checkpoints/dqn_CartPole-v0_best.h5f").read_bytes()
    assert train(settings(**MORE)).best is None
    train(settings(nb_steps=70, resume=True))  # an unchanged resume keeps it, too
    assert Path("checkpoints/dqn_CartPole-v0_best.h5f").read_bytes() == best
    (aside,) = TrainingState("checkpoints/dqn_CartPole-v0_state").load()["set_aside"]
    assert (aside.name, aside.content["best"]) == ("Evaluation", kept.content["best"])
    trained = train(settings(nb_steps=90, resume=True, eval_interval=1000, eval_episodes=1))
    assert trained.best[0] >= kept.content["best"][0] and trained.last[1] == 90


@pytest.mark.long
def test_evaluations_that_begin_later_begin_at_the_next_interval():
    train(settings())
    train(settings(nb_steps=80, resume=True, eval_interval=25, eval_episodes=1))
    columns = log()
    evaluated = [s for s, r in zip(columns["nb_steps"], columns["evaluation_reward"], strict=True) if r is not None]
    assert 50 <= evaluated[0] < 60


class Counting(rl.callbacks.Callback):
    nb_episodes = 0

    def on_episode_end(self, episode, logs):
        self.nb_episodes += 1

    def get_state(self):
        return {"nb_episodes": self.nb_episodes}

    def set_state(self, state):
        self.nb_episodes = state["nb_episodes"]
        Counting.seen.append(self.nb_episodes)

    seen = []  # noqa: RUF012


@pytest.mark.long
def test_callbacks_may_come_and_go():
    named = f"{__name__}:Counting"
    Counting.seen.clear()
    train(settings())
    train(settings(nb_steps=50, resume=True, callback=(named,)))
    nb_with = len(log()["nb_steps"])
    assert run_command("train", ["--resume", "--nb-steps", "70", "--callback", "--verbose", "0"]) == 0
    assert Counting.seen == []
    train(settings(nb_steps=90, resume=True, callback=(named,)))
    assert 0 < Counting.seen[0] < nb_with  # it counts on from where it was


# What is told


@pytest.mark.long
def test_it_is_told_and_the_settings_file_gets_a_segment_for_each_change(capsys, said, monkeypatch):
    words = [w for k, v in FEW.items() for w in (f"--{k}", str(v).strip("(,)")) if k not in ("verbose", "nb_steps")]

    def run(*options):
        typed = ["--nb-steps", "30", *words, *options] if "--resume" not in options else list(options)
        monkeypatch.setattr("sys.argv", ["train.py", *typed])
        assert run_command("train", typed) == 0
        return [line for line in capsys.readouterr().out.splitlines() if line.startswith("from here on")]

    assert run() == []
    first = read_toml(Path("logs/dqn_CartPole-v0_config.toml"))["run"]["command"]
    (told,) = run("--resume", "--nb-steps", "50", "--learning-rate", "1e-4", "--eps-min", "0.2", "--threads", "1")
    said(told)
    assert run("--resume", "--nb-steps", "60") == [] and run("--resume") == []  # nothing is different
    assert len(run("--resume", "--nb-steps", "80", "--eps-min", "0.3")) == 1
    recorded = read_toml(Path("logs/dqn_CartPole-v0_config.toml"))
    assert recorded["run"]["command"] == first and "--nb-steps 30" in first
    assert (recorded["learning_rate"], recorded["eps_min"], recorded["nb_steps"]) == (1e-4, 0.3, 80)
    second, third = segments()
    assert (second["number"], second["before"], second["after"]) == (
        *(2, {"eps_min": 0.1, "learning_rate": 1e-3, "threads": 0}),
        {"eps_min": 0.2, "learning_rate": 1e-4, "threads": 1},
    )
    assert shlex.split(second["command"])[-4:] == ["--eps-min", "0.2", "--threads", "1"]
    assert 20 < second["from_step"] <= 30 and 50 < third["from_step"] <= 60 and third["number"] == 3
    assert third["after"] == {"eps_min": 0.3}
    assert Config.load(file="logs/dqn_CartPole-v0_config.toml").eps_min == 0.3


@pytest.mark.parametrize(
    "saved",
    [None, 5, {"command": 3}, {"command": "x\x1b", "segment": "y"}, {"segment": [5, {}, {"number": "2"}]},
     {"segment": [{"number": 2, "from_step": 3, "command": "x", "before": {"a": object}, "after": {}}] * 2}],
    ids=repr,
)  # fmt: skip
def test_a_strange_history_is_none(saved):
    assert history(saved) == {"command": "", "segment": []}


# Lengths


class StopAt40(rl.callbacks.Callback):
    def on_episode_end(self, episode, logs):
        if logs["nb_steps"] >= 40:
            self.model.stop_training = self.model.did_abort = True  # as a signal does


@pytest.mark.long
def test_fewer_steps_are_possible_as_long_as_they_have_not_been_taken(refused):
    learning = {"nb_steps_warmup": 10, "batch_size": 4}
    train(settings(**learning, checkpoint_dir="whole", log_dir="whole", nb_steps=60))
    train(settings(**learning, nb_steps=200), observers=[StopAt40()])
    with refused("nb_steps is 20", "fewer steps", varying=r"(?<=has come to )\d+"):
        train(settings(**learning, nb_steps=20, resume=True))
    train(settings(**learning, nb_steps=60, resume=True))
    both = [arrays(f"{folder}/dqn_CartPole-v0_weights.h5f") for folder in ("checkpoints", "whole")]
    for one, other in zip(*both, strict=True):
        np.testing.assert_array_equal(one, other)
    with refused("nb_steps is 59, but the run has come to 60"):  # though its last state may be of an earlier one
        train(settings(**learning, nb_steps=59, resume=True))


@pytest.mark.long
def test_seeds_go_on_for_more_steps(refused):
    config = settings(eval_interval=20, eval_episodes=1)
    longer = settings(eval_interval=20, eval_episodes=1, nb_steps=60)
    Path("runs").mkdir(), Path("search").mkdir()
    for one in (config, longer):
        claim(Path("runs"), one, {})
        assert work(Job("seed 1", one, (1,), Path("runs"), True, ("tune",)), lambda news: True) == ""
    result = read_result(Path("runs/seed-1"), 60)
    assert result["evaluations"][-1][0] <= 60 and read_result(Path("runs/seed-1"), 61) is None
    trained = train(settings(eval_interval=20, eval_episodes=1, nb_steps=60))
    for one, other in zip(
        arrays(trained.files.weights), arrays("runs/seed-1/dqn_CartPole-v0_weights.h5f"), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    with refused("of 60 steps"):
        claim(Path("runs"), config, {})
    claim(Path("search"), config, {"space": {}})
    with refused("nb_steps"):  # where trials of another length would be compared
        claim(Path("search"), longer, {"space": {}})


# Names


@pytest.mark.parametrize(
    ("kind", "name"),
    [(Config, "learning_rat"), (Config, "qqq"), (Config, "agent"), (DDPGConfig, "double"), (DDPGConfig, "eps_max")],
)
def test_a_setting_that_there_is_not_is_told_with_what_was_meant(kind, name, refused):
    with refused("agent" if name == "agent" else name):
        kind(**{name: 1})


@pytest.mark.long
def test_several_runs_to_resume_are_told_with_what_to_type(capsys, said, refused):
    for env in ("Acrobot-v1", "CartPole-v1"):
        train(settings(env=env, nb_steps=10))
    with refused("env='CartPole-v1'"):
        train(Config(resume=True, nb_steps=60))
    with pytest.raises(SystemExit):
        run_command("train", ["--resume", "--nb-steps", "60"])
    assert "--env CartPole-v1" in said(capsys.readouterr().err)
