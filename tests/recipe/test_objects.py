"""Objects given to `train` from Python, callbacks that settings name, and threads that come too late."""

import subprocess
import sys
import threading
from pathlib import Path

import gym
import keras
import numpy as np
import pytest
import rl.callbacks
import rl.core
from gym.envs.classic_control.cartpole import CartPoleEnv

from kerasrl import Config, play, train
from kerasrl.cli.door import run as run_command
from kerasrl.storage import weights
from model import build_model

ROOT = Path(__file__).parents[2]
SHORT = {"nb_steps": 500, "eval_interval": 150, "eval_episodes": 1, "seed": 1, "verbose": 0, "state_interval": 100}


class Tilted(CartPoleEnv):
    """CartPole that counts what is done with it; nobody has registered it."""

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.steps, self.closed = 0, False

    def step(self, action):
        self.steps += 1
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated or self.steps % 60 == 0, truncated, info

    def close(self):
        self.closed = True
        super().close()


class Halved(rl.core.Processor):
    def __init__(self):
        self.seen = 0

    def process_observation(self, observation):
        self.seen += 1
        return observation[:2] / 2


class Counter(rl.callbacks.Callback):
    """Counts steps; stops the training at `stop_at`."""

    def __init__(self, stop_at=None):
        super().__init__()
        self.steps, self.stop_at = 0, stop_at

    def on_step_end(self, step, logs):
        self.steps += 1
        if self.steps == self.stop_at:
            self.model.did_abort = self.model.stop_training = True

    def get_state(self):
        return {"steps": self.steps}

    def set_state(self, state):
        self.steps = state["steps"]


def network(inputs=2):
    keras.utils.set_random_seed(5)
    return build_model(inputs, 2, (8,))


def given(stop_at=None):
    return {"env": Tilted(), "model": network(), "processor": Halved(), "callbacks": [Counter(stop_at)]}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def arrays(path):
    return [array for layer in weights.read(path).layers for array in layer.values()]


@pytest.mark.long
def test_objects_take_the_place_of_what_the_settings_name(tmp_path):
    objects = given()
    before = objects["model"].get_weights()
    trained = train(Config(**SHORT), **objects)
    assert objects["env"].steps == 500  # evaluations and the rehearsal have copies
    assert not objects["env"].closed
    assert objects["processor"].seen - 500 - len(trained.history["nb_steps"]) in (0, 1)  # resets show something, too
    assert objects["callbacks"][0].steps == 500
    assert trained.agent.model is objects["model"]
    assert any((old != new).any() for old, new in zip(before, objects["model"].get_weights(), strict=True))
    assert trained.weights == Path("checkpoints/dqn_Tilted_best.h5f")
    assert 'objects = "env, model, processor, callbacks"' in (tmp_path / "logs/dqn_Tilted_config.toml").read_text()


@pytest.mark.long
def test_a_given_model_begins_as_it_was_given(tmp_path):
    # Without an update nothing but the rehearsal could change it.
    objects = given()
    before = objects["model"].get_weights()
    train(Config(**{**SHORT, "nb_steps": 50, "nb_steps_warmup": 100}), **objects)
    for old, new in zip(before, objects["model"].get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.long
def test_what_was_trained_with_objects_is_played_and_filmed(tmp_path):
    objects = given()
    trained = train(Config(**SHORT), **objects)
    last, steps = objects["model"].get_weights(), objects["env"].steps
    rewards = trained.play(2, record="film.gif", seed=1)
    assert (tmp_path / "film.gif").read_bytes().startswith(b"GIF")
    assert objects["env"].steps == steps
    for old, new in zip(last, objects["model"].get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    fresh = {"env": Tilted, "model": network(), "processor": Halved()}
    assert play(trained.weights, 2, seed=1, **fresh) == rewards


@pytest.mark.long
def test_a_run_with_objects_is_resumed_exactly():
    folders = [{"checkpoint_dir": name, "log_dir": name} for name in ("whole", "parted")]
    whole = train(Config(**SHORT, **folders[0]), **given())
    assert train(Config(**SHORT, **folders[1]), **given(stop_at=300)).agent.step < 400
    resumed = train(Config(resume=True, **folders[1]), **given())
    assert resumed.agent.step == 500
    for expected, actual in zip(arrays(whole.files.weights), arrays(resumed.files.weights), strict=True):
        np.testing.assert_array_equal(expected, actual)


@pytest.mark.long
def test_what_no_file_holds_is_asked_for_in_one_line(refused, said, capsys):
    trained = train(Config(**SHORT), **given(stop_at=300))
    with refused("env", "model", "processor", "callbacks"):
        train(Config(resume=True))
    play_it = ["--weights", str(trained.weights)]
    for name, arguments in (("train", ["--resume"]), ("test", play_it), ("test", [*play_it, "--env", "CartPole-v1"])):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            run_command(name, arguments)
        error = said(capsys.readouterr().err)
        assert (stop.value.code, error.count("\n"), "model" in error) == (2, 1, True)
    with refused("model=..."):
        play(trained.weights, env=Tilted, processor=Halved())


class Uncopyable(Tilted):
    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.lock = threading.Lock()


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::kerasrl.errors.Note")
def test_a_function_makes_what_cannot_be_copied(tmp_path, refused):
    with refused("Uncopyable", "lock"):
        train(Config(**SHORT), env=Uncopyable())
    assert not list((tmp_path / "checkpoints").glob("dqn*"))
    made = []

    def make(render_mode=None):
        made.append(Uncopyable(render_mode))
        return made[-1]

    trained = train(Config(**{**SHORT, "record_every": 200}), env=make)
    assert sum(env.steps == 500 for env in made) == 1
    assert [env.render_mode for env in made] == ["rgb_array"] * 2  # trained in, and filmed
    assert all(env.closed for env in made)
    assert list((tmp_path / "logs").glob("dqn_Uncopyable_film_*.gif"))
    assert len(trained.play(1)) == 1


@pytest.mark.long
def test_a_function_builds_the_model(refused):
    trained = train(Config(**SHORT), model=build_model)
    assert [layer.units for layer in trained.agent.model.layers if hasattr(layer, "units")] == [16, 16, 16, 2]
    with refused("model"):
        play(trained.weights)
    assert len(trained.play(1)) == 1


@pytest.mark.long
def test_files_bear_the_name_of_a_registered_environment():
    trained = train(Config(**SHORT), env=gym.make("CartPole-v1"))
    assert trained.files.env_name == "CartPole-v1"
    assert run_command("test", ["--weights", str(trained.weights), "--env", "CartPole-v1", "--episodes", "1"]) == 0


@pytest.mark.parametrize(
    "objects",
    [
        *({"env": "CartPole-v1"}, {"env": lambda: 3}, {"model": 3}, {"model": lambda size: 3}),
        *({"model": lambda size, actions: 3}, {"model": build_model(4, 3)}, {"model": network(7)}),
        *({"processor": Halved}, {"callbacks": [Counter]}, {"callbacks": Counter()}),
        *({"observers": [Counter]}, {"observers": Counter()}),
    ],
)
def test_an_object_that_cannot_be_used_touches_nothing(objects, refused, tmp_path):
    with refused(*objects):
        train(Config(**SHORT), **objects)
    assert not list(tmp_path.rglob("dqn*"))


class Watching(Counter):
    """Holds what no file can hold, and has no state that it could give."""

    def __init__(self, stop_at=None):
        super().__init__(stop_at)
        self.frame, self.rows = object(), (number for number in range(10**9))

    def get_state(self):
        raise AssertionError("nobody needs it")


@pytest.mark.long
def test_a_resume_does_without_observers():
    settings = {**SHORT, "nb_steps": 200, "eval_interval": 0}
    assert train(Config(**settings), observers=[Watching(stop_at=100)]).agent.step < 200
    assert train(Config(resume=True)).agent.step == 200


# Callbacks that settings name


class Told(rl.callbacks.Callback):
    def __init__(self, config):
        super().__init__()
        self.config = config

    def on_train_end(self, logs):
        print("trained for", self.config.nb_steps, "from", self.config.seed)


class Said(rl.callbacks.Callback):
    def on_train_end(self, logs):
        print("over")


class Demanding(rl.callbacks.Callback):
    def __init__(self, file):
        super().__init__()


@pytest.mark.long
def test_callbacks_are_named_by_settings(capsys):
    options = f"--nb-steps 20 --seed 4 --verbose 0 --callback {__name__}:Told {__name__}:Said"
    assert run_command("train", options.split()) == 0
    assert capsys.readouterr().out == "trained for 20 from 4\nover\n"
    assert run_command("train", ["--resume", "--trust", "--nb-steps", "30", "--verbose", "0"]) == 0
    assert capsys.readouterr().out == "trained for 30 from 4\nover\n"


@pytest.mark.parametrize("name", ["mine", ":Demanding", ":Halved", ":Nobody", "keras.callbacks:TerminateOnNaN"])
def test_a_callback_that_cannot_be_made_touches_nothing(name, said, tmp_path, capsys):
    name = name if name[0] != ":" else f"{__name__}{name}"
    with pytest.raises(SystemExit) as stop:
        run_command("train", ["--callback", name, "--nb-steps", "20", "--verbose", "0"])
    error = said(capsys.readouterr().err)
    assert (stop.value.code, error.count("\n")) == (2, 1)
    assert name.rpartition(":")[2] in error
    assert not list(tmp_path.rglob("dqn*"))


# Threads


@pytest.mark.long
def test_other_threads_in_the_same_process_are_refused_and_the_cure_is_named(said, tmp_path):
    code = (
        "from kerasrl import Config, UserError, train\n"
        "short = {'nb_steps': 20, 'eval_interval': 0}\n"
        "for threads in (2, 0, 2, 3):\n"
        "    try:\n"
        "        train(Config(threads=threads, device='cpu' if threads else 'auto', **short)).play(1)\n"
        "    except UserError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line for line in done.stdout.splitlines() if line.startswith(("device", "TensorFlow"))]
    assert [said(line).partition(" ")[0] for line in lines] == ["device", "device", "device", "TensorFlow"]
