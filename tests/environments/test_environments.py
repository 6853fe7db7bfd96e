"""Environments of every generation as one protocol, and what is said about those that do not fit."""

import time

import gym
import numpy as np
import pytest
import rl.core

from kerasrl import environments
from kerasrl.environments import EnvironmentAdapter


class Scripted:
    """Returns the next of `answers` at each step; its observation is one array that it changes in place."""

    def __init__(self, *answers):
        self.answers = iter(answers)
        self.observation = np.zeros(1)

    def step(self, action):
        self.observation += 1
        return self.observation, *next(self.answers)


class New(Scripted):
    def reset(self, seed=None, options=None):
        self.seeded_with = seed
        return self.observation, {}


class Old(Scripted):
    def reset(self):
        return self.observation

    def seed(self, seed=None):
        self.seeded_with = seed


class Passing(Scripted):
    """A wrapper that knows nothing about seeds but passes everything on."""

    def reset(self, **options):
        self.seeded_with = options.get("seed")
        return self.observation, {}


class KerasRL(rl.core.Env):
    """Overrides only what rl.core.Env requires for training; its `seed` raises NotImplementedError."""

    def reset(self):
        return np.zeros(1)

    def step(self, action):
        return np.ones(1), 1.0, True, {}

    def close(self):
        pass


FIVE_VALUES = [(1.0, False, False, {}), (1.0, True, False, {}), (1.0, False, True, {}), (1.0, True, True, {"a": 2})]


def test_new_protocol():
    env = EnvironmentAdapter(New(*FIVE_VALUES))
    env.reset()
    assert [env.step(0)[1:] for _ in FIVE_VALUES] == FIVE_VALUES


def test_the_old_protocol_reports_a_time_limit_in_info():
    limit, other = {"TimeLimit.truncated": True}, {"TimeLimit.truncated": False}
    env = EnvironmentAdapter(
        Old((1.0, False, {}), (1.0, True, {}), (1.0, True, limit), (1.0, True, other), (1.0, False, limit))
    )
    env.reset()
    ends = [env.step(0)[2:4] for _ in range(5)]
    assert ends == [(False, False), (True, False), (False, True), (True, False), (False, False)]


def test_ends_are_bools_whatever_the_environment_calls_them():
    env = EnvironmentAdapter(New((1.0, np.bool_(True), 0, {})))
    assert [type(end) for end in env.step(0)[2:4]] == [bool, bool]


@pytest.mark.parametrize("kind", [New, Old])
def test_observations_are_copied(kind):
    answer = (1.0, False, {}) if kind is Old else (1.0, False, False, {})
    env = EnvironmentAdapter(kind(answer, answer))
    observations = [env.reset(), env.step(0)[0], env.step(0)[0]]
    assert np.concatenate(observations).tolist() == [0, 1, 2]


def test_observations_of_several_parts_are_copied():
    parts = {"position": np.zeros(2), "goals": (np.zeros(1), [0])}
    inner = New()
    inner.reset = lambda seed=None: (parts, {})
    copied = EnvironmentAdapter(inner).reset()
    parts["position"][:] = parts["goals"][0][:] = parts["goals"][1][0] = 7
    assert copied["position"].tolist() == [0, 0]
    assert copied["goals"][0].tolist() == copied["goals"][1] == [0]


@pytest.mark.parametrize("kind", [New, Old, Passing])
def test_a_seed_reaches_the_environment(kind):
    inner = kind()
    EnvironmentAdapter(inner).reset(seed=5)
    assert inner.seeded_with == 5


def test_keras_rls_own_environments_work_with_a_seed():
    env = EnvironmentAdapter(KerasRL())
    assert env.reset(seed=5).tolist() == [0]
    assert env.step(0)[1:] == (1.0, True, False, {})


@pytest.mark.parametrize("name", ["CartPole-v0", "CartPole-v1", "MountainCar-v0", "Acrobot-v1"])
def test_gyms_environments_start_the_same_from_the_same_seed(name):
    env = EnvironmentAdapter(environments.make(name))
    first, second, other = env.reset(seed=1), env.reset(seed=1), env.reset(seed=2)
    assert (first == second).all()
    assert (first != other).any()
    assert len(env.step(0)) == 5


def test_the_time_limit_of_cartpole_truncates():
    env = EnvironmentAdapter(environments.make("CartPole-v0"))
    env.reset(seed=0)
    env.env.unwrapped.theta_threshold_radians = env.env.unwrapped.x_threshold = np.inf
    ends = [env.step(step % 2)[2:4] for step in range(200)]
    assert ends == [(False, False)] * 199 + [(False, True)]


def test_random_starts_can_be_seeded():
    env = EnvironmentAdapter(environments.make("Acrobot-v1"))
    draws = []
    for seed in (3, 3, 4):
        env.seed_actions(seed)
        draws.append([env.env.action_space.sample() for _ in range(20)])
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize("name", ["CartPole-v3", "carpole", "Acrobat-v1", "Xyzzy-v1"])
def test_an_unknown_name_is_answered_with_the_nearest(name, refused):
    with refused(name):
        environments.make(name)


@pytest.mark.parametrize("name", ["", "Cart Pole", "no_such_module:CartPole-v0"])
def test_what_cannot_be_a_name_is_one_line(name, refused):
    with refused(f"'{name}'"):
        environments.make(name)


def test_spaces_of_cartpole():
    assert environments.check_spaces(environments.make("CartPole-v0")) == ((4,), 2)


def test_spaces_that_one_agent_refuses_are_described_for_others(refused):
    env = environments.make("Pendulum-v1")
    found = environments.describe_spaces(env)
    assert (found.observation, found.nb_actions, found.action_shape) == ((3,), None, (1,))
    assert found.actions is env.action_space
    with refused("SARSA"):
        found.require_discrete("SARSA")
    found = environments.describe_spaces(environments.make("CartPole-v0"))
    assert (found.nb_actions, found.action_shape) == (2, None)


@pytest.mark.parametrize(("name", "space"), [("Pendulum-v1", "Box("), ("Blackjack-v1", "Tuple(")])
def test_spaces_that_do_not_fit_are_refused_saying_which_do(name, space, refused):
    with refused(space):
        environments.check_spaces(environments.make(name))


def test_actions_that_do_not_start_at_0_are_refused(refused):
    env = environments.make("CartPole-v0")
    env.action_space = gym.spaces.Discrete(2, start=1)
    with refused("Discrete(2, start=1)"):
        environments.check_spaces(env)


@pytest.mark.parametrize("render_mode", [None, "human"])
def test_a_window_shows_each_step_at_natural_speed(shown, render_mode):
    env = EnvironmentAdapter(environments.make("CartPole-v0", render_mode), visualize=True)
    env.reset(seed=0)
    begin = time.monotonic()
    for _ in range(8):
        env.step(0)
    assert len(shown) == 9
    assert time.monotonic() - begin > 0.9 * 7 / env.env.metadata["render_fps"]
    env.env.close()


def test_without_visualize_no_window_is_opened(shown):
    env = EnvironmentAdapter(environments.make("CartPole-v0"))
    env.reset(seed=0)
    env.step(0)
    assert not shown


def test_older_environments_are_asked_to_draw_each_step():
    inner = Old((1.0, False, {}), (1.0, True, {}))
    modes = []
    inner.render = lambda mode: modes.append(mode)
    env = EnvironmentAdapter(inner, visualize=True)
    env.reset()
    env.step(0)
    env.step(0)
    assert modes == ["human", "human"]


def test_no_screen_is_an_error_that_says_what_to_do(monkeypatch, refused):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    without_mode = environments.make("CartPole-v0")
    for window in (
        lambda: environments.make("CartPole-v0", render_mode="human"),
        lambda: EnvironmentAdapter(without_mode, visualize=True),
    ):
        with refused("visualize=True"):
            window()
