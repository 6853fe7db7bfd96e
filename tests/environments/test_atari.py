"""Atari games as the published tables play them, against the Arcade Learning Environment frame by frame."""

import copy
import json

import numpy as np
import pytest

from kerasrl import environments, play
from kerasrl.cli.door import run as run_command
from kerasrl.environments import atari
from kerasrl.storage import weights

FIRE = 1


def frame_by_frame(name, seed):
    env = environments.make(name)
    env.reset(seed=seed)
    return env.unwrapped.ale, env.unwrapped._action_set


def grey(ale):
    return ale.getScreenGrayscale().astype(int)


def test_a_step_is_four_frames_of_one_action_and_the_brighter_of_the_last_two_screens():
    env, (ale, actions) = environments.make("Atari/Pong-v4"), frame_by_frame("PongNoFrameskip-v4", 3)
    screen, info = env.reset(seed=3)
    nb_idle = info["episode_frame_number"] - 4
    assert 1 <= nb_idle <= 30
    for action in [0] * nb_idle + [FIRE] * 4:
        ale.act(actions[action])
    np.testing.assert_array_equal(screen, grey(ale))
    differ = []
    for action in map(int, np.random.default_rng(0).integers(6, size=80)):
        rewards, screens = [], []
        for _ in range(4):
            rewards.append(ale.act(actions[action]))
            screens.append(grey(ale))
        screen, reward, terminated, truncated, info = env.step(action)
        assert (reward, terminated, truncated) == (sum(rewards), False, False)
        np.testing.assert_array_equal(screen, np.maximum(*screens[2:]))
        assert info["episode_frame_number"] == ale.getEpisodeFrameNumber()
        differ.append((screens[2] != screens[3]).any())
    assert any(differ)  # or the maximum would not have been seen
    assert (screen.shape, screen.dtype, env.action_space.n) == ((210, 160), np.uint8, 6)
    assert env.unwrapped.ale.getFloat("repeat_action_probability") == 0


@pytest.mark.long
@pytest.mark.parametrize(("name", "fires"), [("Atari/Pong-v4", True), ("Atari/Freeway-v4", False)])
def test_an_episode_begins_with_idle_frames_and_fire_where_the_game_has_it(name, fires):
    env = environments.make(name, max_idle_frames=2)
    counts = [env.reset()[1]["episode_frame_number"] - 4 * fires for _ in range(16)]
    assert set(counts) == {1, 2}
    env = environments.make(name, max_idle_frames=0)
    assert env.reset()[1]["episode_frame_number"] == 4 * fires


@pytest.mark.long
def test_the_same_seed_begins_the_same_episode_and_a_copy_is_made_with_the_same_arguments():
    env = environments.make("Atari/Breakout-v4", frameskip=3, repeat_action_probability=0.25)
    other = copy.deepcopy(env)
    first, second = (one.reset(seed=7) for one in (env, other))
    np.testing.assert_array_equal(first[0], second[0])
    assert first[1]["episode_frame_number"] == second[1]["episode_frame_number"]
    assert other.unwrapped.ale.getFloat("repeat_action_probability") == 0.25
    before = second[1]["episode_frame_number"]
    assert other.step(0)[4]["episode_frame_number"] == before + 3


@pytest.mark.long
def test_a_life_lost_does_not_end_an_episode_but_the_game_and_the_time_limit_do():
    env = environments.make("Atari/Breakout-v4", max_episode_steps=500)
    env.reset(seed=0)
    lives, ended = set(), False
    while not ended:
        _, _, terminated, truncated, info = env.step(FIRE)
        lives.add(info["lives"])
        ended = terminated or truncated
    assert (terminated, lives) == (True, {5, 4, 3, 2, 1, 0})
    limited = environments.make("Atari/Breakout-v4", max_episode_steps=2)
    limited.reset(seed=0)
    assert [limited.step(0)[2:4] for _ in range(2)] == [(False, False), (False, True)]


def test_each_game_that_had_a_name_in_gym_has_one_of_these():
    import ale_py.roms
    import gymnasium

    environments.make("Atari/Pong-v4")
    registered = [spec for spec in gymnasium.registry.values() if spec.namespace == "Atari"]
    assert len(registered) == len(atari.GAMES.split("|"))
    assert {spec.kwargs["game"] for spec in registered} <= set(ale_py.roms.get_all_rom_ids())
    assert {spec.max_episode_steps for spec in registered} == {27_000}


@pytest.mark.parametrize(
    ("argument", "value"),
    [("frameskip", 0), ("frameskip", 2.5), ("max_idle_frames", -1), ("repeat_action_probability", 2)],
)
def test_arguments_that_no_game_can_have_are_refused(argument, value, refused):
    with refused(argument, value):
        environments.make("Atari/Pong-v4", **{argument: value})


SHORT = "--preset pong --seed 3 --nb-max-episode-steps 60 --nb-steps-warmup 60 --memory-limit 150 --eps-nb-steps 100 "
SHORT += "--target-model-update 40 --eval-interval 150 --eval-episodes 1 --state-interval 50 --verbose 0"


@pytest.mark.long
def test_the_preset_learns_from_the_screen_goes_on_exactly_and_plays(tmp_path, capsys):
    """A memory that runs over, hard target updates, evaluations and a stop within 300 steps."""

    def run(folder, *words):
        folders = ["--checkpoint-dir", str(tmp_path / folder), "--log-dir", str(tmp_path / folder)]
        assert run_command("train", [*words, *folders]) == 0
        return tmp_path / folder / "dqn_Atari-Pong-v4_weights.h5f", tmp_path / folder / "dqn_Atari-Pong-v4_log.json"

    whole = run("whole", *SHORT.split(), "--nb-steps", "300")
    run("parts", *SHORT.split(), "--nb-steps", "180")
    parts = run("parts", "--resume", "--nb-steps", "300", "--verbose", "0")
    for one, other in zip(weights.read(whole[0]).layers, weights.read(parts[0]).layers, strict=True):
        for array, same in zip(one.values(), other.values(), strict=True):
            np.testing.assert_array_equal(array, same)
    logs = [json.loads(log.read_text()) for _, log in (whole, parts)]
    assert logs[0]["episode_reward"] == logs[1]["episode_reward"] and logs[0]["loss"][1:] == logs[1]["loss"][1:]
    assert np.isfinite(logs[0]["loss"][2:]).all() and max(logs[0]["loss"][2:]) > 0
    assert sum(reward is not None for reward in logs[0]["evaluation_reward"]) == 2
    (reward,) = play(whole[0], 1, seed=1)  # a whole game, which so few steps do not win
    assert -21 <= reward < 0 and capsys.readouterr().err == ""
