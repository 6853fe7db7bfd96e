"""What authors of environments, networks and callbacks read when theirs fail, and what is noted in passing."""

import inspect
import itertools
import json
import re
import sys
import warnings
from pathlib import Path

import gym
import numpy as np
import pytest

from kerasrl import Config, UserError, environments, named
from kerasrl.cli.door import run as run_command
from kerasrl.errors import Note
from kerasrl.storage import weights
from kerasrl.training.networks import own_network, warn_of
from model import build_agent, build_model

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
            status = run_command("train", [*map(str, arguments)])
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


@pytest.mark.long
def test_debug_is_no_setting(own, run, tmp_path):
    command = own()
    assert run(*command, "--debug") == (0, "")
    (config,) = tmp_path.glob("logs/*_config.toml")
    assert "\ndebug" not in config.read_text()
    assert run("--resume", "--trust", "--debug", "--nb-steps", "40") == (0, "")
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
        "step() returned 6 values; there must be 5 (older gym: 4)",
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


@pytest.mark.long
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
    environment = environments.EnvironmentAdapter(wrapper(environments.make("CartPole-v0")))
    environment.reset()
    line = inspect.getsourcelines(place)[1]
    with pytest.raises(UserError, match=rf"step\(\) returned None as \w+.* \(test_messages.py, line {line}\)$"):
        for _ in range(3):
            environment.step(0)


# What is noted in passing

HIDDEN = "note: hidden_layers is empty: the network is linear\n"
BATCH = "note: batch_size 32 is above memory_limit 20: each batch repeats transitions, as in Keras-RL\n"
IMAGES = (
    "note: images of {} go into a dense network, which learns little from them; for a convolutional one: --network "
    "atari:build_minatar_network\n"
)


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "note"), [(["--hidden-layers"], HIDDEN), (["--memory-limit", "20"], BATCH), (["--batch-size", "1"], "")]
)
def test_a_setting_that_is_hardly_meant_is_noted(own, run, options, note):
    command = own()
    assert run(*command, *options) == (0, note)
    assert run(*command, *options, "--verbose", "0") == (0, "")


@pytest.mark.long
def test_images_for_a_dense_network_are_noted_with_a_network_that_takes_them(own, run):
    command = own("np.zeros(4,", "np.zeros((10, 10, 3),")
    source = Path(f"{command[1].partition(':')[0]}.py")
    source.write_text(source.read_text().replace("Box(-1, 1, (4,))", "Box(-1, 1, (10, 10, 3))"))
    assert run(*command) == (0, IMAGES.format("10 x 10 x 3"))
    assert run(*command, "--network", "atari:build_minatar_network") == (0, "")


def test_large_images_are_noted_with_a_processor_too():
    with pytest.warns(Note, match="--processor atari:AtariProcessor --network atari:build_atari_network --window-l"):
        warn_of(Config(), (210, 160, 3))


@pytest.mark.parametrize(
    ("network", "size"),
    [
        ("build_minatar_network", 4),
        ("build_minatar_network", {"board": (10, 10, 3)}),
        ("build_atari_network", (9, 9, 3)),
    ],
)
def test_a_network_for_games_names_the_observations_that_it_does_not_take(network, size):
    with pytest.raises(
        UserError, match=rf"^atari:{network} takes .*, not observations of size {re.escape(str(size))}; "
    ):
        own_network(size, 2, Config(network=f"atari:{network}"))


@pytest.mark.long
def test_an_environment_that_never_ends_is_noted_in_training_evaluation_and_test(own, run, capsys):
    command = own("self.nb_steps == 8", "False")
    arguments = [*command, "--nb-steps", "10001", "--train-interval", "1000", "--eval-interval", "5000"]
    status, errors = run(*arguments, "--eval-episodes", "1")
    assert status == 0
    assert errors.splitlines() == [
        "note: an episode has lasted 10,000 steps, and the environment has no time limit; states are saved and weights "
        "evaluated only when an episode ends: set a limit with --nb-max-episode-steps (from Python: "
        "nb_max_episode_steps)",
        "note: the environment has no time limit, so an evaluation's episode was ended after 10,000 steps; set one "
        "with --nb-max-episode-steps (from Python: nb_max_episode_steps)",
    ]
    assert run(*arguments, "--eval-episodes", "1", "--nb-max-episode-steps", "10_000", "--overwrite") == (0, "")


def test_an_episode_that_a_test_does_not_end_is_noted():
    class Endless(gym.Env):
        def reset(self, seed=None, options=None):
            self.nb_steps = 0
            return np.zeros(4, np.float32), {}

        def step(self, action):
            self.nb_steps += 1
            return np.zeros(4, np.float32), 1.0, self.nb_steps == 10_001, False, {}

    dqn = build_agent(build_model(4, 2), 2)
    with pytest.warns(Note, match=r"an episode has lasted 10,000 steps, .*; Ctrl-C ends it"):
        dqn.test(Endless(), visualize=False, verbose=0)
    dqn.test(Endless(), visualize=False, verbose=0, nb_max_episode_steps=10_000)


@pytest.mark.long
def test_of_an_environment_without_version_the_newest_is_taken_and_recorded(own, run, tmp_path):
    assert run(*own(name="Own-v3")[2:], "--env", "CartPole") == (0, "note: CartPole: CartPole-v1 taken\n")
    (path,) = (tmp_path / "checkpoints").glob("*_weights.h5f")
    assert path.name == "dqn_CartPole-v1_weights.h5f"
    assert weights.read(path).metadata["env"] == "CartPole-v1"
    assert run("--env", "CartPole", "--resume", "--nb-steps", "40") == (0, "note: CartPole: CartPole-v1 taken\n")
    assert run_command("test", ["--weights", str(path), "--env", "CartPole", "--episodes", "1"]) == 0


def test_the_newest_version_is_the_largest_number_also_in_gymnasium_and_in_modules(own, run, tmp_path):
    modules = [own(name=f"Own-v{version}")[1].partition(":")[0] for version in (9, 10)]
    for module in modules:
        named.module(module)
    with pytest.warns(Note, match="^Own: Own-v10 taken$"):
        assert environments.full_name(f"{modules[0]}:Own") == f"{modules[0]}:Own-v10"
    gymnasium = pytest.importorskip("gymnasium")
    newest = max(int(name[10:]) for name in gymnasium.registry if re.fullmatch(r"CartPole-v\d+", name))
    with pytest.warns(Note, match=f"CartPole-v{newest} taken"):
        assert environments.full_name("gymnasium:CartPole") == f"gymnasium:CartPole-v{newest}"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert environments.full_name("CartPole-v0") == "CartPole-v0"


# What is refused


def test_a_training_state_or_its_memory_is_no_weights_file(own, run, tmp_path, capsys):
    assert run(*own(), "--state-interval", "8") == (0, "")
    for pattern, kind in (
        ("*_state", "a training state"),
        ("*_state.memory-*", "the replay memory of a"),
    ):
        (path,) = (tmp_path / "checkpoints").glob(pattern)
        with pytest.raises(SystemExit) as stop:
            run_command("test", ["--weights", str(path)])
        assert stop.value.code == 2
        assert f"{path} is {kind}" in capsys.readouterr().err


def test_absurd_threads_are_refused(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert run("--threads", 1_000) == (
        2,
        "error: threads must be at most 256 on this machine, is 1000; 0 chooses\n",
    )
    monkeypatch.setattr("os.cpu_count", lambda: 100)
    assert "at most 400 on" in run("--threads", 401)[1]


def test_a_class_that_is_no_environment_is_told_how_to_become_one(own, run):
    status, errors = run(*own("(gym.Env)", ""))
    said = "error: environment 'own0:Own-v0' cannot be made: Own is not a gym.Env; derive the class from it\n"
    assert (status, re.sub(r"own\d+", "own0", errors)) == (2, said)


@pytest.mark.parametrize("base", [gym.Env, object])
def test_a_test_of_what_draws_nothing_says_how_to_do_without_pictures(base):
    kind = type("Dark", (base,), {"reset": lambda self: np.zeros(4), "step": lambda self, action: None})
    dqn = build_agent(build_model(4, 2), 2)
    with pytest.raises(UserError, match=r"^Dark draws nothing, so there is nothing to show: pass visualize=False$"):
        dqn.test(kind())
