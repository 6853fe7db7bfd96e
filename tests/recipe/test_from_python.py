"""Training and playing from Python: in a notebook, in a script."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import train
from config import Config
from kerasrl.errors import UserError

ROOT = Path(__file__).parents[2]
SHORT = {"nb_steps": 600, "eval_interval": 250, "eval_episodes": 1, "seed": 1}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_what_is_learned_is_played_and_filmed_and_told_in_python(capsys, tmp_path):
    trained = train.train(Config(**SHORT))
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == ["play them, with visualize=True in a window:", "trained.play()"]
    assert not re.search(r"--\w|python ", "".join(lines))
    rewards = trained.play(2, record="film.gif", seed=3)
    out = capsys.readouterr().out
    assert len(rewards) == 2 and "Testing for 2 episodes" in out and out.endswith("film film.gif\n")
    assert (tmp_path / "film.gif").read_bytes().startswith(b"GIF")
    assert trained.play(2, seed=3) == rewards
    # The agent may be shown as the last line of a cell.
    assert len(repr(trained)) < 500


def test_the_file_of_settings_names_no_command_that_nobody_typed(tmp_path):
    train.train(Config(**{**SHORT, "verbose": 0, "nb_steps": 20}))
    settings = tmp_path / "logs/dqn_CartPole-v0_config.toml"
    assert "command" not in settings.read_text()
    train.main(["--nb-steps", "20", "--verbose", "0"])
    assert "command = " in settings.read_text()


def test_playing_has_a_name_that_python_does_not_take(tmp_path):
    code = (
        "import sys, test\n"  # Python's own package
        f"sys.path.append({str(ROOT)!r})\n"
        "assert not hasattr(test, 'TestConfig')\n"
        "from config import Config\n"
        "from play import play\n"
        "from train import train\n"
        "trained = train(Config(nb_steps=20, eval_interval=0))\n"
        "assert play(trained.weights, 1, seed=1) == play(str(trained.weights), 1, seed=1) == trained.play(1, seed=1)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("Testing for 1 episodes") == 3


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, r"continue it with Config\(\.\.\., resume=True\), or replace it with Config\(\.\.\., overwrite=True\)"),
        ({"resume": True, "checkpoint_dir": "other"}, "does not exist; train without resume=True"),
        ({"resume": True, "env": "CartPole-v1"}, "does not exist; train without resume=True"),
    ],
)
def test_a_refusal_tells_the_cure_in_python(settings, said):
    class Stopped(Exception):
        pass

    def stop(*_):
        raise Stopped

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stopped):
        patch.setattr("kerasrl.callbacks.FileLogger.on_train_end", stop)
        train.train(Config(nb_steps=20, verbose=0))
    with pytest.raises(UserError, match=said) as refused:
        train.train(Config(nb_steps=20, verbose=0, **settings))
    assert not re.search(r"--\w", str(refused.value))
    assert refused.value._render_traceback_() == [f"UserError: {refused.value}"]  # what a notebook shows
