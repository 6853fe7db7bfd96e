"""Callbacks of a user's own and of Keras: they work, or are refused before the training begins."""

import csv
import itertools
import json
from pathlib import Path

import keras
import numpy as np
import pytest
import rl.callbacks
from keras import layers

from kerasrl import DQNAgent, SequentialMemory
from kerasrl.callbacks import Evaluation, FileLogger, ModelIntervalCheckpoint, TensorBoardLogger

LENGTHS = [3, 5, 4, 4, 4, 4, 4, 4, 4, 4]


class Env:
    """Every step gives a reward of 1; episodes of the given lengths."""

    def __init__(self, lengths=LENGTHS):
        self.lengths = lengths
        self.nb_episodes = 0

    def reset(self, seed=None):
        self.left = self.lengths[self.nb_episodes % len(self.lengths)]
        self.nb_episodes += 1
        return np.full(2, self.left / 100, np.float32), {}

    def step(self, action):
        self.left -= 1
        return np.full(2, self.left / 100, np.float32), 1.0, self.left == 0, False, {}


def build_agent(optimizer="sgd", nb_steps_warmup=5):
    model = keras.Sequential([keras.Input((1, 2)), layers.Flatten(), layers.Dense(2)])
    memory = SequentialMemory(limit=100)
    agent = DQNAgent(model=model, nb_actions=2, memory=memory, nb_steps_warmup=nb_steps_warmup, batch_size=4)
    agent.compile(optimizer, jit_compile=False)
    return agent


def fit(*callbacks, nb_steps=40, optimizer="sgd", env=None):
    agent = build_agent(optimizer)
    history = agent.fit(env or Env(), nb_steps, callbacks=list(callbacks), verbose=0)
    return agent, history.history


# A user's own


class StopWhenSolved(rl.callbacks.Callback):
    def __init__(self, threshold=195.0, nb_episodes=20):
        super().__init__()
        self.threshold, self.nb_episodes, self.rewards = threshold, nb_episodes, []

    def on_episode_end(self, episode, logs):
        self.rewards = [*self.rewards, logs["episode_reward"]][-self.nb_episodes :]
        if len(self.rewards) == self.nb_episodes and np.mean(self.rewards) >= self.threshold:
            self.model.stop_training = True  # `model` is the agent


@pytest.mark.long
def test_the_readmes_callback_stops_the_training_when_the_mean_is_reached():
    _, history = fit(StopWhenSolved(7.5, 2), nb_steps=1_000, env=Env(list(range(1, 100))))
    assert history["episode_reward"] == list(range(1, 9))


def test_of_a_keras_callback_every_method_is_called():
    class Own(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            calls.append("train begins")

        def on_epoch_begin(self, epoch, logs=None):
            calls.append(f"epoch {epoch} begins")

        def on_train_batch_begin(self, batch, logs=None):
            calls.append(f"batch {batch} begins")

        def on_train_batch_end(self, batch, logs=None):
            calls.append(f"batch {batch} ends, {logs['reward']}")

        def on_epoch_end(self, epoch, logs=None):
            calls.append(f"epoch {epoch} ends, {logs['episode_reward']}")

        def on_train_end(self, logs=None):
            calls.append("train ends")

    calls = []
    fit(Own(), nb_steps=2, env=Env([2]))
    assert calls == [
        *["train begins", "epoch 0 begins", "batch 0 begins", "batch 0 ends, 1.0", "batch 1 begins"],
        *["batch 1 ends, 1.0", "epoch 0 ends, 2.0", "train ends"],
    ]


# Files


WRITING = {
    "FileLogger": FileLogger,
    "Keras-RL's FileLogger": rl.callbacks.FileLogger,
    "ModelIntervalCheckpoint": lambda path: ModelIntervalCheckpoint(path + "{step}", 7),
    "Keras-RL's ModelIntervalCheckpoint": lambda path: rl.callbacks.ModelIntervalCheckpoint(path + "{step}", 7),
    "Evaluation": lambda path: Evaluation(Env(), path, interval=7, nb_episodes=1),
    "CSVLogger": keras.callbacks.CSVLogger,
}


@pytest.mark.long
@pytest.mark.parametrize("name", WRITING)
def test_a_file_that_cannot_be_written_is_refused_before_the_first_step(tmp_path, name, refused):
    env = Env()
    with refused(tmp_path / "none"):
        fit(WRITING[name](str(tmp_path / "none/file")), env=env)
    assert env.nb_episodes == 0
    (tmp_path / "none").mkdir()
    fit(WRITING[name](str(tmp_path / "none/file")), nb_steps=8)
    assert list((tmp_path / "none").iterdir())


def test_a_folder_is_no_file_for_a_log(tmp_path, refused):
    with refused(tmp_path):
        fit(FileLogger(str(tmp_path)))


class InFolders(ModelIntervalCheckpoint):
    def on_step_end(self, step, logs):
        Path(self.filepath.format(step=self.total_steps + 1)).parent.mkdir(exist_ok=True)
        super().on_step_end(step, logs)


class Prepared(FileLogger):
    def on_train_begin(self, logs):
        Path(self.filepath).parent.mkdir()
        super().on_train_begin(logs)


@pytest.mark.long
def test_folders_that_a_callback_makes_itself_are_not_missed(tmp_path):
    by_step = ModelIntervalCheckpoint(str(tmp_path / "{step}/file"), 8)
    (tmp_path / "8").mkdir()
    fit(by_step, InFolders(str(tmp_path / "own/{step}"), 7), Prepared(str(tmp_path / "new/log.json")), nb_steps=8)
    assert all((tmp_path / name).is_file() for name in ("8/file", "own/7", "new/log.json"))


def test_a_log_of_a_test_has_what_a_test_has(tmp_path):
    agent, log = build_agent(), FileLogger(str(tmp_path / "log.json"))
    agent.test(Env(), 2, callbacks=[log], visualize=False, verbose=0)
    expected = {"loss": [None] * 2, "mean_q": [None] * 2, "episode_reward": [3.0, 5.0], "nb_steps": [3, 5]}
    written = json.loads((tmp_path / "log.json").read_text())
    assert expected.items() <= written.items()
    assert list(written) == [*expected, "episode", "duration"]


@pytest.mark.long
def test_a_log_goes_on_in_a_test_and_in_another_training(tmp_path):
    agent, log = build_agent(nb_steps_warmup=1), FileLogger(str(tmp_path / "log.json"))
    agent.fit(Env(), 8, callbacks=[log], verbose=0)
    agent.test(Env(), 1, callbacks=[log], visualize=False, verbose=0)
    agent.fit(Env(), 3, callbacks=[log], verbose=0)
    written = json.loads((tmp_path / "log.json").read_text())
    assert written["episode_reward"] == [3.0, 5.0, 3.0, 3.0]
    assert written["nb_episode_steps"] == [3, 5, None, 3]
    assert [loss is None for loss in written["loss"]] == [False, False, True, False]


@pytest.mark.long
def test_curves_for_tensorboard_are_a_trainings(tmp_path, refused):
    curves = TensorBoardLogger(str(tmp_path))
    agent, _ = fit(curves)
    before = sorted(tmp_path.iterdir())
    with refused("FileLogger"):
        agent.test(Env(), 1, callbacks=[curves], visualize=False, verbose=0)
    assert sorted(tmp_path.iterdir()) == before


# Keras's that work


def test_lambda_callback():
    calls = []
    on_end = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: calls.append(logs["episode_reward"]),
        on_train_batch_end=lambda batch, logs: calls.append(batch),
    )
    fit(on_end, nb_steps=3)
    assert calls == [0, 1, 2, 3.0]


def test_the_functions_of_a_lambda_callback_may_name_their_arguments_as_they_like():
    calls = []
    names = ["train_begin", "train_end"]
    alone = {f"on_{name}": lambda log: calls.append(len(log)) for name in names}
    names = ["epoch_begin", "epoch_end", "train_batch_begin", "train_batch_end"]
    both = {f"on_{name}": lambda e, log, name=name: calls.append((name, e, "reward" in log)) for name in names}
    fit(keras.callbacks.LambdaCallback(**alone, **both), nb_steps=1, env=Env([1]))
    batch = [("train_batch_begin", 0, False), ("train_batch_end", 0, True)]
    assert calls == [0, ("epoch_begin", 0, False), *batch, ("epoch_end", 0, False), 1]


def test_early_stopping():
    callback = keras.callbacks.EarlyStopping(monitor="episode_reward", mode="max", patience=3)
    _, history = fit(callback)
    assert history["episode_reward"] == LENGTHS[:5]


@pytest.mark.long
def test_csv_logger(tmp_path):
    _, history = fit(keras.callbacks.CSVLogger(tmp_path / "log.csv"))
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [float(row["episode_reward"]) for row in rows] == history["episode_reward"]


@pytest.mark.long
def test_model_checkpoint(tmp_path):
    name = str(tmp_path / "{episode_reward}.weights.h5")
    callback = keras.callbacks.ModelCheckpoint(
        name, monitor="episode_reward", mode="max", save_best_only=True, save_weights_only=True
    )
    agent, _ = fit(callback)
    assert {file.name for file in tmp_path.iterdir()} == {"3.0.weights.h5", "5.0.weights.h5"}
    final = agent.model.get_weights()
    agent.load_weights(tmp_path / "5.0.weights.h5")
    assert not np.array_equal(agent.model.get_weights()[0], final[0])


@pytest.mark.long
def test_model_checkpoint_every_so_many_steps(tmp_path):
    name = str(tmp_path / "{batch}.weights.h5")
    agent, _ = fit(keras.callbacks.ModelCheckpoint(name, save_weights_only=True, save_freq=20), env=Env([100]))
    assert {file.name for file in tmp_path.iterdir()} == {"20.weights.h5", "40.weights.h5"}
    final = agent.model.get_weights()
    agent.load_weights(tmp_path / "40.weights.h5")
    np.testing.assert_array_equal(agent.model.get_weights()[0], final[0])


# Keras converts its own variables in a way that NumPy 2 warns about.
keras_warns = pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")


@pytest.mark.long
@keras_warns
def test_learning_rate_scheduler(tmp_path):
    log = FileLogger(str(tmp_path / "log.json"))
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.01 / 2**epoch)
    agent, _ = fit(scheduler, log)
    assert json.loads((tmp_path / "log.json").read_text())["learning_rate"] == [
        pytest.approx(0.01 / 2**k) for k in range(10)
    ]
    assert float(agent.optimizer.learning_rate.numpy()) == pytest.approx(0.01 / 2**9)


@pytest.mark.long
@keras_warns
def test_reduce_lr_on_plateau():
    callback = keras.callbacks.ReduceLROnPlateau(
        monitor="episode_reward", mode="max", factor=0.5, patience=4, min_delta=0.1
    )
    agent, _ = fit(callback)  # the best is episode 1: 5 and 9 reduce
    assert float(agent.optimizer.learning_rate.numpy()) == pytest.approx(0.01 / 4)


@pytest.mark.long
@pytest.mark.parametrize("clipnorm", [None, 1e9])  # all weights in a vector, a variable for each
def test_a_learning_rate_that_a_callback_sets_takes_effect(clipnorm):
    class Freeze(rl.callbacks.Callback):
        def on_episode_begin(self, episode, logs):
            weights.append(self.model.model.get_weights()[0])
            if episode == 5:
                self.model.optimizer.learning_rate = 0.0

    weights = []
    fit(Freeze(), optimizer=keras.optimizers.SGD(0.01, clipnorm=clipnorm))
    changes = [np.abs(after - before).max() > 0 for before, after in itertools.pairwise(weights[1:])]
    assert changes == [True] * 4 + [False] * (len(changes) - 4)


# What is refused


class OwnTensorBoard(keras.callbacks.TensorBoard):
    pass


REFUSED = {
    "TensorBoard": lambda: OwnTensorBoard(),
    "BackupAndRestore": lambda: keras.callbacks.BackupAndRestore("b"),
    "ProgbarLogger": keras.callbacks.ProgbarLogger,
    "SwapEMAWeights": keras.callbacks.SwapEMAWeights,
    "TerminateOnNaN": keras.callbacks.TerminateOnNaN,
    "ModelCheckpoint": lambda: keras.callbacks.ModelCheckpoint("x.keras"),
    "EarlyStopping": lambda: keras.callbacks.EarlyStopping("episode_reward", mode="max", restore_best_weights=True),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_a_keras_model_is_refused_before_the_first_step(name, tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    env = Env()
    with refused(name):
        fit(REFUSED[name](), env=env)
    assert env.nb_episodes == 0
    assert not list(tmp_path.iterdir())


def a_function(episode, logs):
    pass


@pytest.mark.parametrize("callbacks", [[a_function], [None], [StopWhenSolved], StopWhenSolved()])
@pytest.mark.parametrize("method", ["fit", "test"])
def test_what_is_not_a_callback_is_refused(callbacks, method, refused):
    with refused("callback"):
        getattr(build_agent(), method)(Env(), 5, callbacks=callbacks)
