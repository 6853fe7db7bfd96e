"""Seeding before a reset, drawing in any mode, and Atari games by the names that they had in gym."""

import copy

import gym
import numpy as np
import pytest

from kerasrl import environments
from kerasrl.environments import EnvironmentAdapter


@pytest.mark.parametrize("name", ["CartPole-v1", "gymnasium:CartPole-v1", "PongDeterministic-v4"])
def test_the_next_reset_takes_the_seed_and_no_other(name):
    env = environments.make(name)
    assert environments.seed(env, np.int64(5)) == [5]
    env.action_space.seed(1)
    starts = [env.reset()[0], env.reset()[0]]
    assert (env.reset(seed=5)[0] == starts[0]).all()
    assert (env.reset()[0] == starts[1]).all()


def test_a_seed_given_to_reset_comes_first_and_none_takes_one_back():
    env = environments.make("CartPole-v1")
    environments.seed(env, 1)
    first = env.reset(seed=2)[0]
    assert (env.reset(seed=2)[0] == first).all()
    environments.seed(env, 2)
    environments.seed(env, None)
    assert (env.reset()[0] != first).any()


def test_a_seeded_environment_can_be_copied():
    env = environments.make("CartPole-v1")
    environments.seed(env, 1)
    other = copy.deepcopy(env)
    assert (other.reset()[0] == env.reset()[0]).all()
    assert (other.reset()[0] == env.reset()[0]).all()


class Older(gym.Env):
    """Draws from gym's generator."""

    action_space = observation_space = gym.spaces.Discrete(9)

    def reset(self):
        return self.np_random.integers(1000)

    def render(self, mode="human"):
        return mode


class Seeded(Older):
    def seed(self, seed=None):
        self.seeded_with = seed


def test_older_environments_get_a_generator_or_are_asked():
    env = Older()
    draws = [(environments.seed(env, seed), env.reset())[1] for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    wrapped = gym.Wrapper(Seeded())
    environments.seed(wrapped, 4)
    assert wrapped.seeded_with == 4


def test_any_way_of_drawing_whatever_it_was_made_with(shown):
    env = environments.make("CartPole-v1")
    env.reset()
    assert environments.render(env, "rgb_array").shape == (400, 600, 3)
    assert environments.render(env) is None
    assert len(shown) == 1
    assert environments.render(env, "rgb_array").shape == (400, 600, 3)
    environments.render(env, close=True)
    environments.render(env)
    assert len(shown) == 2
    assert env.render_mode is None
    assert environments.render(gym.Wrapper(Older()), "ansi") == "ansi"
    env.close()


@pytest.mark.long
def test_a_window_for_an_atari_game_that_was_made_without_one(shown):
    env = EnvironmentAdapter(environments.make("Pong-v4"), visualize=True)
    env.reset(seed=0)
    env.step(0)
    assert len(shown) == 1


class Drawing:
    """Its `render` takes no mode."""

    nb_drawn = 0

    def reset(self):
        return np.zeros(1)

    def step(self, action):
        return np.zeros(1), 0.0, False, {}

    def render(self):
        self.nb_drawn += 1


def test_an_environment_whose_render_takes_no_mode_is_drawn_each_step():
    inner = Drawing()
    env = EnvironmentAdapter(inner, visualize=True)
    env.reset()
    env.step(0)
    assert inner.nb_drawn == 1


@pytest.mark.parametrize(
    ("name", "frameskip", "repeat", "shape"),
    [
        pytest.param("BreakoutDeterministic-v4", 4, 0.0, (210, 160, 3), marks=pytest.mark.long),
        pytest.param("BreakoutDeterministic-v0", 4, 0.25, (210, 160, 3), marks=pytest.mark.long),
        ("SpaceInvadersDeterministic-v4", 3, 0.0, (210, 160, 3)),
        ("Breakout-v0", (2, 5), 0.25, (210, 160, 3)),
        pytest.param("BreakoutNoFrameskip-v4", 1, 0.0, (210, 160, 3), marks=pytest.mark.long),
        pytest.param("Breakout-ram-v0", (2, 5), 0.25, (128,), marks=pytest.mark.long),
        ("Breakout-ramDeterministic-v4", 4, 0.0, (128,)),
    ],
)
def test_atari_games_by_the_names_they_had_in_gym(name, frameskip, repeat, shape):
    env = environments.make(name)
    inner = env.unwrapped
    assert (inner._frameskip, inner.ale.getFloat("repeat_action_probability")) == (frameskip, repeat)
    assert env.observation_space.shape == shape
    assert env.spec.id == name
    assert type(env.action_space.n) is int


def test_gymnasiums_spaces_count_in_plain_ints():
    env = environments.make("gymnasium:FrozenLake-v1")
    assert (type(env.action_space.n), type(env.observation_space.n)) == (int, int)
    assert env.action_space.contains(env.action_space.sample())
