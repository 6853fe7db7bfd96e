"""Training and playing from Python: in a notebook, in a script."""

import base64
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kerasrl import Config, play, train
from kerasrl.cli.door import run as run_command
from kerasrl.errors import UserError

ROOT = Path(__file__).parents[2]
SHORT = {"nb_steps": 600, "eval_interval": 250, "eval_episodes": 1, "seed": 1}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.long
def test_what_is_learned_is_played_and_filmed_and_told_in_python(capsys, tmp_path):
    trained = train(Config(**SHORT))
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "to play them, call play() of what train returned (visualize=True opens a window)"
    assert not re.search(r"--\w|python ", "".join(lines))
    rewards = trained.play(2, record="film.gif", seed=3)
    out = capsys.readouterr().out
    assert len(rewards) == 2 and "Testing for 2 episodes" in out and out.endswith("film film.gif\n")
    assert (tmp_path / "film.gif").read_bytes().startswith(b"GIF")
    assert trained.play(2, seed=3) == rewards
    # The agent may be shown as the last line of a cell.
    assert len(repr(trained)) < 500
    assert_history_is_the_logs(trained)
    assert_history_is_the_logs(
        train(Config(**{**SHORT, "nb_steps": 800}, resume=True))
    )  # the log has earlier ones, too


def assert_history_is_the_logs(trained):
    nb_episodes, log = len(trained.history["nb_steps"]), json.loads(trained.files.log.read_text())
    for name in ("nb_steps", "loss", "mae", "mean_q", "mean_eps"):
        np.testing.assert_array_equal(trained.history[name], np.array(log[name][-nb_episodes:], float), name)
    assert np.isfinite(trained.history["loss"][1:]).all()


@pytest.mark.long
def test_the_file_of_settings_names_no_command_that_nobody_typed(tmp_path):
    train(Config(**{**SHORT, "verbose": 0, "nb_steps": 20}))
    settings = tmp_path / "logs/dqn_CartPole-v0_config.toml"
    assert "command" not in settings.read_text()
    run_command("train", ["--nb-steps", "20", "--verbose", "0"])
    assert "command = " in settings.read_text()


@pytest.mark.long
def test_everything_is_a_name_of_the_package_also_beside_modules_of_these_names(tmp_path):
    for name in ("config", "train", "play", "test", "model", "callbacks"):
        (tmp_path / f"{name}.py").write_text("raise NotImplementedError('not asked for')\n")
    code = (
        "from kerasrl import Config, play, train\n"
        "from keras.callbacks import EarlyStopping\n"  # which would announce TensorFlow
        "trained = train(Config(nb_steps=20, eval_interval=0, jit_compile=False))\n"
        "assert play(trained.weights, 1, seed=1) == play(str(trained.weights), 1, seed=1) == trained.play(1, seed=1)\n"
        "import sys; assert not {'config', 'train', 'play', 'model', 'callbacks'} & set(sys.modules)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("Testing for 1 episodes") == 3


@pytest.mark.long
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
        train(Config(nb_steps=20, verbose=0))
    with pytest.raises(UserError, match=said) as refused:
        train(Config(nb_steps=20, verbose=0, **settings))
    assert not re.search(r"--\w", str(refused.value))
    assert refused.value._render_traceback_() == [f"UserError: {refused.value}"]  # what a notebook shows


@pytest.mark.long
@pytest.mark.curve
def test_a_training_shows_itself_as_its_curve(tmp_path):
    trained = train(Config(**SHORT, verbose=0))
    picture, metadata = trained._repr_png_()
    with Image.open(io.BytesIO(picture)) as shown, Image.open(trained.files.curve) as drawn:
        assert shown.size == drawn.size and metadata == {"width": drawn.width // 2}
        difference = np.abs(np.asarray(shown.convert("RGB"), int) - np.asarray(drawn.convert("RGB"), int))
        assert difference.mean() < 2
    assert len(picture) < trained.files.curve.stat().st_size / 2
    trained.files.curve.unlink()
    assert trained._repr_png_() is None


@pytest.mark.long
def test_what_was_played_shows_itself_as_its_film(tmp_path):
    trained = train(Config(**SHORT, verbose=0))
    played = trained.play(1, seed=3)
    assert played == list(played) and played._repr_html_() is None
    filmed = trained.play(1, seed=3, record="a<b.gif")
    shown = filmed._repr_html_()
    content = re.fullmatch(r'<img src="data:image/gif;base64,(.*)" alt="a&lt;b.gif: (.*)"><br>a&lt;b.gif: \2', shown)
    assert base64.b64decode(content[1]) == Path("a<b.gif").read_bytes()
    assert content[2] == repr(played)
    pytest.importorskip("av")
    shown = trained.play(1, seed=3, record="film.mp4")._repr_html_()
    assert shown.startswith('<video controls loop src="data:video/mp4;base64,')
    Path("film.mp4").unlink()
    assert play(trained.weights, 1, seed=3) == played
