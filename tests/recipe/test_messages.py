"""What authors of environments, networks and callbacks read when theirs fail, and what is noted in passing."""

import itertools
import re
import sys

import gym
import pytest

import train

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
