"""Modules and recipes of the user's own, also those that are called as files of this project are."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import model
from kerasrl.environments.processors import AtariProcessor
from kerasrl.named import module, named
from kerasrl.training import recipe

ROOT = Path(__file__).parents[2]
SHORT = ["--nb-steps", "200", "--eval-interval", "150", "--no-jit-compile"]
OWN = {
    "config.py": "STEPS = 30\nNODES = 7\n",
    "model/__init__.py": (
        "import keras\n"
        "from model.parts import width\n"
        "from model import parts\n"
        "import model.parts as the_same\n"
        "assert parts is the_same\n"
        "def build(state_size, num_actions):\n"
        "    from config import NODES\n"
        "    assert width == NODES\n"
        "    layers = [keras.layers.Flatten(), keras.layers.Dense(width), keras.layers.Dense(num_actions)]\n"
        "    return keras.Sequential([keras.Input((1, state_size)), *layers])\n"
    ),
    "model/parts.py": "import config\nwidth = config.NODES\n",
    "my_env.py": (
        "import gym\n"
        "import callbacks\n"
        "import config\n"
        "from gym.envs.classic_control.cartpole import CartPoleEnv\n"
        "class Mine(CartPoleEnv):\n"
        "    def reset(self, **options):\n"
        "        import config as late, callbacks as too\n"
        "        assert late is config and too is callbacks and callbacks.MINE\n"
        "        return super().reset(**options)\n"
        "gym.register('Mine-v0', 'my_env:Mine', max_episode_steps=config.STEPS)\n"
    ),
    "run.py": "import gym\nfrom my_env import Mine\ngym.register('Mine-v1', 'run:Mine', max_episode_steps=30)\n",
    "callbacks.py": "MINE = True\n",
    "train.py": "raise NotImplementedError('a stranger left it here')\n",
    "test.py": "raise NotImplementedError('a stranger left it here')\n",
}


@pytest.fixture
def folder(tmp_path):
    for name, source in OWN.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source)
    return tmp_path


@pytest.mark.long
@pytest.mark.parametrize(
    ("env", "project"),
    [
        ("my_env:Mine-v0", "by its name"),
        *(("run:Mine-v1", project) for project in ("elsewhere", "below", "linked")),  # imports my_env
    ],
)
def test_a_module_of_ones_own_is_found_and_finds_its_own(folder, env, project, python):
    scripts = ROOT if project in ("elsewhere", "by its name") else folder / "project"
    if scripts != ROOT:
        scripts.mkdir()
        for file in ROOT.glob("*.py"):
            (scripts / file.name).symlink_to(file) if project == "linked" else shutil.copy(file, scripts)
    if project == "below":
        shutil.copytree(ROOT / "kerasrl", scripts / "kerasrl")
    settings = ["--env", env, "--network", "model:build", *SHORT]
    weights = ["--weights", f"checkpoints/dqn_{env.replace(':', '-')}_best.h5f", "--episodes", "1", "--trust"]
    for name, arguments, says in (("train", settings, "step 200 of 200"), ("test", weights, "minimum")):
        command = ["-m", "kerasrl", name] if project == "by its name" else [scripts / f"{name}.py"]
        command += arguments
        if project == "by its name":
            status, output, errors = python.run(folder, *command)
        else:  # in a process that has imported nothing yet
            command, environment = [sys.executable, *command], {**os.environ, "PYTHONPATH": ""}
            ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
            status, output, errors = ran.returncode, ran.stdout, ran.stderr
        assert (status, errors) == (0, "")
        assert says in output


def test_the_projects_own_modules_are_found_too(folder, monkeypatch):
    monkeypatch.setattr("sys.path", [str(ROOT)])
    monkeypatch.setitem(sys.modules, "model", model)
    monkeypatch.chdir(folder)
    assert module("model").parts.width == 7
    assert named("atari:AtariProcessor") is AtariProcessor
    assert recipe.load().build.__module__ == "kerasrl_recipe_train"
    assert module("model").parts.width == 7


# Recipes

DOUBLED = "\n\ndef build(run, given=build):\n    print('my own build')\n    return given(run)\n"


@pytest.fixture
def own(tmp_path, python):
    """The folder of a recipe of one's own, that says when it builds."""
    done = python.run(tmp_path, "-m", "kerasrl", "new", "own")
    assert (done.status, done.errors) == (0, "")
    text = (tmp_path / "own/train.py").read_text()
    (tmp_path / "own/train.py").write_text(text.replace("\n\ndef train(", f"{DOUBLED}\n\ndef train("))
    return tmp_path / "own"


def test_a_new_recipe_is_the_projects(own, tmp_path, python):
    assert {path.name for path in own.iterdir()} == {"train.py", "test.py", "model.py", "callbacks.py"}
    assert (own / "model.py").read_text() == (ROOT / "model.py").read_text()
    done = python.run(tmp_path, "-m", "kerasrl", "new", "own")
    assert (done.status, done.output) == (2, "") and "own already has model.py" in done.errors
    done = python.run(tmp_path, "-m", "kerasrl", "new", "a", "b")
    assert (done.status, done.output) == (2, "") and "name one folder" in done.errors


@pytest.mark.long
def test_a_recipe_of_ones_own_trains_and_plays_and_is_asked_for_as_trust_is(own, tmp_path, python):
    def run(*command, status=0):
        done = python.run(tmp_path, *command)
        assert done.status == status, done.errors
        return done.output if status == 0 else done.errors

    output = run("own/train.py", *SHORT)
    assert output.count("my own build") == 2  # for the rehearsal, for the training
    play = output.splitlines()[-1].split()
    assert play[-2:] == ["--recipe", "own/train.py"]
    best = ["--weights", "checkpoints/dqn_CartPole-v0_best.h5f"]
    assert "my own build" in run("own/test.py", *best)
    assert "my own build" in run(*play[1:])
    errors = run("-m", "kerasrl", "test", *best, status=2)
    assert "names recipe own/train.py" in errors and "give --recipe own/train.py, or --trust" in errors
    assert "my own build" in run("-m", "kerasrl", "test", *best, "--trust")
    export = ["-m", "kerasrl", "export", *best, "--to", "policy.keras", "--episodes", "1"]
    assert "names recipe own/train.py" in run(*export, status=2)
    assert "my own build" in run(*export, "--recipe", "own/train.py")
    resumed = run("-m", "kerasrl", "train", "--resume", "--nb-steps", "250", "--recipe", "own/train.py")
    assert "my own build" in resumed
    assert "my own build" not in run("-m", "kerasrl", "train", *SHORT)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (None, "there is no recipe own.py"),
        ("def build(run): ...", "has no function train(run)"),
        ("import nowhere_at_all", "cannot be imported: No module named 'nowhere_at_all'"),
        ("def build(run:", "cannot be imported"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_refused(tmp_path, python, source, says):
    if source is not None:
        (tmp_path / "own.py").write_text(source)
    done = python.run(tmp_path, "-m", "kerasrl", "train", "--recipe", "own.py", "--nb-steps", "20", "--verbose", "0")
    assert (done.status, done.output) == (2, "") and says in done.errors and done.errors.count("\n") == 1
    assert not list(tmp_path.glob("*/*.h5f"))


@pytest.mark.parametrize(
    ("train", "says"),
    [("pass", "trained nothing"), ("build(run).fit(run.env, 5, verbose=0)", "trained nothing")],
)
def test_a_recipe_that_does_not_train_within_run_training_is_told(tmp_path, python, train, says):
    build = "def build(run):\n    return build_agent(build_model(4, 2), 2, run.config)\n"
    source = f"from model import build_agent, build_model\n{build}def train(run):\n    {train}\n"
    (tmp_path / "own.py").write_text(source)
    done = python.run(tmp_path, "-m", "kerasrl", "train", "--recipe", "own.py", "--nb-steps", "20", "--verbose", "0")
    assert done.status == 2 and says in done.errors
