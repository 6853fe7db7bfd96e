"""What authors of environments, networks and callbacks read when theirs fail, and what is noted in passing."""

import inspect
import itertools
import json
import re
import sys
from pathlib import Path

import gym
import pytest

import train
from kerasrl import UserError, environments

NUMBERS = itertools.count()
ENVIRONMENT = """
import gym, numpy as np

class Own(gym.Env):
    observation_space = gym.spaces.Box(-1, 1, (4,))
    action_space = gym.spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        self.nb_steps = 0
        return self.observe(), {}

    def observe(self):
        return np.zeros(4, np.float32)

    def step(self, action):
        self.nb_steps += 1
        return self.observe(), 1.0, self.nb_steps == 8, False, {}
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Write the environment above, changed, into a module of its own; return the options that train in it."""
    monkeypatch.chdir(tmp_path)
    names = []

    def write(before="", after="", name="Own-v0", **registered):
        assert before in ENVIRONMENT
        module = f"own{next(NUMBERS)}"
        names.append((module, name))
        register = f"gym.register({name!r}, Own, **{registered})\n"
        (tmp_path / f"{module}.py").write_text(ENVIRONMENT.replace(before, after) + register)
        return ["--env", f"{module}:{name}", "--nb-steps", "30", "--eval-interval", "0", "--seed", "1"]

    yield write
    for module, name in names:
        sys.modules.pop(module, None)
        gym.envs.registration.registry.pop(name, None)
    sys.path[:] = [path for path in sys.path if path != str(tmp_path)]


@pytest.fixture
def run(capsys):
    """Train; return status and stderr."""

    def train_with(*arguments):
        try:
            status = train.main([*map(str, arguments)])
        except SystemExit as stop:
            status = stop.code
        return status, capsys.readouterr().err

    return train_with


# --debug


def test_debug_shows_the_whole_traceback_which_the_line_without_it_mentions(own, run, tmp_path):
    command = own("        self.nb_steps += 1\n", "        self.nb_steps += self.speed\n")
    status, errors = run(*command)
    said = "error: the environment failed: AttributeError: 'Own' object has no attribute 'speed' (own0.py, line 16)"
    assert (status, re.sub(r"own\d+", "own0", errors)) == (1, f"{said}; --debug shows the whole traceback\n")
    status, errors = run(*command, "--debug")
    assert status == 1
    assert errors.startswith("Traceback (most recent call last):\n") and "self.nb_steps += self.speed\n" in errors
    assert re.sub(r"own\d+", "own0", errors.splitlines()[-1]) == said
    assert not (tmp_path / "logs/dqn_Own-v0_config.toml").exists()


def test_debug_is_no_setting(own, run, tmp_path):
    command = own()
    assert run(*command, "--debug") == (0, "")
    (config,) = tmp_path.glob("logs/*_config.toml")
    assert "\ndebug" not in config.read_text()
    assert run("--resume", "--debug", "--nb-steps", "40") == (0, "")
    status, errors = run(*command, "--debog")
    assert status == 2 and "did you mean --debug?" in errors


@pytest.mark.parametrize("option", ["--env", "--network"])
def test_a_module_that_cannot_be_imported_may_be_debugged(own, run, tmp_path, option):
    (tmp_path / "broken.py").write_text("import math\n\nx = math.nothing\n")
    arguments = [option, "broken:Own-v0"]
    status, errors = run(*arguments)
    assert status == (2 if option == "--env" else 1)
    assert "module 'math' has no attribute 'nothing'" in errors and errors.endswith(
        "--debug shows the whole traceback\n"
    )
    assert errors.count("\n") == 1
    _, errors = run(*arguments, "--debug")
    assert 'broken.py", line 3' in errors
    assert run("--nb-steps", "0")[1] == "error: nb_steps must be at least 1, is 0\n"  # nobody's code has failed


# Environments that answer wrongly

STEP, RESET = "own0.py, line 15", "own0.py, line 8"
RETURNED = "return self.observe(), 1.0, self.nb_steps == 8, False, {}"
SLIPS = {
    "no reward": ("1.0, self", "None, self", "step() returned None as reward, which must be a number", STEP),
    "a text": ("1.0, self", "'1', self", "step() returned '1' as reward, which must be a number", STEP),
    "rewards": (
        "1.0, self",
        "np.ones(2), self",
        "step() returned array([1., 1.]) as reward, which must be a number",
        STEP,
    ),
    "no info": (
        "False, {}",
        "False, None",
        "step() returned None as info, which must be a dictionary: {} if there is nothing to tell",
        STEP,
    ),
    "no observation": (
        RETURNED,
        RETURNED.replace("self.observe()", "None"),
        "step() returned None as observation",
        STEP,
    ),
    "nothing at first": ("return self.observe(), {}", "return None, {}", "reset() returned None as observation", RESET),
    "too little": (
        "False, {}",
        "{}, 1, 2",
        "step() returned 6 values; it must be 5 (older gym: 4)",
        STEP,
    ),
    "nothing": (
        RETURNED,
        "pass",
        "step() returned None instead of observation, reward, terminated, truncated and info",
        STEP,
    ),
    "a shorter one": (
        RETURNED,
        RETURNED.replace("self.observe()", "self.observe()[:3]"),
        "step() returned an observation of shape (3,) after one of shape (4,)",
        STEP,
    ),
    "other numbers than the space": (
        "np.zeros(4",
        "np.zeros(5",
        "reset() returned an observation of shape (5,), but its observation_space has shape (4,)",
        RESET,
    ),
    "texts": (
        "return np.zeros(4, np.float32)",
        "return ['a', 'b', 'c', 'd']",
        "reset() returned ['a', 'b', 'c', 'd'] as observation, which must hold numbers",
        RESET,
    ),
    "objects": (
        RETURNED,
        RETURNED.replace("self.observe()", "np.array([None] * 4)"),
        "step() returned array([None, None, None, None], dtype=object) as observation, which must hold numbers",
        STEP,
    ),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_wrong_answer_is_blamed_on_the_environments_method(own, run, tmp_path, slip):
    before, after, said, place = SLIPS[slip]
    status, errors = run(*own(before, after))
    assert re.sub(r"own\d+", "own0", errors) == f"error: the environment's {said} ({place})\n"
    assert status == 2
    assert not list(tmp_path.glob("logs/*_config.toml"))


def test_what_gyms_wrappers_cannot_take_is_blamed_on_the_environment_too(own, run):
    status, errors = run(*own(RETURNED, "pass", max_episode_steps=5))
    said = "error: the environment failed: TypeError: cannot unpack non-iterable NoneType object"
    assert re.sub(r"own\d+", "own0", errors) == f"{said} ({STEP}); --debug shows the whole traceback\n"
    assert status == 1


@pytest.mark.parametrize("reward", ["1", "np.float32(1)", "np.ones(1)", "np.ones((1, 1), int)", "True", "[1.0]"])
def test_a_reward_may_be_any_single_number(own, run, tmp_path, reward):
    assert run(*own("1.0, self", f"{reward}, self")) == (0, "")
    log = json.loads((tmp_path / "logs" / next((tmp_path / "logs").glob("*_log.json")).name).read_text())
    assert log["episode_reward"] == [8.0, 8.0, 8.0]


def test_an_info_that_older_gyms_environments_lack_is_blamed_on_them(own, run):
    (old,) = [line for line in ENVIRONMENT.splitlines() if "seed=None" in line]
    command = own(old, "    def reset(self):", name="Older-v0")
    source = Path(f"{command[1].partition(':')[0]}.py")
    text = source.read_text().replace("return self.observe(), {}", "return self.observe()")
    source.write_text(text.replace("self.nb_steps == 8, False, {}", "self.nb_steps == 8, None"))
    _, errors = run(*command)
    said = "the environment's step() returned None as info, which must be a dictionary: {} if there is nothing to tell"
    assert re.sub(r"own\d+", "own0", errors) == f"error: {said} ({STEP})\n"


class Half(gym.ObservationWrapper):
    def observation(self, observation):
        self.nb_calls = getattr(self, "nb_calls", 0) + 1
        return observation if self.nb_calls < 3 else None


class Mute(gym.Wrapper):
    def step(self, action):
        return *super().step(action)[:4], None


@pytest.mark.parametrize(("wrapper", "place"), [(Half, Half), (Mute, Mute.step)])
def test_a_wrong_answer_of_a_wrapper_is_blamed_on_the_wrapper(wrapper, place):
    environment = environments.Environment(wrapper(environments.make("CartPole-v0")))
    environment.reset()
    line = inspect.getsourcelines(place)[1]
    with pytest.raises(UserError, match=rf"step\(\) returned None as \w+.* \(test_messages.py, line {line}\)$"):
        for _ in range(3):
            environment.step(0)
