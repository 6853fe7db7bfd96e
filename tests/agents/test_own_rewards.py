"""The environment's own rewards, where a processor makes others of them: logs, evaluations, lines, TensorBoard."""

import json

import gym
import keras
import numpy as np
import pytest
import rl.callbacks
import rl.core
import tensorflow as tf
from keras import layers

from kerasrl import Config, DQNAgent, FileLogger, SequentialMemory, train
from kerasrl.callbacks import Evaluation, Film, TensorBoardLogger
from kerasrl.environments import EnvironmentAdapter
from kerasrl.environments.processors import AtariProcessor, OneHotProcessor
from kerasrl.environments.rewards import changes_rewards
from kerasrl.environments.video import VideoFile

REWARDS = (3.0, -0.5, 10.0, 0.25)  # of an episode's steps; clipped to 1, -0.5, 1 and 0.25


class Paying(gym.Env):
    """Pays in each episode what it is made with, or that, whatever is done."""

    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, rewards=REWARDS):
        self.rewards = rewards

    def reset(self, seed=None, options=None):
        self.nb_steps = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.nb_steps += 1
        done = self.nb_steps == len(self.rewards)
        return np.full(2, self.nb_steps / 4, np.float32), self.rewards[self.nb_steps - 1], done, False, {}


class Clipping(rl.core.Processor):
    def process_reward(self, reward):
        return float(np.clip(reward, -1, 1))


class Looking(rl.core.Processor):
    def process_observation(self, observation):
        return observation / 2


def build_agent(processor=None):
    model = keras.Sequential([keras.Input((1, 2)), layers.Flatten(), layers.Dense(2)])
    agent = DQNAgent(model, nb_actions=2, memory=SequentialMemory(50), processor=processor, nb_steps_warmup=10**9)
    agent.compile("sgd")
    return agent


class Seen(rl.callbacks.Callback):
    """Keeps both rewards of each step, and the logs of each episode."""

    def __init__(self):
        super().__init__()
        self.steps, self.episodes = [], []

    def on_step_end(self, step, logs):
        self.steps.append((logs["reward"], logs.get("environment_reward")))

    def on_episode_end(self, episode, logs):
        self.episodes.append(dict(logs))


def fitted(processor, nb_steps=4, env=None, **options):
    seen, agent = Seen(), build_agent(processor)
    agent.fit(env or Paying(), nb_steps, callbacks=[seen], verbose=0, **options)
    return seen, agent


def test_logs_have_the_environments_own_rewards_after_keras_rls(tmp_path):
    agent, seen, log = build_agent(Clipping()), Seen(), FileLogger(str(tmp_path / "log.json"))
    history = agent.fit(Paying(), 8, callbacks=[seen, log], verbose=0).history
    assert seen.steps == [(1.0, 3.0), (-0.5, -0.5), (1.0, 10.0), (0.25, 0.25)] * 2
    both = {"episode_reward": 1.75, "nb_episode_steps": 4, "nb_steps": 4, "environment_reward": 12.75}
    assert list(seen.episodes[0].items()) == list(both.items())
    assert history["environment_reward"] == [12.75] * 2 and history["episode_reward"] == [1.75] * 2
    written = json.loads((tmp_path / "log.json").read_text())
    assert list(written) == ["loss", "mean_q", *both, "episode", "duration"]
    assert written["environment_reward"] == [12.75] * 2
    assert [float(reward) for reward in agent.memory.rewards[:4]] == [1.0, -0.5, 1.0, 0.25]  # what is learned from
    tested = agent.test(Paying(), 1, visualize=False, verbose=0).history
    assert tested == {"episode_reward": [1.75], "nb_steps": [4], "environment_reward": [12.75]}


@pytest.mark.long
def test_a_repeated_actions_rewards_are_summed_and_start_steps_do_not_count():
    seen, _ = fitted(Clipping(), 2, action_repetition=3)
    assert seen.steps == [(1.5, 12.5), (0.25, 0.25)]
    seen, _ = fitted(Clipping(), 12, nb_max_start_steps=4, seed=2)
    own = [logs["environment_reward"] for logs in seen.episodes]
    assert own == [sum(REWARDS[-k:]) for k in (logs["nb_episode_steps"] for logs in seen.episodes)]
    assert len(set(own)) > 1


def test_a_step_of_ones_own_that_changes_the_reward_in_its_place():
    class Scaling(rl.core.Processor):
        def process_step(self, observation, reward, done, info):
            reward *= 0.5
            return observation, reward, done, info

    seen, _ = fitted(Scaling(), env=Paying([np.array([reward], np.float32) for reward in REWARDS]))
    assert seen.steps == [(reward / 2, reward) for reward in REWARDS]


@pytest.mark.parametrize("processor", [None, Looking(), OneHotProcessor(gym.spaces.Discrete(3))])
def test_where_no_reward_can_be_another_logs_are_keras_rls(processor):
    assert not changes_rewards(processor)
    if not isinstance(processor, OneHotProcessor):
        seen, _ = fitted(processor)
        assert seen.steps == [(reward, None) for reward in REWARDS]
        assert list(seen.episodes[0]) == ["episode_reward", "nb_episode_steps", "nb_steps"]


def test_ataris_processor_changes_rewards():
    assert changes_rewards(AtariProcessor())


@pytest.mark.parametrize("reward", [[3.0, 4.0], None, float("nan"), 10**400])
def test_what_only_the_processor_makes_a_number_counts_as_that(reward):
    class Valuing(rl.core.Processor):
        def process_reward(self, reward):
            return 7.0

    seen, _ = fitted(Valuing(), env=Paying([reward] * 2))
    assert seen.steps == [(7.0, 7.0)] * 4


@pytest.mark.long
def test_a_clipped_task_is_solved_by_its_own_rewards(tmp_path, capsys):
    folders = {"checkpoint_dir": str(tmp_path), "log_dir": str(tmp_path)}
    config = Config(nb_steps=200, eval_interval=12, eval_episodes=2, stop_at=12.5, seed=1, **folders)
    trained = train(config, env=Paying(), processor=Clipping())
    assert trained.best == trained.last == (12.75, 12)
    assert trained.history["evaluation_reward"][-1] == 12.75
    assert "solved: mean reward of 100 greedy episodes 12.8, at least 12.5\n" in capsys.readouterr().out
    assert trained.play(episodes=2) == [12.75] * 2
    out = capsys.readouterr().out
    assert "Episode 1: reward: 12.750, steps: 4, after the processor: 1.750\n" in out
    assert "mean 12.8, standard deviation 0.0, minimum 12.8, episodes 2; after the processor: mean 1.75\n" in out


def test_best_weights_of_an_earlier_version_are_not_compared_with(tmp_path):
    for processor, best in ((Clipping(), None), (Looking(), (1.75, 4))):
        evaluation = Evaluation(Paying(), tmp_path / "best", interval=4, nb_episodes=1)
        evaluation.set_model(build_agent(processor))
        state = {**evaluation.get_state(), "best": (1.75, 4), "best_weights": evaluation.model.get_weights()}
        del state["rewards"]  # as it was then
        evaluation.set_state(state)
        assert evaluation.best == best


@pytest.mark.long
def test_lines_show_both(capsys):
    build_agent(Clipping()).fit(Paying(), 8, verbose=1, log_interval=8)
    assert "mean reward of the last 2 episodes 12.8 (after the processor 1.8), " in capsys.readouterr().out
    build_agent(Clipping()).fit(Paying(), 4, verbose=2)
    out = capsys.readouterr().out
    assert "episode reward: 12.750, mean reward:  3.188 [-0.500, 10.000]" in out
    assert "\nafter the processor: episode reward: 1.750\n" in out
    build_agent(Looking()).fit(Paying(), 4, verbose=1)
    assert "after the processor" not in capsys.readouterr().out


class Drawn(Paying):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012
    render_mode = "rgb_array"

    def render(self):
        return np.zeros((24, 24, 3), np.uint8)


def test_films_and_windows_show_the_environments_own(tmp_path, monkeypatch):
    told, env = [], Drawn()
    monkeypatch.setattr(VideoFile, "add", lambda self, picture, text, *_: told.append(text))
    monkeypatch.setattr(VideoFile, "close", VideoFile.discard)
    monkeypatch.setattr(EnvironmentAdapter, "tell", lambda self, episode, reward: told.append(reward))
    film = Film(tmp_path / "film.gif", env)
    build_agent(Clipping()).test(env, 1, callbacks=[film], visualize=False, verbose=0)
    assert [text for text in told if isinstance(text, float)] == [0, 3, 2.5, 12.5, 12.75]
    assert [text for text in told if isinstance(text, str)][-1].endswith("step 4   reward 12.75")


def test_tensorboard_shows_both(tmp_path):
    build_agent(Clipping()).fit(Paying(), 4, callbacks=[TensorBoardLogger(str(tmp_path))], verbose=0)
    (file,) = tmp_path.iterdir()
    events = [tf.compat.v1.Event.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(file))]
    found = {value.tag: value.simple_value for event in events for value in event.summary.value}
    assert (found["episode/reward"], found["episode/processed_reward"]) == (12.75, 1.75)
