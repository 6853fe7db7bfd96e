"""Each repair in two processes: upstream fails in the one without it, and works in the one with it."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import pytest
import rl.callbacks
import rl.util

from kerasrl import Config, DQNAgent, SequentialMemory, play
from kerasrl.cli.door import run as run_command
from kerasrl.compat import keras_settings
from kerasrl.compat.quiet import quiet_stderr
from kerasrl.storage import weights
from kerasrl.training.networks import own_network

ATTEMPTS = """
import json, warnings
results = {}

def attempt(name):
    def run(function):
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)
            try:
                results[name] = function() or "works"
            except Exception as error:
                results[name] = f"{type(error).__name__}: {error}"
    return run

import gym
results["gym's filters"] = [text for text in map(str, warnings.filters) if "gym" in text] or "works"

@attempt("gym's checker")
def _():
    env = gym.make("CartPole-v1")
    env.reset(seed=0)
    env.step(0)

@attempt("Acrobot")
def _():
    env = gym.make("Acrobot-v1", disable_env_checker=True)
    env.reset(seed=0)
    env.step(0)

def taken(name, action, **options):
    # a step with an action in 32 bits, as those of networks are
    import numpy as np
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        env = gym.make(name, disable_env_checker=True, **options)
        env.reset(seed=0)
        env.step(np.array(action, np.float32))
    return env

@attempt("Pendulum's picture")
def _():
    taken("Pendulum-v1", [0.5], render_mode="rgb_array").render()

@attempt("the continuous lander")
def _():
    taken("LunarLanderContinuous-v2", [0.5, -0.7])

@attempt("the racing car")
def _():
    taken("CarRacing-v2", [0.5, 0.2, 0.1])

@attempt("pygame's build notice")
def _():
    with warnings.catch_warnings(record=True) as shown:
        warnings.warn("pkg_resources is deprecated as an API.")
    assert not shown

import keras
import tensorflow as tf

@attempt("import rl.agents")
def _():
    import rl.agents

if not hasattr(tf.keras.models, "model_from_config"):
    tf.keras.models.model_from_config = None
import rl.agents, rl.callbacks, rl.memory
results["eager"] = tf.executing_eagerly()

@attempt("Keras' History among Keras-RL's callbacks")
def _():
    callbacks = rl.callbacks.CallbackList([rl.callbacks.Callback(), keras.callbacks.History()])
    callbacks.set_model(type("Agent", (), {})())
    callbacks.on_train_begin()
    callbacks.on_episode_end(0, logs={"episode_reward": 1.0})

@attempt("few entries")
def _():
    drawn = rl.memory.sample_batch_indexes(2, 5, 40)
    assert sorted(set(drawn)) == [2, 3, 4] and len(drawn) == 40

@attempt("frames before an episode")
def _():
    import numpy as np
    frame = np.full((2, 3), 7, np.uint8)
    zeros = rl.memory.zeroed_observation({"camera": frame, "speed": np.float32(1.5)})
    assert zeros["speed"] == 0 and zeros["camera"].shape == (2, 3) and zeros["camera"].dtype == np.uint8
    assert not zeros["camera"].any()

@attempt("TensorFlow's own modules")
def _():
    from tensorflow.python.keras.callbacks import Callback
    assert Callback is not keras.callbacks.Callback
    assert "lambda" not in tf.compat.v1.disable_eager_execution.__name__

print(json.dumps(results))
"""
TWICE = """
import importlib
import kerasrl.compat.keras_rl
importlib.reload(kerasrl.compat.gym)
importlib.reload(kerasrl.compat.keras_rl)
"""
UPSTREAM = {
    "gym's checker": "AttributeError: module 'numpy' has no attribute 'bool8'",
    "Acrobot": "AttributeError: `np.float_` was removed",
    "Pendulum's picture": "TypeError: size must be two numbers",
    "the continuous lander": "TypeError: Converting from sequence to b2Vec2, expected int/float arguments index 0",
    "the racing car": "TypeError: in method 'b2RevoluteJoint___SetMotorSpeed', argument 2 of type 'float32'",
    "pygame's build notice": "AssertionError",
    "import rl.agents": "ImportError: cannot import name 'model_from_config'",
    "Keras' History among Keras-RL's callbacks": "AttributeError: 'History' object has no attribute '_implements",
    "frames before an episode": "AssertionError",
    "few entries": "DeprecationWarning: This function is deprecated",
}


@pytest.fixture(scope="module")
def runs():
    """The results and the screen of a process that repairs nothing, and of one that repairs twice."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment |= {"SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy"}  # SDL looks for neither, and is silent
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=Path(__file__).parents[2],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for script in (ATTEMPTS, TWICE + ATTEMPTS)
    ]
    outputs = [process.communicate() for process in processes]
    for process, (_, errors) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, errors
    return [(json.loads(out.splitlines()[-1]), out, errors) for out, errors in outputs]


@pytest.mark.long
@pytest.mark.parametrize("repair", UPSTREAM)
def test_upstream_fails_and_the_repair_works(runs, repair):
    (without, _, _), (repaired, _, _) = runs
    assert without[repair].startswith(UPSTREAM[repair])
    assert repaired[repair] == "works"


@pytest.mark.long
def test_eager_execution_stays_on(runs):
    (without, _, _), (repaired, _, _) = runs
    assert without["eager"] is False
    assert repaired["eager"] is True


@pytest.mark.long
def test_nothing_is_printed(runs):
    (_, _, errors), (_, out, repaired_errors) = runs
    assert "Gym has been unmaintained" in errors
    assert "absl::InitializeLog" in errors  # before the first line that TensorFlow writes on any processor
    assert repaired_errors == ""
    assert len(out.splitlines()) == 1


@pytest.mark.long
def test_gym_does_not_change_which_warnings_are_shown(runs):
    (without, _, _), (repaired, _, _) = runs
    assert without["gym's filters"] != "works"
    assert repaired["gym's filters"] == "works"


@pytest.mark.long
def test_repairs_are_not_seen_outside_keras_rl(runs):
    assert runs[1][0]["TensorFlow's own modules"] == "works"


class OfKeras2:
    """Like an object of tf_keras."""

    __module__ = "tf_keras.src.models"

    def __call__(self):
        return self


USES = {
    "model": lambda: DQNAgent(OfKeras2(), nb_actions=2, memory=SequentialMemory(9)),
    "optimizer": lambda: agent().compile(OfKeras2()),
    "callback": lambda: agent().fit(None, 9, callbacks=[OfKeras2()]),
    "model given": lambda: own_network(4, 2, Config(), OfKeras2()),
    "model made": lambda: own_network(4, 2, Config(), lambda size, actions: OfKeras2()),
}


def agent():
    model = keras.Sequential([keras.Input((1, 4)), keras.layers.Flatten(), keras.layers.Dense(2)])
    agent = DQNAgent(model, nb_actions=2, memory=SequentialMemory(9))
    agent.compile("sgd")
    return agent


def test_a_callback_of_keras_rl_before_its_repair_is_refused_with_the_cure(refused):
    class OfEarlyKerasRL(OfKeras2):
        __module__ = "rl.callbacks"

    with refused("import kerasrl.callbacks before rl"):
        agent().fit(None, 9, callbacks=[type("Mine", (OfEarlyKerasRL,), {})()])


@pytest.mark.parametrize("use", USES)
def test_what_is_of_keras_2_is_refused_with_the_cure(use, refused):
    with refused(use.partition(" ")[0], "tf_keras", "Keras 3"):
        USES[use]()


def test_a_tensorflow_that_uses_keras_2_is_refused_with_the_cure(monkeypatch, refused):

    monkeypatch.setitem(sys.modules, "tensorflow.keras.models", SimpleNamespace(Model=OfKeras2))
    with refused("TF_USE_LEGACY_KERAS"):
        runpy.run_path(sys.modules["kerasrl.compat.keras_rl"].__file__)


def test_a_keras_on_another_backend_is_refused_with_the_cure(monkeypatch, refused):
    monkeypatch.setitem(sys.modules, "keras.src.backend.config", SimpleNamespace(backend=lambda: "jax"))
    with refused("'jax'", "KERAS_BACKEND=tensorflow"):
        runpy.run_path(sys.modules["kerasrl.compat.keras_rl"].__file__)


@pytest.mark.long
def test_keras_json_does_not_stop_a_command_or_the_cure_is_told(tmp_path, said):
    environment = {**os.environ, "KERAS_HOME": str(tmp_path), "KERAS_BACKEND": ""}
    command = [sys.executable, "-m", "kerasrl", "train", "--nb-steps", "20", "--eval-interval", "0", "--seed", "0"]
    wrong = ['{"floatx": "int8"}', "[]"]
    for settings in ('{"backend": "jax"}', '{"backend": "theano", "image_dim_ordering": "th"}', *wrong):
        (tmp_path / "keras.json").write_text(settings)
        ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        if settings in wrong:
            assert ran.returncode == 2 and "keras.json" in said(ran.stderr)
        else:
            assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.long
def test_the_users_settings_of_keras_change_nothing_and_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    options = ["--nb-steps", "40", "--eval-interval", "0", "--verbose", "0", "--seed", "3"]
    before = keras.config.floatx(), keras.config.epsilon(), keras.config.image_data_format()
    files = []
    for how in (before, ("float64", 1e-3, "channels_first")):
        keras_settings._set(*how)
        try:
            assert run_command("train", ["--checkpoint-dir", how[0], *options]) == 0
            assert (keras.config.floatx(), keras.config.epsilon(), keras.config.image_data_format()) == how
            (file,) = Path(how[0]).glob("*_weights.h5f")
            assert len(play(file, 1, seed=0)) == 1
        finally:
            keras_settings._set(*before)
        files.append([array for layer in weights.read(file).layers for array in layer.values()])
    assert os.environ["KERAS_BACKEND"] == "tensorflow"
    for one, other in zip(*files, strict=True):
        assert one.dtype == other.dtype and (one == other).all()


def test_keras_rl_copies_models():
    layer = keras.layers.Dense(2, name="double")
    for model in (keras.Sequential([keras.Input((3,)), layer]), keras.Model(i := keras.Input((3,)), layer(i))):
        copy = rl.util.clone_model(model)
        assert copy is not model
        for ours, theirs in zip(model.get_weights(), copy.get_weights(), strict=True):
            assert (ours == theirs).all()


def test_keras_rl_copies_models_with_custom_layers():
    class Twice(keras.layers.Layer):
        def call(self, inputs):
            return 2 * inputs

    model = keras.Sequential([keras.Input((3,)), Twice()])
    copy = rl.util.clone_model(model, {"Twice": Twice})
    assert isinstance(copy.layers[-1], Twice)


def test_enough_entries_are_drawn_at_most_once():
    assert sorted(rl.memory.sample_batch_indexes(5, 37, 32)) == list(range(5, 37))


def test_messages_of_a_library_are_shown_if_it_fails(capfd):
    with quiet_stderr():
        os.write(2, b"an advertisement")
    with pytest.raises(ImportError), quiet_stderr():
        os.write(2, b"the reason")
        raise ImportError
    assert capfd.readouterr().err == "the reason"


def test_ctrl_c_during_an_import_shows_no_messages(capfd):
    with pytest.raises(KeyboardInterrupt), quiet_stderr():
        os.write(2, b"an advertisement")
        raise KeyboardInterrupt
    assert capfd.readouterr().err == ""


def test_windows_do_not_use_opengl():
    # Mesa's LLVM and the one in TensorFlow crash together; seen as a segmentation fault on an X server.
    assert os.environ["SDL_FRAMEBUFFER_ACCELERATION"] == "0"
