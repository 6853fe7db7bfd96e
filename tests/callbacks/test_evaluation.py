"""Evaluations during training: the best weights, the log, the end of a solved training, films, and their cost."""

import json
import random
import re
import threading
import zlib

import gym
import numpy as np
import pytest
import rl.callbacks
import rl.core
from keras.utils import set_random_seed
from PIL import Image
from rl.policy import EpsGreedyQPolicy

from kerasrl import Config, environments, train
from kerasrl.callbacks import Evaluation
from kerasrl.callbacks import evaluation as evaluation_module
from kerasrl.cli.door import run as run_command
from kerasrl.config.commands import PlayConfig
from kerasrl.environments import video
from kerasrl.errors import DivergenceError, Note
from kerasrl.storage import TrainingState, weights
from kerasrl.tools.play import run as play
from model import build_agent, build_model


class Scripted:
    """An agent whose tests score the next of `scores`."""

    def __init__(self, *scores):
        self.scores, self.saved, self.step, self.stop_training, self.tests = list(scores), [], 0, False, []
        self.model, self.metadata = build_model(4, 2, (2,)), {"env": "CartPole-v0"}

    def test(self, env, nb_episodes, seed=None, **options):
        self.tests.append((nb_episodes, seed))
        episodes = {"episode_reward": [self.scores.pop(0)] * nb_episodes, "nb_steps": [9] * nb_episodes}
        return type("History", (), {"history": episodes})

    def get_weights(self):
        return weights.arrays(self.model)

    def write_weights(self, filepath, values):
        weights.write(filepath, self.model, self.metadata, values)

    def save_weights(self, filepath, overwrite):
        self.saved.append(self.step)
        filepath.write_bytes(str(self.step).encode())


def evaluated(tmp_path, *scores, steps=range(10, 1000, 10), **options):
    """Run an evaluation every 10 steps at episodes' ends until the scores are used up; return callback, agent, logs."""
    callback = Evaluation(None, tmp_path / "best", **{"interval": 10, "nb_episodes": 3, "seed": 5, **options})
    agent = Scripted(*scores)
    callback.set_model(agent)
    callback.on_train_begin()
    logs = []
    for episode, agent.step in enumerate(steps):
        if not agent.scores or agent.stop_training:
            break
        logs.append({"nb_steps": agent.step})
        callback.on_episode_end(episode, logs[-1])
    return callback, agent, [log["evaluation_reward"] for log in logs]


def test_the_best_weights_are_kept_and_the_later_of_equals(tmp_path):
    callback, agent, rewards = evaluated(tmp_path, 1.0, 3.0, 2.0, 3.0, 1.0)
    assert agent.saved == [10, 20, 40]
    assert (callback.best, callback.last) == ((3.0, 40), (1.0, 50))
    assert rewards == [1.0, 3.0, 2.0, 3.0, 1.0]
    assert agent.tests == [(3, 5)] * 5


def test_several_of_the_best_are_remembered_in_order_and_through_a_resume(tmp_path):
    callback, agent, _ = evaluated(tmp_path, 1.0, 3.0, 2.0, 3.0, 1.0, 2.0, nb_kept=3)
    other = Evaluation(None, tmp_path / "best", interval=10, nb_episodes=3, nb_kept=3)
    other.set_model(agent)
    other.set_state(callback.get_state())
    for one in (callback, other):
        assert [(kept.reward, kept.step) for kept in one.kept] == [(3.0, 40), (3.0, 20), (2.0, 60)]
    assert agent.saved == [10, 20, 40]


def test_what_solved_it_is_remembered_once(tmp_path):
    callback, _, _ = evaluated(tmp_path, 9.0, 4.0, 6.0, 5.5, solved_at=5.0, nb_kept=3)
    assert [(kept.reward, kept.step) for kept in callback.kept] == [(5.5, 20), (9.0, 10)]


def test_an_evaluation_waits_for_the_end_of_an_episode_and_missed_ones_are_not_made_up_for(tmp_path):
    _, _, rewards = evaluated(tmp_path, 1.0, 2.0, steps=[4, 9, 12, 19, 45, 49, 51])
    np.testing.assert_array_equal(rewards, [np.nan, np.nan, 1.0, np.nan, 2.0])


def test_solved_needs_100_other_episodes(tmp_path):
    callback, agent, _ = evaluated(tmp_path, 6.0, 4.0, 7.0, 5.5, 9.0, solved_at=5.0)
    assert [nb for nb, _ in agent.tests] == [3, 100, 3, 100]
    assert agent.tests[1][1] not in (None, 5)
    assert (callback.solved, callback.best, agent.stop_training) == ((5.5, 20), (5.5, 20), True)


def test_a_lucky_evaluation_does_not_hide_that_it_is_solved_later(tmp_path):
    callback, agent, _ = evaluated(tmp_path, 9.0, 4.0, 6.0, 5.5, solved_at=5.0)
    assert [nb for nb, _ in agent.tests] == [3, 100, 3, 100]
    assert (callback.solved, callback.best, callback.last) == ((5.5, 20), (5.5, 20), (5.5, 20))


def test_not_solved_goes_on(tmp_path):
    callback, agent, _ = evaluated(tmp_path, 6.0, 4.0, 4.5, solved_at=5.0)
    assert (callback.solved, callback.best, agent.stop_training) == (None, (6.0, 10), False)


def test_the_last_weights_are_evaluated_once(tmp_path):
    callback, agent, _ = evaluated(tmp_path, 1.0, 2.0)
    agent.step, agent.scores = 23, [5.0]
    callback.on_train_end({"did_abort": True})
    assert callback.last == (2.0, 20)
    logs = {"did_abort": False}
    callback.on_train_end(logs)
    assert (logs["evaluation_reward"], logs["nb_steps"]) == (5.0, 23)
    callback.on_train_end({})
    assert (callback.best, callback.last, agent.saved[-1]) == ((5.0, 23), (5.0, 23), 23)


def test_a_resume_goes_on_with_the_best_so_far(tmp_path):
    callback, agent, _ = evaluated(tmp_path, 3.0, 1.0)
    state, best = callback.get_state(), agent.model.get_weights()
    agent.model.set_weights([array + 1 for array in best])
    agent.step, agent.scores = 30, [9.0]
    callback.on_train_end({})
    other = Evaluation(None, tmp_path / "best", interval=10, nb_episodes=3)
    other.set_model(agent)
    other.set_state(state)
    other.on_train_begin()
    assert (other.best, other.last) == ((3.0, 10), (1.0, 20))
    kept = weights.read(tmp_path / "best")
    found = [array for layer in kept.layers for array in layer.values()]
    assert all((one == other).all() for one, other in zip(found, best, strict=True))
    assert kept.metadata == {"env": "CartPole-v0"}
    logs = {"nb_steps": 25}
    other.on_episode_end(3, logs)
    assert np.isnan(logs["evaluation_reward"])


class Endless(gym.Env):
    """Ends an episode only when action 1 is taken, for which the reward is 0."""

    observation_space = gym.spaces.Box(-1, 1, (1,))
    action_space = gym.spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        self.nb_steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.nb_steps += 1
        return np.zeros(1, np.float32), float(action == 0), action == 1, False, {}


def greedy(action):
    """An agent that always takes one of two actions."""
    dqn = build_agent(build_model(1, 2, (1,)), 2)
    dqn.model.set_weights([*(np.zeros_like(w) for w in dqn.model.get_weights()[:-1]), np.eye(2)[action]])
    return dqn


@pytest.mark.parametrize("library", ["gym", "gymnasium"])
def test_a_time_limit_set_by_hand_counts(tmp_path, monkeypatch, library):
    monkeypatch.setattr(evaluation_module, "_LONGEST_EPISODE", 50)
    module = pytest.importorskip(library)
    own = {name: vars(Endless)[name] for name in ("observation_space", "action_space", "reset", "step")}
    env = module.wrappers.TimeLimit(type("Own", (module.Env,), own)(), 80)
    callback = Evaluation(
        module.wrappers.OrderEnforcing(env), tmp_path / "best.h5f", interval=10, nb_episodes=1, seed=1
    )
    callback.set_model(greedy(0))
    assert callback.evaluate(0) == 80


def fitted(callbacks, nb_steps=700, env_name="CartPole-v0"):
    set_random_seed(3)
    dqn = build_agent(build_model(4, 2), 2, Config(nb_steps_warmup=20))
    dqn.fit(environments.make(env_name), nb_steps, callbacks=callbacks, verbose=0, seed=3)
    return dqn


@pytest.mark.long
def test_a_greedy_policy_that_never_ends_an_episode_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation_module, "_LONGEST_EPISODE", 50)
    callback = Evaluation(Endless(), tmp_path / "best.h5f", interval=10, nb_episodes=2, seed=1)
    set_random_seed(0)
    dqn = build_agent(build_model(1, 2), 2, Config(nb_steps_warmup=5))
    with pytest.warns(Note, match="an evaluation's episode was ended after 50 steps; set one with") as notes:
        dqn.fit(Endless(), 300, callbacks=[callback], verbose=0, seed=1)
    assert len(notes) == 1
    assert callback.last[0] == 50
    limited = Evaluation(Endless(), tmp_path / "best.h5f", 10, 2, seed=1, nb_max_episode_steps=7)
    limited.set_model(dqn)
    assert limited.evaluate(300) == 7


@pytest.mark.long
def test_the_training_is_as_without_evaluations(tmp_path):
    callback = Evaluation(environments.make("CartPole-v0"), tmp_path / "best.h5f", interval=100, nb_episodes=2, seed=1)
    with_evaluations, without = fitted([callback]), fitted([])
    for one, other in zip(with_evaluations.model.get_weights(), without.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert callback.best is not None


@pytest.mark.long
def test_a_processors_statistics_come_from_the_training_only(tmp_path):
    class Counting(rl.core.Processor):
        def __init__(self):
            self.seen = np.zeros(1)

        def process_observation(self, observation):
            self.seen += 1
            return observation

    def seen(callbacks):
        set_random_seed(3)
        dqn = build_agent(build_model(4, 2), 2, Config(), processor := Counting())
        dqn.fit(environments.make("CartPole-v0"), 300, callbacks=callbacks, verbose=0, seed=3)
        return processor.seen

    callback = Evaluation(environments.make("CartPole-v0"), tmp_path / "best.h5f", interval=100, nb_episodes=2, seed=1)
    assert seen([callback]) == seen([])


class Sharing(rl.core.Processor):
    """Holds its environment, a list of the caller's, and counts; draws from Python's `random`."""

    def __init__(self, env, shared):
        self.env, self.shared, self.same, self.lock = env, shared, shared, threading.Lock()
        self.itself = [self]

    def process_observation(self, observation):
        assert self.same is self.shared and self.itself[0] is self
        self.shared.append(random.random())
        self.made = len(self.shared)
        return observation


class Counting(EpsGreedyQPolicy):
    def __init__(self):
        super().__init__(0.2)
        self.counts = np.zeros(2)

    def select_action(self, q_values):
        self.counts[0] += 1
        return super().select_action(q_values) if self.counts[0] % 3 else 0


@pytest.mark.long
def test_an_evaluation_leaves_processor_policy_and_random_as_they_were(tmp_path):
    def run(callbacks):
        set_random_seed(3)
        env, shared, policy = environments.make("CartPole-v0"), [], Counting()
        processor, counts = Sharing(env, shared), policy.counts
        dqn = build_agent(build_model(4, 2), 2, Config(), processor)
        dqn.policy = dqn.test_policy = policy
        dqn.fit(env, 300, callbacks=callbacks, verbose=0, seed=3)
        assert processor.env is env and processor.shared is shared is processor.same
        assert policy.counts is counts
        return shared, policy.counts[0], processor.made, random.random()

    callback = Evaluation(environments.make("CartPole-v0"), tmp_path / "best.h5f", interval=100, nb_episodes=2, seed=1)
    assert run([callback]) == run([])
    assert callback.best is not None


class Interrupting(gym.Wrapper):
    """Takes 1/16 of a second a step, and wants to stop the training of `agent` as Ctrl-C would."""

    nb_steps = 0

    def step(self, action):
        self.nb_steps += 1
        self.agent.stop_training = self.agent.did_abort = True
        return super().step(action)


@pytest.mark.long
def test_ctrl_c_does_not_wait_for_a_long_evaluation(tmp_path, monkeypatch):
    env = Interrupting(environments.make("CartPole-v0"))
    monkeypatch.setattr("time.monotonic", lambda: 1 + env.nb_steps / 16)
    callback = Evaluation(env, tmp_path / "best.h5f", interval=100, nb_episodes=100, seed=1)
    set_random_seed(3)
    dqn = env.agent = build_agent(build_model(4, 2), 2, Config())
    state = TrainingState(tmp_path / "state")
    dqn.fit(environments.make("CartPole-v0"), 5_000, callbacks=[callback], verbose=0, seed=3, state=state)
    assert env.nb_steps == 17  # it gets a second after the first step; all would be 900 or more
    assert dqn.did_abort
    assert 100 <= dqn.step < 300
    assert (callback.best, state.saved_step) == (None, 0)  # the evaluation has not decided anything: resume before it


def test_rewards_that_are_not_numbers_are_not_a_score(tmp_path):
    with pytest.raises(DivergenceError, match="the evaluation at step 10 has mean reward nan"):
        evaluated(tmp_path, float("nan"))


@pytest.mark.long
def test_the_best_file_scores_what_the_evaluation_says(tmp_path, capsys):
    folders = {"checkpoint_dir": str(tmp_path / "c"), "log_dir": str(tmp_path / "l")}
    settings = Config(nb_steps=3_000, seed=1, eval_interval=500, eval_episodes=4, verbose=0, **folders)
    trained = train(settings)
    log = json.loads(trained.files.log.read_text())["evaluation_reward"]
    evaluations = [reward for reward in log if reward is not None]
    assert len(evaluations) in (5, 6)
    assert trained.best[0] == max(evaluations)
    assert log[-1] == trained.last[0]
    assert trained.last[1] == 3_000
    rewards = play(PlayConfig(str(trained.files.best), episodes=4, seed=2**32 - 1 - 1))
    assert np.mean(rewards) == trained.best[0]
    assert weights.read(trained.files.best).metadata["seed"] == 1


def run(tmp_path, *arguments):
    return run_command(
        "train", ["--checkpoint-dir", str(tmp_path), "--log-dir", str(tmp_path), "--seed", "1", *arguments]
    )


@pytest.mark.long
def test_stop_at_ends_the_training_and_says_why(tmp_path, capsys):
    assert run(tmp_path, "--stop-at", "12", "--eval-interval", "300", "--nb-steps", "100000") == 0
    out = capsys.readouterr().out
    assert "solved: mean reward of 100 greedy episodes " in out
    assert ", at least 12\n" in out
    best, last = re.findall(r"^(?:best|last) weights .*: (.*)$", out, re.MULTILINE)
    assert best == last
    log = json.loads((tmp_path / "dqn_CartPole-v0_log.json").read_text())
    assert log["nb_steps"][-1] < 20_000
    assert log["evaluation_reward"][-1] >= 12


def test_an_environment_without_a_threshold_needs_one(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        run(tmp_path, "--env", "CliffWalking-v0", "--stop-when-solved")
    assert stop.value.code == 2
    said = "error: CliffWalking-v0 has no reward threshold at which it is solved; give one with --stop-at\n"
    assert capsys.readouterr().err.endswith(said)


@pytest.mark.long
def test_play_last_and_no_evaluations(tmp_path, capsys):
    assert run(tmp_path, "--nb-steps", "50", "--play", "last") == 0
    assert capsys.readouterr().out.rstrip().endswith("dqn_CartPole-v0_weights.h5f")
    assert (tmp_path / "dqn_CartPole-v0_best.h5f").exists()
    (tmp_path / "dqn_CartPole-v0_best.h5f").unlink()
    assert run(tmp_path, "--nb-steps", "50", "--eval-interval", "0") == 0
    assert capsys.readouterr().out.rstrip().endswith("dqn_CartPole-v0_weights.h5f")
    assert not (tmp_path / "dqn_CartPole-v0_best.h5f").exists()


def frames(path):
    """Return a checksum of each picture of a .gif."""
    with Image.open(path) as image:
        return [zlib.crc32((image.seek(i), image.convert("RGB").tobytes())[1]) for i in range(image.n_frames)]


def films(tmp_path):
    """Return the pictures of the films of evaluations by the numbers of steps, in order."""
    found = {int(path.stem.rpartition("_")[2]): frames(path) for path in tmp_path.glob("dqn_CartPole-v0_film_*.gif")}
    return dict(sorted(found.items()))


@pytest.mark.long
def test_films_of_evaluations(tmp_path, capsys, monkeypatch):
    texts, add = [], video.VideoFile.add
    monkeypatch.setattr(video.VideoFile, "add", lambda self, *args: (texts.append(args[1]), add(self, *args)))
    progress = tmp_path / "dqn_CartPole-v0_progress.gif"
    assert run(tmp_path, "--nb-steps", "1000", "--eval-interval", "250", "--record-every", "500") == 0
    assert f"\nfilm {progress}\n" in capsys.readouterr().out
    before = films(tmp_path)
    first, last = before
    assert 500 <= first < 1000 == last
    assert [text for text in texts if "step 0 " in text] == [
        f"after {step:,} steps   step 0   reward 0" for step in (first, last)
    ]
    assert frames(progress) == [*before[first], *before[last]]

    (tmp_path / f"dqn_CartPole-v0_film_{first}.gif").unlink()
    assert run(tmp_path, "--resume", "--nb-steps", "2000") == 0
    after = films(tmp_path)
    assert after[last] == before[last] and len(after) >= 3
    assert frames(progress) == [picture for film in after.values() for picture in film]
