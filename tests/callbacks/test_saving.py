"""The log and the checkpoints that train.py's callbacks write."""

import json

import numpy as np
import pytest
import rl.callbacks

from callbacks import build_callbacks
from kerasrl.callbacks import FileLogger

KEYS = ["loss", "mean_q", "episode_reward", "nb_episode_steps", "nb_steps", "episode", "duration"]


class Agent:
    metrics_names = ("loss", "mean_q")


def strict(path):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


def log_episodes(logger, numbers, metrics=((1.0, 2.0), (3.0, np.nan))):
    for episode in numbers:
        logger.on_episode_begin(episode, logs={})
        for values in metrics:
            logger.on_step_end(0, logs={"episode": episode, "metrics": list(values)})
        logger.on_episode_end(
            episode, logs={"episode_reward": float(episode), "nb_episode_steps": 2, "nb_steps": 2 * episode}
        )


def started(logger):
    logger.set_model(Agent())
    logger.on_train_begin(logs={})
    return logger


def test_log_is_keras_rls_but_strict_json(tmp_path):
    files = []
    for kind in (FileLogger, rl.callbacks.FileLogger):
        files.append(tmp_path / f"{kind.__module__}.json")
        logger = started(kind(str(files[-1])))
        log_episodes(logger, range(3))
        logger.on_train_end(logs={})
    ours, theirs = strict(files[0]), json.loads(files[1].read_text())
    assert list(ours) == list(theirs) == KEYS
    for key in KEYS[:-1]:
        assert ours[key] == theirs[key]
    assert ours["loss"] == [2.0] * 3


def test_not_a_number_becomes_null(tmp_path):
    logger = started(FileLogger(str(tmp_path / "log.json")))
    log_episodes(logger, range(1), metrics=[(np.nan, np.inf)])
    logger.on_train_end(logs={})
    assert (strict(tmp_path / "log.json")["loss"], strict(tmp_path / "log.json")["mean_q"]) == ([None], [None])


def test_log_is_written_every_interval_and_read_at_any_moment(tmp_path):
    logger = started(FileLogger(str(tmp_path / "log.json"), interval=10))
    for episode in range(35):
        log_episodes(logger, [episode])
        nb_logged = len(strict(tmp_path / "log.json")["loss"]) if (tmp_path / "log.json").exists() else 0
        assert nb_logged == (episode + 1) // 10 * 10
    logger.on_train_end(logs={})
    assert {len(values) for values in strict(tmp_path / "log.json").values()} == {35}


@pytest.mark.long
def test_an_episode_costs_the_same_however_long_the_run(tmp_path, monkeypatch):
    def write(name, content):
        nonlocal nb_bytes
        nb_bytes += len(content)

    monkeypatch.setattr("kerasrl.callbacks.saving.write_whole", write)
    logger, written = started(FileLogger(str(tmp_path / "log.json"), interval=100)), []
    for start in range(0, 20_000, 4_000):
        nb_bytes = 0
        log_episodes(logger, range(start, start + 4_000), metrics=[(1.0, 2.0)])
        written.append(nb_bytes)
    assert 0 < written[-1] < 2 * written[0]  # Keras-RL writes nine times as much in the last fifth


@pytest.mark.parametrize("folder", ["plain", "with {braces} and spaces"])
def test_file_names_are_the_tutorials(tmp_path, folder):
    checkpoint, log = build_callbacks("CartPole-v0", str(tmp_path / folder), str(tmp_path / "logs"))
    assert checkpoint.filepath.format(step=5000) == str(tmp_path / folder / "dqn_CartPole-v0_weights_5000.h5f")
    assert (checkpoint.interval, log.interval) == (5000, 100)
    assert log.filepath == str(tmp_path / "logs" / "dqn_CartPole-v0_log.json")
