"""Many seeds, as `tune` trains them."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from kerasrl import Config, play, train, tune
from kerasrl.cli.door import run as run_command
from kerasrl.cli.options import parse
from kerasrl.config.commands import PlayConfig
from kerasrl.phrases import shell
from kerasrl.storage import TrainingState
from kerasrl.tools.tune.seeds import checked, claim, parse_seeds, summarise
from kerasrl.tools.tune.worker import read_result
from kerasrl.training.own_parts import OwnParts

ROOT = Path(__file__).parents[2]
SHORT = ["--nb-steps", "900", "--eval-interval", "300", "--state-interval", "200"]


@pytest.mark.long
@pytest.mark.xla  # as the workers do, whose bits it has
def test_seeds_are_those_of_train_py_and_the_same_command_trains_only_what_is_missing(
    ray, tmp_path, capsys, error, same_training
):
    folder = tmp_path / "runs"
    assert run_command("tune", ["--seeds", "2", "--folder", str(folder), *SHORT]) == 0
    told = capsys.readouterr().out.splitlines()
    assert "seed 0: begins" in told
    assert any(
        re.fullmatch(r"seed 1: step [\d,]+ of 900, evaluation [\d.]+, best [\d.]+(, 0:\d\d:\d\d left)?", line)
        for line in told
    )
    results = [json.loads((folder / f"seed-{seed}" / "result.json").read_text()) for seed in (0, 1)]
    for which in ("best", "last"):
        mean = sum(result[f"mean_{which}"] for result in results) / 2
        (line,) = [line for line in told if line.startswith(f"{which} weights")]
        assert float(line.split()[2]) == pytest.approx(mean, abs=0.06)
    assert f"solved (at least 195): {sum(result['mean_best'] >= 195 for result in results)} of 2" in told
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")

    # A worker that has trained another seed before, in a process of its own, or in this one: all the same.
    alone = tmp_path / "alone"
    train(Config(seed=1, nb_steps=900, eval_interval=300, state_interval=200, checkpoint_dir=str(alone),
                       log_dir=str(alone)))  # fmt: skip
    same_training(folder / "seed-1", alone)
    capsys.readouterr()

    # Nothing of `tune` is in the training state, from which train.py goes on.
    kept = [TrainingState(place / "dqn_CartPole-v0_state").load()["kept"] for place in (folder / "seed-1", alone)]
    assert kept[0] == kept[1]
    shutil.copytree(folder / "seed-1", tmp_path / "more")
    more = str(tmp_path / "more")
    assert run_command("train", ["--resume", "--nb-steps", "1000", "--checkpoint-dir", more, "--log-dir", more]) == 0
    capsys.readouterr()

    # The scores are what test.py finds in 100 episodes.
    rewards = play(folder / "seed-1" / "dqn_CartPole-v0_best.h5f", 100, seed=1_000_001)
    assert np.mean(rewards) == pytest.approx(results[1]["mean_best"])
    capsys.readouterr()

    before = (folder / "seed-1" / "dqn_CartPole-v0_weights.h5f").stat().st_mtime_ns
    assert run_command("tune", ["--seeds", "1-2", "--folder", str(folder), *SHORT]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line for line in told if line.startswith("seed 1: ")] == [
        next(line for line in told if line.startswith("seed 1: already finished, best weights"))
    ]
    assert "seed 2: begins" in told
    assert (folder / "seed-1" / "dqn_CartPole-v0_weights.h5f").stat().st_mtime_ns == before

    assert "holds runs of 900 steps, which may take more, not fewer; choose another --folder" in error(
        "--seeds", "2", "--folder", str(folder), *SHORT, "--nb-steps", "800"
    )
    assert run_command("tune", ["--seeds", "1", "--folder", str(folder), *SHORT, "--nb-steps", "1000"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"^seed 0: continues from step [8-9]\d\d$", told, re.MULTILINE)
    assert json.loads((folder / "seed-0" / "result.json").read_text())["evaluations"][-1][0] > 900


@pytest.mark.long
def test_a_seed_that_fails_is_shown_with_its_reason_and_the_others_go_on(ray, own, tmp_path, capsys):
    flag = tmp_path / "failed"
    (own / "moody.py").write_text(
        "import gym, pathlib\n"
        "from gym.envs.classic_control.cartpole import CartPoleEnv\n"
        "class Moody(CartPoleEnv):\n"
        "    n = 0\n"
        "    def step(self, action):\n"
        "        Moody.n += 1\n"
        f"        flag = pathlib.Path({str(flag)!r})\n"
        "        if Moody.n > 700 and not flag.exists():\n"
        "            flag.touch(exist_ok=False)\n"
        "            raise RuntimeError('I do not like this seed')\n"
        "        return super().step(action)\n"
        "gym.register('Moody-v0', lambda: Moody(), max_episode_steps=200)\n"
    )
    arguments = ["--env", "moody:Moody-v0", "--seeds", "2", "--folder", str(tmp_path / "runs"), *SHORT]
    arguments += ["--no-jit-compile"]
    assert run_command("tune", arguments) == 1
    out, errors = capsys.readouterr()
    (line,) = errors.splitlines()
    seed, reason = re.fullmatch(r"failed: seed (\d): (.*)", line).groups()
    assert reason.startswith("the environment failed: RuntimeError: I do not like this seed (moody.py, line 10)")
    assert f"seed {1 - int(seed)}: finished" in out
    assert "1 seed of moody:Moody-v0" in out
    # The same command trains what failed, from its last state on.
    assert run_command("tune", arguments) == 0
    out, errors = capsys.readouterr()
    assert errors == ""
    assert f"seed {1 - int(seed)}: already finished" in out
    assert re.search(rf"^seed {seed}: continues from step [\d,]+$", out, re.MULTILINE)


@pytest.mark.long
def test_a_command_works_where_it_is_given_though_ray_was_started_elsewhere(ray, tmp_path, monkeypatch):
    for name in ("here", "imported"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.syspath_prepend(tmp_path / "imported")
    Path("looking.py").write_text("from seen import Look\n")
    (tmp_path / "imported/seen.py").write_text(
        "import rl.callbacks\nfrom pathlib import Path\n"
        "class Look(rl.callbacks.Callback):\n"
        "    def on_train_begin(self, logs): Path('seen').touch()\n"
    )
    options = ["--callback", "looking:Look", "--nb-steps", "20", "--eval-interval", "0", "--no-jit-compile"]
    assert run_command("tune", ["--seeds", "1", "--folder", "runs", *options]) == 0
    assert {path.name for path in Path().iterdir() if path.suffix != ".py"} >= {"runs", "seen"}
    assert Path("runs/seed-0/result.json").exists()


@pytest.mark.long
def test_ctrl_c_keeps_everything_and_says_how_to_go_on(ray, own, gate, tmp_path, capsys, same_training):
    waits, is_open = gate
    options = ["--seeds", "1", "--folder", str(tmp_path / "runs"), "--nb-steps", "2500", "--eval-interval", "1000"]
    options += ["--state-interval", "500", "--no-jit-compile", *waits]
    command = [sys.executable, "-m", "kerasrl", "tune", *options]
    with subprocess.Popen(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": f"{own}{os.pathsep}{ROOT}"}, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        for line in process.stdout:
            if "step 1," in line:
                break
        ps = ["ps", "-ww", "--ppid", str(process.pid), "-o", "args="]
        rays = subprocess.run(ps, capture_output=True, text=True, check=False).stdout
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130
    assert errors.splitlines()[-2].startswith("everything is kept; to continue: ")
    assert shlex.split(errors.splitlines()[-2])[-len(options) :] == options
    assert errors.splitlines()[-1] == "stopped by Ctrl-C"
    (place,) = set(re.findall(r"/tmp/kerasrl-ray-\w+\.tmp", rays))
    assert not Path(place).exists()  # Ray's own files
    is_open.touch()
    assert run_command("tune", options) == 0
    assert re.search(r"^seed 0: continues from step [\d,]+$", capsys.readouterr().out, re.MULTILINE)
    alone = {"checkpoint_dir": str(tmp_path / "alone"), "log_dir": str(tmp_path / "alone"), "callback": ("gate:Gate",)}
    train(Config(seed=0, nb_steps=2500, eval_interval=1000, state_interval=500, jit_compile=False, **alone))
    same_training(tmp_path / "runs" / "seed-0", tmp_path / "alone")


@pytest.mark.parametrize(
    ("rewards", "told"),
    [
        ([150.0], ["1 seed of E-v0, 100 greedy episodes each: mean", "best weights 150.0", "last weights 75.0"]),
        (
            [150.0, 160.0],
            ["2 seeds of E-v0, 100 greedy episodes each: mean", "best weights 155.0", "last weights 77.5"],
        ),
        (
            [150.0, 160.0, 200.0],  # of three, the bootstrap's interval is their range
            [
                "3 seeds of E-v0, 100 greedy episodes each: mean [95% bootstrap interval]",
                "best weights 170.0 [150.0, 200.0]",
                "last weights 85.0 [75.0, 100.0]",
            ],
        ),
    ],
    ids=["one", "two", "three"],
)
def test_the_mean_of_three_seeds_or_more_has_an_interval(tmp_path, capsys, rewards, told):
    results = {k: {"mean_best": one, "mean_last": one / 2, "evaluations": []} for k, one in enumerate(rewards)}
    summarise(Config(env="E-v0"), tmp_path, results, None)
    assert capsys.readouterr().out.splitlines()[:3] == told


OWN_NAMES = {"env": "mine:E-v0", "env_arg": {"n": 3, "name": "two words"}, "network": "model:build"}
OWN_NAMES |= {"processor": "mine:P", "recipe": "my own/train.py"}


def test_the_last_line_plays_with_all_that_the_settings_name(tmp_path, capsys, monkeypatch):
    results = {7: {"mean_best": 150.0, "mean_last": 75.0, "evaluations": []}}
    config = Config(**OWN_NAMES, callback=("mine:C",))
    weights = str(tmp_path / "seed-7/dqn_mine-E-v0_weights.h5f")
    with shell():
        summarise(config, tmp_path, results, None)
    words = shlex.split(capsys.readouterr().out.splitlines()[-1])
    assert parse(PlayConfig, words[words.index("--weights") :], "test") == PlayConfig(weights, **OWN_NAMES)

    asked = []
    monkeypatch.setattr("kerasrl.tools.play.run", lambda *arguments: asked.append(arguments))
    summarise(config, tmp_path, results, None)
    exec(capsys.readouterr().out.splitlines()[-1])
    assert asked == [(PlayConfig(weights, **OWN_NAMES), OwnParts())]


def test_in_python_seeds_may_be_a_list_and_what_is_missing_is_told_as_arguments(monkeypatch, refused):
    asked = []
    monkeypatch.setattr("kerasrl.tools.tune.command.run", lambda options, *_: asked.append(options.seeds) or 0)
    for seeds in ([3, 17], range(20, 22), 10, np.int64(2), [7], range(1)):
        assert tune(seeds=seeds)
    assert [parse_seeds(seeds) for seeds in asked] == [[3, 17], [20, 21], list(range(10)), [0, 1], [7], [0]]
    with refused("seeds=10", "space='spaces/dqn.toml'"):
        tune()


@pytest.mark.long
def test_each_training_has_one_thread_unless_it_is_given_more():
    assert [checked(Config(env=env))[0].threads for env in ("CartPole-v0", "MinAtar/Breakout-v1")] == [0, 1]
    assert checked(Config(env="MinAtar/Breakout-v1", threads=2))[0].threads == 2


@pytest.mark.long
def test_a_training_in_any_thread_leaves_signals_alone(tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    found = []

    def body():
        folder = str(tmp_path)
        found.append(train(Config(nb_steps=300, eval_interval=0, checkpoint_dir=folder, log_dir=folder)).status)

    thread = threading.Thread(target=body)
    thread.start()
    during = set()
    while thread.is_alive():
        during.add((signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)))
        time.sleep(0.01)
    assert found == [0]
    assert during == {before}


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("3", [0, 1, 2]),
        ("3,17,40", [3, 17, 40]),
        ("20-23", [20, 21, 22, 23]),
        ("7-7", [7]),
        ("0-1, 5", [0, 1, 5]),
    ],
)
def test_what_seeds_mean(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text", ["5-", "a", "", "-3", "3,,4", "3,4,3", "1-4,3", "9-3", "0", "0-4294967295", "4294967296,1"]
)
def test_wrong_seeds(text, refused):
    with refused("seeds: "):
        parse_seeds(text)


@pytest.mark.parametrize(
    "arguments",
    [
        *("", "--seeds 2 --space x.toml", "--seeds 2 --seed 3", "--seeds 2 --resume", "--seeds 5-"),
        *("--seeds 2 --gama 1", "--seeds 2 --storage x", "--seeds 2 --address 127.0.0.1:1"),
        "--seeds 2 --env CartPoll-v0",
    ],
)
def test_wrong_calls_are_told_in_a_line(arguments, said, error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = said(error(*arguments.split()))
    assert any(word in line for word in (*arguments.split()[2:], "--seeds", "--storage"))
    assert list(tmp_path.iterdir()) == []


def test_without_ray_a_line_names_the_extra(said, error, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert said(error("--seeds", "2", "--folder", str(tmp_path))).endswith('".[tune]"')


OWN_RECIPE = """
def build(run):
    assert run.spaces.action_shape == (1,)
    return build_agent(run.config.jit_compile)


def train(run):
    agent = build(run)
    with run.training(agent):
        agent.fit(run.env, run.config.nb_steps, callbacks=run.callbacks([]), verbose=0, **run.options)
        agent.save_weights(run.files.weights, overwrite=True)
"""
OWN_ENVIRONMENT = """
import gym

from own_agent import Line


class Drawn(Line, gym.Env):
    action_space, observation_space = gym.spaces.Box(-1, 1, (1,)), gym.spaces.Box(-2, 2, (2,))

    def reset(self, seed=None, options=None):
        return Line.reset(self, seed)


gym.register("Line-v0", Drawn)
"""


@pytest.mark.long
def test_an_agent_of_ones_own_is_trained_with_many_seeds(ray, own, tmp_path, capsys):
    agent = (ROOT / "tests/agents/test_own_agent.py").read_text().partition("class Actions(")[0]
    (own / "own_agent.py").write_text(agent + OWN_RECIPE)
    (own / "line.py").write_text(OWN_ENVIRONMENT)
    named = ["--env", "line:Line-v0", "--recipe", str(own / "own_agent.py")]
    arguments = [*named, "--no-jit-compile", "--nb-steps", "400", "--eval-interval", "100", "--state-interval", "100"]
    assert run_command("tune", ["--seeds", "2", "--folder", str(tmp_path), *arguments]) == 0
    out = capsys.readouterr().out
    assert "2 seeds of line:Line-v0" in out
    play = shlex.split(out.splitlines()[-1])
    assert play[-4:] == named
    assert run_command("test", play[play.index("--weights") :]) == 0
    results = [json.loads((tmp_path / f"seed-{seed}/result.json").read_text()) for seed in (0, 1)]
    assert all(-3 < result["mean_best"] < 0 for result in results)
    assert results[0]["mean_best"] != results[1]["mean_best"]


@pytest.mark.parametrize("content", ["", "{", "[" * 100_000, "\x80"], ids=["none", "cut", "deep", "binary"])
def test_results_and_settings_that_are_none_are_no_results_and_one_line(content, tmp_path, refused):
    for name in ("result.json", "settings.json"):
        (tmp_path / name).write_bytes(content.encode("latin-1"))
    assert read_result(tmp_path) is None
    with refused("settings"):
        claim(tmp_path, Config(), {})


def test_a_folder_of_a_version_that_lacked_a_setting_goes_on(tmp_path):
    claim(tmp_path, Config(), {})
    file = tmp_path / "settings.json"
    known = json.loads(file.read_text())
    file.write_text(json.dumps({name: value for name, value in known.items() if name != "playoff"}))
    claim(tmp_path, Config(), {})
    assert json.loads(file.read_text()) == known
