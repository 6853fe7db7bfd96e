"""Many seeds, as tune.py's command line trains them."""

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

import train
import tune
from config import Config
from kerasrl.errors import UserError
from kerasrl.storage import TrainingState
from play import play
from tuning.seeds import checked, interval, parse_seeds

ROOT = Path(tune.__file__).parent
SHORT = ["--nb-steps", "900", "--eval-interval", "300", "--state-interval", "200"]


@pytest.mark.long
def test_seeds_are_those_of_train_py_and_the_same_command_trains_only_what_is_missing(
    ray, tmp_path, capsys, error, same_training
):
    folder = tmp_path / "runs"
    assert tune.main(["--seeds", "2", "--folder", str(folder), *SHORT]) == 0
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
    train.train(Config(seed=1, nb_steps=900, eval_interval=300, state_interval=200, checkpoint_dir=str(alone),
                       log_dir=str(alone)))  # fmt: skip
    same_training(folder / "seed-1", alone)
    capsys.readouterr()

    # Nothing of tune.py is in the training state, from which train.py goes on.
    kept = [TrainingState(place / "dqn_CartPole-v0_state").load()["kept"] for place in (folder / "seed-1", alone)]
    assert kept[0] == kept[1]
    shutil.copytree(folder / "seed-1", tmp_path / "more")
    more = str(tmp_path / "more")
    assert train.main(["--resume", "--nb-steps", "1000", "--checkpoint-dir", more, "--log-dir", more]) == 0
    capsys.readouterr()

    # The scores are what test.py finds in 100 episodes.
    rewards = play(folder / "seed-1" / "dqn_CartPole-v0_best.h5f", 100, seed=1_000_001)
    assert np.mean(rewards) == pytest.approx(results[1]["mean_best"])
    capsys.readouterr()

    before = (folder / "seed-1" / "dqn_CartPole-v0_weights.h5f").stat().st_mtime_ns
    assert tune.main(["--seeds", "1-2", "--folder", str(folder), *SHORT]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line for line in told if line.startswith("seed 1: ")] == [
        next(line for line in told if line.startswith("seed 1: was finished, best weights"))
    ]
    assert "seed 2: begins" in told
    assert (folder / "seed-1" / "dqn_CartPole-v0_weights.h5f").stat().st_mtime_ns == before

    assert "nb_steps is 2000 here and was 900; choose another --folder" in error(
        "--seeds", "2", "--folder", str(folder), *SHORT, "--nb-steps", "2000"
    )


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
    assert tune.main(arguments) == 1
    out, errors = capsys.readouterr()
    (line,) = errors.splitlines()
    seed, reason = re.fullmatch(r"failed: seed (\d): (.*)", line).groups()
    assert reason.startswith("the environment failed: RuntimeError: I do not like this seed (moody.py, line 10)")
    assert f"seed {1 - int(seed)}: finished" in out
    assert "1 seeds of moody:Moody-v0" in out
    # The same command trains what failed, from its last state on.
    assert tune.main(arguments) == 0
    out, errors = capsys.readouterr()
    assert errors == ""
    assert f"seed {1 - int(seed)}: was finished" in out
    assert re.search(rf"^seed {seed}: goes on from step [\d,]+$", out, re.MULTILINE)


@pytest.mark.long
def test_ctrl_c_keeps_everything_and_says_how_to_go_on(ray, tmp_path, capsys, same_training):
    options = ["--seeds", "1", "--folder", str(tmp_path / "runs"), "--nb-steps", "4000", "--eval-interval", "1000"]
    options += ["--state-interval", "500"]
    command = [sys.executable, str(ROOT / "tune.py"), *options]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        for line in process.stdout:
            if "step 1," in line:
                break
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130
    assert errors.splitlines()[-2].startswith("all is kept; to go on: ")
    assert errors.splitlines()[-2].endswith(shlex.join(options))
    assert errors.splitlines()[-1] == "stopped by Ctrl-C"
    assert not list(Path("/tmp").glob(f"ray-{process.pid}-*"))  # Ray's own files
    assert tune.main(options) == 0
    assert re.search(r"^seed 0: goes on from step [\d,]+$", capsys.readouterr().out, re.MULTILINE)
    alone = str(tmp_path / "alone")
    train.train(
        Config(seed=0, nb_steps=4000, eval_interval=1000, state_interval=500, checkpoint_dir=alone, log_dir=alone)
    )
    same_training(tmp_path / "runs" / "seed-0", tmp_path / "alone")


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
        found.append(train.train(Config(nb_steps=300, eval_interval=0, checkpoint_dir=folder, log_dir=folder)).status)

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
    ("text", "words"),
    [
        ("5-", "neither"),
        ("a", "neither"),
        ("", "neither"),
        ("-3", "neither"),
        ("3,,4", "neither"),
        ("3,4,3", "names seed 3 twice"),
        ("1-4,3", "names seed 3 twice"),
        ("9-3", "9-3 ends before it begins"),
        ("0", "0 seeds"),
        ("0-4294967295", "4,294,967,296 seeds"),
        ("4294967296,1", "between 0 and 4294967295"),
    ],
)
def test_wrong_seeds(text, words):
    with pytest.raises(UserError, match="--seeds: ") as raised:
        parse_seeds(text)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_interval_is_the_bootstraps():
    values = [200.0, 150.0, 180.0, 170.0, 199.0, 120.0, 188.0, 177.0]
    rng = np.random.default_rng(1)
    means = rng.choice(values, (20_000, len(values))).mean(axis=1)
    assert interval(values) == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=1)
    assert interval([7.0]) == interval([7.0, 7.0]) == (7.0, 7.0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give either --seeds"),
        (["--seeds", "2", "--space", "x.toml"], "give either --seeds"),
        (["--seeds", "2", "--seed", "3"], "--seed is no option of this command: use --seeds"),
        (["--seeds", "2", "--resume"], "the same command again goes on"),
        (["--seeds", "5-"], "neither a number of seeds"),
        (["--seeds", "2", "--gama", "1"], "did you mean --gamma?"),
        (["--seeds", "2", "--storage", "x"], "--storage is for a cluster"),
        (["--seeds", "2", "--address", "127.0.0.1:1"], "a cluster needs --storage"),
        (["--seeds", "2", "--env", "CartPoll-v0"], "no environment is called"),
    ],
)
def test_wrong_calls_are_told_in_a_line(arguments, words, error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert words in error(*arguments)
    assert list(tmp_path.iterdir()) == []


def test_without_ray_a_line_names_the_extra(error, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert error("--seeds", "2", "--folder", str(tmp_path)).endswith("pip install '.[tune]'")
