"""What TensorBoard is given, read back."""

import itertools
import shutil
import types

import keras
import numpy as np
import pytest
import rl.callbacks
import tensorflow as tf

import model as recipe
from kerasrl import Config, environments
from kerasrl.callbacks import FileLogger, TensorBoardLogger
from kerasrl.errors import WriteError
from kerasrl.storage import TrainingState


class Evaluate(rl.callbacks.Callback):
    """Evaluates at the end of every third episode."""

    def on_episode_end(self, episode, logs):
        logs["evaluation_reward"] = 10.0 * episode if episode % 3 == 0 else np.nan


def read(folder):
    """Return {tag: [(step, value)]} from all files in a folder, the oldest first."""
    found = {}
    for file in sorted(folder.iterdir()):
        for record in tf.data.TFRecordDataset(str(file)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                plain = tf.make_ndarray(value.tensor).item() if value.HasField("tensor") else value.simple_value
                found.setdefault(value.tag, []).append((event.step, plain))
    return found


def build_agent():
    keras.utils.set_random_seed(0)
    agent = recipe.build_agent(recipe.build_model(4, 2), 2, Config(nb_steps_warmup=30))
    agent.compile(keras.optimizers.Adam(1e-3), metrics=["mae"], jit_compile=False)  # compiling takes longest
    return agent


def fit(callbacks, nb_steps=400, **options):
    agent = build_agent()
    env = environments.make("CartPole-v0")
    history = agent.fit(env, nb_steps, callbacks=callbacks, verbose=0, seed=3, **options)
    return agent, history.history


@pytest.mark.long
def test_each_episode_is_written(tmp_path, monkeypatch):
    clock = types.SimpleNamespace(perf_counter=itertools.count(step=0.5).__next__)
    monkeypatch.setattr("kerasrl.callbacks.tensorboard.time", clock)
    log = FileLogger(str(tmp_path / "log.json"))
    _, history = fit([Evaluate(), log, TensorBoardLogger(str(tmp_path / "deep/board"))])
    found = read(tmp_path / "deep/board")
    steps = history["nb_steps"]
    assert len(steps) > 9
    assert found["episode/reward"] == list(zip(steps, history["episode_reward"], strict=True))
    assert found["episode/steps"] == list(zip(steps, history["nb_episode_steps"], strict=True))
    assert found["speed/steps_per_second"] == [(step, 2.0) for step in steps]
    assert found["evaluation/reward"] == [(step, 30.0 * i) for i, step in enumerate(steps[::3])]
    for tag, name in {"loss": "loss", "mae": "mae", "mean_q": "mean_q", "epsilon": "mean_eps"}.items():
        expected = [(step, value) for step, value in zip(steps, log.data[name], strict=True) if np.isfinite(value)]
        assert len(expected) < len(steps)  # the first episodes have no update
        assert [step for step, _ in found[f"train/{tag}"]] == [step for step, _ in expected]
        np.testing.assert_allclose([value for _, value in found[f"train/{tag}"]], [v for _, v in expected], rtol=1e-6)
    assert len(found) == 8


def test_settings_are_a_table(tmp_path):
    fit([TensorBoardLogger(str(tmp_path), {"env": "CartPole-v0", "seed": 3, "command": "a | b"})], nb_steps=20)
    table = "| setting | value |\n| --- | --- |\n| env | CartPole-v0 |\n| seed | 3 |\n| command | a \\| b |"
    assert [(step, text.decode()) for step, text in read(tmp_path)["settings"]] == [(0, table)]


@pytest.mark.long
def test_training_is_the_same_with_and_without(tmp_path):
    plain, _ = fit([])
    logged, _ = fit([TensorBoardLogger(str(tmp_path), {"seed": 3})])
    for ours, theirs in zip(plain.model.get_weights(), logged.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.long
def test_a_resumed_training_adds_to_the_folder(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    fit([TensorBoardLogger(str(whole))], nb_steps=600)
    for nb_steps, resume in ((300, False), (600, True)):
        state = TrainingState(tmp_path / "state", interval=100)
        fit([TensorBoardLogger(str(parts))], nb_steps=nb_steps, state=state, resume=resume)
    ours, theirs = read(parts), read(whole)
    assert len(list(parts.iterdir())) == 2
    for tag in ours.keys() - {"speed/steps_per_second"}:
        assert dict(ours[tag]) == dict(theirs[tag])  # what was done twice came out the same


@pytest.mark.long
def test_a_new_training_moves_earlier_curves_but_nothing_else(tmp_path):
    (tmp_path / "events.out.tfevents.1.of_another_program").touch()
    before = fit([TensorBoardLogger(str(tmp_path))], nb_steps=100)[1]["nb_steps"]
    steps = fit([TensorBoardLogger(str(tmp_path))], nb_steps=200)[1]["nb_steps"]
    assert len(list(tmp_path.iterdir())) == 3
    assert [step for step, _ in read(tmp_path / "earlier/1")["episode/reward"]] == before
    shutil.rmtree(tmp_path / "earlier")
    assert [step for step, _ in read(tmp_path)["episode/reward"]] == steps


@pytest.mark.long
def test_what_was_written_survives_a_failure(tmp_path):
    class Fail(rl.callbacks.Callback):
        def on_episode_begin(self, episode, logs):
            assert episode < 3

    with pytest.raises(AssertionError):
        fit([Fail(), TensorBoardLogger(str(tmp_path))])
    assert len(read(tmp_path)["episode/reward"]) == 3


@pytest.mark.long
def test_nothing_is_printed(tmp_path, capfd):
    fit([TensorBoardLogger(str(tmp_path), {"seed": 3})], nb_steps=50)
    assert capfd.readouterr() == ("", "")


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match="file"):
        fit([TensorBoardLogger(str(tmp_path / "file"))])
