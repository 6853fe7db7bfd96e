"""Figures besides the agent's: numbers in an episode's last `info`, callbacks' own in logs, the last evaluation."""

import json

import gym
import keras
import numpy as np
import pytest
import rl.callbacks
import tensorflow as tf
from keras import layers

from kerasrl import Config, DQNAgent, FileLogger, SequentialMemory, train
from kerasrl.callbacks import TensorBoardLogger


class Telling(gym.Env):
    """Episodes of three steps, whose `info` says what a user may want to see."""

    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)
    nb_episodes = 0

    def reset(self, seed=None, options=None):
        self.nb_steps = 0
        self.nb_episodes += 1
        return np.zeros(2, np.float32), {"left": 3}

    def step(self, action):
        self.nb_steps += 1
        info = {"left": np.float32(3 - self.nb_steps), "name": "x", "all": np.zeros(3), "loss": 5.0}
        if self.nb_steps == 3:
            info["is_success"] = self.nb_episodes % 2 == 0
        return np.zeros(2, np.float32), 1.0, self.nb_steps == 3, False, info


class Adding(rl.callbacks.Callback):
    """Puts a number into the logs of every second episode, and keeps those of the training's end."""

    def on_episode_end(self, episode, logs):
        if episode % 2:
            logs["mine"] = np.float32(episode)

    def on_train_end(self, logs):
        self.at_the_end = dict(logs)


def fit(tmp_path, nb_steps=12, after=(), **options):
    model = keras.Sequential([keras.Input((1, 2)), layers.Flatten(), layers.Dense(2)])
    agent = DQNAgent(model, nb_actions=2, memory=SequentialMemory(50), nb_steps_warmup=10**9)
    agent.compile("sgd")
    loggers = [FileLogger(str(tmp_path / "log.json")), TensorBoardLogger(str(tmp_path / "board"))]
    history = agent.fit(Telling(), nb_steps, callbacks=[*loggers, *after], verbose=0, **options).history
    (file,) = (tmp_path / "board").iterdir()
    events = [tf.compat.v1.Event.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(file))]
    board = {}
    for event in events:
        for value in event.summary.value:
            board.setdefault(value.tag, []).append((event.step, value.simple_value))
    return json.loads((tmp_path / "log.json").read_text()), board, history


def test_numbers_in_the_last_info_and_those_of_later_callbacks_are_logged(tmp_path):
    log, board, history = fit(tmp_path, after=[Adding()])
    assert log["is_success"] == [0, 1, 0, 1] and log["left"] == [0.0] * 4
    assert log["mine"] == [None, 1.0, None, 3.0]
    assert log["loss"] == [None] * 4  # the agent's own
    assert not {"name", "all"} & set(log)
    keras_rls = ["loss", "mean_q", "episode_reward", "nb_episode_steps", "nb_steps"]
    assert [name for name in log if name not in ("is_success", "left", "mine")] == [*keras_rls, "episode", "duration"]
    assert board["episode/is_success"] == [(3, 0), (6, 1), (9, 0), (12, 1)]
    assert board["episode/mine"] == [(6, 1), (12, 3)]
    assert history["mine"] == [1.0, 3.0]


def test_it_is_the_last_info_where_actions_are_repeated_and_others_play_in_between(tmp_path):
    class Playing(rl.callbacks.Callback):
        def on_episode_end(self, episode, logs):
            self.model.test(Telling(), 2, visualize=False, verbose=0, nb_max_episode_steps=1)

    log, board, _ = fit(tmp_path, 4, after=[Playing()], action_repetition=2)
    assert log["left"] == [0.0] * 2 and log["is_success"] == [0, 1]
    assert [value for _, value in board["episode/left"]] == [0.0] * 2


def test_hundreds_of_numbers_are_cut(tmp_path):
    class Chatty(Telling):
        def step(self, action):
            return (*super().step(action)[:4], {f"n{k}": k for k in range(500)})

    model = keras.Sequential([keras.Input((1, 2)), layers.Flatten(), layers.Dense(2)])
    agent = DQNAgent(model, nb_actions=2, memory=SequentialMemory(50), nb_steps_warmup=10**9)
    agent.compile("sgd")
    agent.fit(Chatty(), 3, callbacks=[FileLogger(str(tmp_path / "log.json"))], verbose=0)
    log = json.loads((tmp_path / "log.json").read_text())
    assert "n99" in log and "n100" not in log


@pytest.mark.long
def test_every_callback_is_told_the_last_evaluation(tmp_path):
    folders = {"checkpoint_dir": str(tmp_path / "c"), "log_dir": str(tmp_path / "l")}
    config = Config(nb_steps=25, eval_interval=10, eval_episodes=1, seed=1, verbose=0, jit_compile=False, **folders)
    adding = Adding()
    trained = train(config, env=Telling(), callbacks=[adding])
    assert trained.last == (3.0, 25)
    assert (adding.at_the_end["evaluation_reward"], adding.at_the_end["nb_steps"]) == (3.0, 25)
    assert trained.history["evaluation_reward"][-1] == 3.0
    log = json.loads(trained.files.log.read_text())
    assert log["evaluation_reward"][-1] == 3.0 and log["mine"][1] == 1.0
