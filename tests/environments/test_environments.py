"""Environments of every generation as one protocol, and what is said about those that do not fit."""

import sys
import time
from types import SimpleNamespace

import gym
import numpy as np
import pytest
import rl.callbacks
import rl.core

from kerasrl import Config, UserError, environments, train
from kerasrl.cli.door import run as run_command
from kerasrl.environments import EnvironmentAdapter
from kerasrl.environments.spaces import describe_spaces, within


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


@pytest.mark.parametrize(
    "end, is_true",
    [
        *((np.bool_(True), True), (1, True), (0, False), (np.int8(1), True), (1.0, True), (0.0, False), (None, False)),
        *((np.array(False), False), (np.array([True]), True), ([False], False), ([[1]], True)),
    ],
)
def test_what_has_a_truth_value_counts_as_an_end(end, is_true):
    for values in ((end, False, {}), (False, end, {})):
        assert any(EnvironmentAdapter(New((1.0, *values))).step(0)[2:4]) is is_true
    assert EnvironmentAdapter(Old((1.0, end, {}))).step(0)[2:4] == (is_true, False)


@pytest.mark.parametrize(
    "end",
    [
        *("no", "", b"no", np.nan, np.float32("nan"), np.array([True, False]), np.array([]), [True, True], [], {}),
        *({"a": True}, [[0], [0, 0]], object, np.array("no"), np.array([None]), 1j),
    ],
    ids=repr,
)
@pytest.mark.parametrize("values", [("{}", "False"), ("False", "{}"), ("{}",)], ids=["terminated", "truncated", "done"])
def test_an_end_without_a_truth_value_is_refused(end, values):
    kind, name = (Old, "done") if len(values) == 1 else (New, ("terminated", "truncated")[values.index("{}")])
    answer = [end if value == "{}" else False for value in values]
    with pytest.raises(UserError, match=rf"environment's step\(\) returned .* as {name}, .*True or False.*\.py, line"):
        EnvironmentAdapter(kind((1.0, *answer, {}))).step(0)


def test_how_an_end_without_a_truth_value_is_told(refused):
    with refused("'no'"):
        EnvironmentAdapter(New((1.0, "no", False, {}))).step(0)
    gym.register("NotANumberTest-v0", NotANumber)
    older = environments.make("NotANumberTest-v0")  # which gym wraps
    older.reset()
    with refused("nan"):
        EnvironmentAdapter(older).step(0)


class NotANumber(Old, gym.Env):
    action_space = observation_space = gym.spaces.Discrete(2)

    def __init__(self):
        super().__init__((1.0, np.nan, {}))


class Counted(gym.Env):
    """Shows the number of the step; ends after three."""

    observation_space, action_space = gym.spaces.Box(0, 9, (1,)), gym.spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        self.nb_steps = 0
        return np.zeros(1), {}

    def step(self, action):
        self.nb_steps += 1
        return np.full(1, float(self.nb_steps)), 1.0, self.nb_steps == 3, False, {"step": self.nb_steps}


@pytest.mark.parametrize("name", ["final_observation", "final_obs", "terminal_observation"])
def test_the_last_observation_is_kept_where_a_wrapper_begins_the_next_episode(name):
    class Renamed(gym.wrappers.AutoResetWrapper):
        def step(self, action):
            *values, info = super().step(action)
            return *values, {name if key == "final_observation" else key: value for key, value in info.items()}

    env = EnvironmentAdapter(Renamed(Counted()))
    env.reset()
    seen = [env.step(0) for _ in range(3)]
    assert [observation.item() for observation, *_ in seen] == [1, 2, 3]
    assert [info["step"] for *_, info in seen] == [1, 2, 3]


@pytest.mark.parametrize("code", [0, None, 3, "leave"])
@pytest.mark.parametrize("method", ["reset", "step"])
def test_an_environment_does_not_end_the_program(code, method):
    env = Counted()
    setattr(env, method, lambda *arguments, **options: sys.exit(code))
    adapter = EnvironmentAdapter(env)
    with pytest.raises(RuntimeError, match=rf"called sys.exit\({code!r}\)"):
        adapter.reset() if method == "reset" else adapter.step(0)


class Leaving(Counted):
    def step(self, action):
        sys.exit(0)


class LeavingCallback(rl.callbacks.Callback):
    def on_step_end(self, step, logs):
        sys.exit(0)


gym.register("LeavingTest-v0", Leaving)


@pytest.mark.long
@pytest.mark.parametrize("how", [["--env", "LeavingTest-v0"], ["--callback", f"{__name__}:LeavingCallback"]])
def test_a_training_that_somebodys_code_ends_says_so(how, tmp_path, monkeypatch, capsys, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        run_command("train", [*how, "--eval-interval", "0", "--nb-steps", "20"])
    error = said(capsys.readouterr().err, r"line \d+")
    assert (stop.value.code, error.count("\n")) == (1, 1) and "sys.exit(0)" in error


class Scaled(gym.spaces.Box):
    """A user's own kind of Box."""


class Named(gym.spaces.Discrete):
    """A user's own kind of Discrete."""


class Sorted(gym.spaces.Dict):
    """A user's own kind of Dict."""


def in_spaces(observations, actions=gym.spaces.Discrete(2)):
    """An environment that draws its observations from a space."""

    class Drawing(gym.Env):
        observation_space, action_space = observations, actions

        def reset(self, seed=None, options=None):
            observations.seed(seed)
            self.nb_steps = 0
            return observations.sample(), {}

        def step(self, action):
            assert actions.contains(action)
            self.nb_steps += 1
            return observations.sample(), 1.0, self.nb_steps == 5, False, {}

    return Drawing


BOX, THREE = Scaled(-1, 1, (2,)), Named(3)
SPACES = {
    "subclasses": (Sorted(a=BOX, b=THREE), {"a": (2,), "b": (3,)}),
    "numbers": (gym.spaces.Dict({10: BOX, 2: THREE}), {"2": (3,), "10": (2,)}),
    "numbers and texts": (gym.spaces.Dict({10: BOX, "x": THREE}), {"10": (2,), "x": (3,)}),
    "spaces and umlauts": (gym.spaces.Dict({"a b": BOX, "Höhe": THREE}), {"a b": (2,), "Höhe": (3,)}),
}


def test_subclasses_of_spaces_are_what_they_are_derived_from():
    assert environments.check_spaces(in_spaces(BOX, THREE)()) == ((2,), 3)
    assert environments.check_spaces(in_spaces(THREE, THREE)()) == ((3,), 3)


@pytest.mark.long
@pytest.mark.parametrize("space, shape", SPACES.values(), ids=SPACES)
def test_kinds_of_spaces_and_keys_that_are_learned_from(space, shape, tmp_path):
    kind = in_spaces(space, Named(2))
    assert environments.check_spaces(kind()) == (shape, 2)
    settings = {"nb_steps": 20, "window_length": 2, "hidden_layers": (4,), "eval_interval": 0, "state_interval": 5}
    folders = {"checkpoint_dir": str(tmp_path), "log_dir": str(tmp_path)}
    trained = train(Config(**settings, **folders, seed=1, verbose=0), env=kind)
    assert trained.history["episode_reward"] == [5.0] * 4 and trained.agent.optimizer.iterations > 0


@pytest.mark.parametrize("keys", [["a/b"], [1, "1"]], ids=repr)
def test_keys_that_cannot_name_inputs_are_refused(keys, refused):
    space = gym.spaces.Dict(dict.fromkeys(keys, BOX))
    with refused("key", repr(keys[0])):
        environments.check_spaces(in_spaces(space)())


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


def test_several_environments_at_once_are_refused_by_name(refused):
    env = gym.vector.SyncVectorEnv([lambda: gym.make("CartPole-v1")] * 3)
    for meet in (describe_spaces, EnvironmentAdapter):
        with refused("SyncVectorEnv", "3"):
            meet(env)
    env.close()


def test_actions_that_do_not_fit_are_refused_saying_which_do(refused):
    with refused("Box("):
        environments.check_spaces(environments.make("Pendulum-v1"))


@pytest.mark.parametrize("dtype", [np.int32, np.uint8])
def test_actions_of_whole_numbers_are_the_nearest(dtype):
    space = gym.spaces.Box(np.array([0, 2]), np.array([3, 9]), dtype=dtype)
    bounds = describe_spaces(SimpleNamespace(observation_space=space, action_space=space)).bounds
    for chosen, taken in (([1.7, 5.2], [2, 5]), ([-4.0, 8.6], [0, 9]), ([3.4, 9.9], [3, 9])):
        action = within(np.array(chosen, np.float32), bounds)
        assert action.dtype == dtype and action.tolist() == taken and space.contains(action)


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
