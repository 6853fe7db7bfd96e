"""Modules of the user's own that are called as modules of this project are."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import atari
import model
from kerasrl.compat import names

ROOT = Path(__file__).parents[2]
OWN = {
    "config.py": "STEPS = 30\nNODES = 7\n",
    "model/__init__.py": (
        "import keras\n"
        "from model.parts import width\n"
        "from model import parts\n"
        "import model.parts as the_same\n"
        "assert parts is the_same\n"
        "def build(state_size, num_actions):\n"
        "    from config import NODES\n"  # late, when the project's own is long there
        "    assert width == NODES\n"
        "    layers = [keras.layers.Flatten(), keras.layers.Dense(width), keras.layers.Dense(num_actions)]\n"
        "    return keras.Sequential([keras.Input((1, state_size)), *layers])\n"
    ),
    "model/parts.py": "import config\nwidth = config.NODES\n",
    "my_env.py": (
        "import gym\n"
        "import config\n"
        "from gym.envs.classic_control.cartpole import CartPoleEnv\n"
        "class Mine(CartPoleEnv):\n"
        "    def reset(self, **options):\n"
        "        import config as late\n"
        "        assert late is config\n"
        "        return super().reset(**options)\n"
        "gym.register('Mine-v0', 'my_env:Mine', max_episode_steps=config.STEPS)\n"
    ),
    "run.py": "import gym\nfrom my_env import Mine\ngym.register('Mine-v1', 'run:Mine', max_episode_steps=30)\n",
    "plot.py": "raise NotImplementedError('not asked for')\n",
    "callbacks.py": "raise NotImplementedError('not asked for')\n",
}


@pytest.fixture
def folder(tmp_path):
    for name, source in OWN.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source)
    return tmp_path


def run(script, *arguments, folder):
    command = [sys.executable, str(script), *arguments]
    done = subprocess.run(command, cwd=folder, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.long
@pytest.mark.parametrize(
    ("env", "project"), [("my_env:Mine-v0", "elsewhere"), ("run:Mine-v1", "below"), ("my_env:Mine-v0", "linked")]
)
def test_a_module_of_ones_own_is_found_and_finds_its_own(folder, env, project):
    scripts = ROOT if project == "elsewhere" else folder / "project"
    if project != "elsewhere":
        scripts.mkdir()
        for file in ROOT.glob("*.py"):
            (scripts / file.name).symlink_to(file) if project == "linked" else shutil.copy(file, scripts)
    if project == "below":
        shutil.copytree(ROOT / "kerasrl", scripts / "kerasrl")
    settings = ["--env", env, "--network", "model:build", "--nb-steps", "200", "--eval-interval", "150"]
    assert "step 200 of 200" in run(scripts / "train.py", *settings, folder=folder)
    weights = f"checkpoints/dqn_{env.replace(':', '-')}_best.h5f"
    assert "minimum" in run(scripts / "test.py", "--weights", weights, "--episodes", "1", "--trust", folder=folder)


def test_the_projects_own_modules_are_found_too(folder, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("builtins.__import__", __import__)  # put back at the end
    monkeypatch.chdir(folder)
    assert names.module("model").parts.width == 7
    assert names.named("atari:AtariProcessor") is atari.AtariProcessor
    import model as here

    assert here is model
    monkeypatch.chdir(ROOT)
    assert names.named("model:build_model") is model.build_model
