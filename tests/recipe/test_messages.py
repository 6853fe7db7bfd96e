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
from kerasrl.environments.processors import AtariProcessor
from kerasrl.errors import Note
from kerasrl.storage import weights
from kerasrl.training.networks import own_network, warn_of
from kerasrl.training.own_parts import OwnParts
from kerasrl.training.run import Run
from model import build_agent, build_model
from train import build

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


@pytest.mark.long
def test_debug_shows_the_whole_traceback_which_the_line_without_it_mentions(own, run, said, tmp_path):
    command = own("        self.nb_steps += 1\n", "        self.nb_steps += self.speed\n")
    status, errors = run(*command)
    assert (status, "'speed'" in (line := said(errors))) == (1, True)
    status, errors = run(*command, "--debug")
    assert status == 1
    assert errors.startswith("Traceback (most recent call last):\n") and "self.nb_steps += self.speed\n" in errors
    assert line == f"{errors.splitlines()[-1]}; --debug shows the whole traceback\n"
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
def test_a_module_that_cannot_be_imported_may_be_debugged(own, run, said, tmp_path, option):
    (tmp_path / "broken.py").write_text("import math\n\nx = math.nothing\n")
    arguments = [option, "broken:Own-v0"]
    status, errors = run(*arguments)
    assert status == (2 if option == "--env" else 1)
    assert "'nothing'" in said(errors) and errors.count("\n") == 1
    _, errors = run(*arguments, "--debug")
    assert 'broken.py", line 3' in errors
    assert "--debug" not in said(run("--nb-steps", "0")[1])  # nobody's code has failed


# Environments that answer wrongly

RETURNED = "return self.observe(), 1.0, self.nb_steps == 8, False, {}"
SLIPS = {
    "no reward": ("1.0, self", "None, self"),
    "a text": ("1.0, self", "'1', self"),
    "rewards": ("1.0, self", "np.ones(2), self"),
    "a large reward": ("1.0, self", "10**400, self"),
    "a larger reward, negative": ("1.0, self", "-10**5000, self"),
    "a complex reward": ("1.0, self", "np.complex64(1j), self"),
    "no info": ("False, {}", "False, None"),
    "no observation": (RETURNED, RETURNED.replace("self.observe()", "None")),
    "nothing at first": ("return self.observe(), {}", "return None, {}"),
    "too little": ("False, {}", "{}, 1, 2"),
    "nothing": (RETURNED, "pass"),
    "a shorter one": (RETURNED, RETURNED.replace("self.observe()", "self.observe()[:3]")),
    "other numbers than the space": ("np.zeros(4", "np.zeros(5"),
    "texts": ("return np.zeros(4, np.float32)", "return ['a', 'b', 'c', 'd']"),
    "objects": (RETURNED, RETURNED.replace("self.observe()", "np.array([None] * 4)")),
}


@pytest.mark.long
@pytest.mark.parametrize("slip", SLIPS)
def test_a_wrong_answer_is_blamed_on_the_environments_method(own, run, said, tmp_path, slip):
    status, errors = run(*own(*SLIPS[slip]))
    assert status == 2 and re.search(r"(reset|step)\(\).* \(own\d+\.py, line \d+\)$", said(errors))
    assert not list(tmp_path.glob("logs/*_config.toml"))


@pytest.mark.long
def test_what_gyms_wrappers_cannot_take_is_blamed_on_the_environment_too(own, run, said):
    status, errors = run(*own(RETURNED, "pass", max_episode_steps=5))
    assert status == 1 and "the environment failed" in said(errors)


@pytest.mark.long
@pytest.mark.parametrize("reward", ["1", "np.float32(1)", "np.ones(1)", "np.ones((1, 1), int)", "True", "[1.0]"])
def test_a_reward_may_be_any_single_number(own, run, tmp_path, reward):
    assert run(*own("1.0, self", f"{reward}, self")) == (0, "")
    log = json.loads((tmp_path / "logs" / next((tmp_path / "logs").glob("*_log.json")).name).read_text())
    assert log["episode_reward"] == [8.0, 8.0, 8.0]


@pytest.mark.long
def test_an_info_that_older_gyms_environments_lack_is_blamed_on_them(own, run, said):
    (old,) = [line for line in ENVIRONMENT.splitlines() if "seed=None" in line]
    command = own(old, "    def reset(self):", name="Older-v0")
    source = Path(f"{command[1].partition(':')[0]}.py")
    text = source.read_text().replace("return self.observe(), {}", "return self.observe()")
    source.write_text(text.replace("self.nb_steps == 8, False, {}", "self.nb_steps == 8, None"))
    assert "step()" in said(run(*command)[1])


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


@pytest.mark.long
@pytest.mark.parametrize("options", ["--hidden-layers", "--memory-limit 20", "--batch-size 1"])
def test_a_setting_that_is_hardly_meant_is_noted(own, run, said, options):
    command, options = own(), options.split()
    status, errors = run(*command, *options)
    assert (status, bool(said(errors))) == (0, options != ["--batch-size", "1"])
    assert run(*command, *options, "--verbose", "0") == (0, "")


@pytest.mark.long
def test_images_for_a_dense_network_are_noted_with_a_network_that_takes_them(own, run, said):
    command = own("np.zeros(4,", "np.zeros((10, 10, 3),")
    source = Path(f"{command[1].partition(':')[0]}.py")
    source.write_text(source.read_text().replace("Box(-1, 1, (4,))", "Box(-1, 1, (10, 10, 3))"))
    status, errors = run(*command)
    assert (status, "10 x 10 x 3" in said(errors)) == (0, True)
    assert run(*command, "--network", "atari:build_minatar_network") == (0, "")


class Showing(gym.Env):
    """Shows pictures of a shape and type."""

    action_space = gym.spaces.Discrete(2)

    def __init__(self, shape, dtype):
        self.observation_space = gym.spaces.Box(0, 255, shape, dtype)

    def reset(self, seed=None, options=None):
        return np.zeros(self.observation_space.shape, self.observation_space.dtype), {}

    def step(self, action):
        return self.reset()[0], 1.0, False, False, {}


PICTURES = {  # shape and type -> whether a network of this project takes them, with a processor of it or without
    **{(shape, "uint8"): True for shape in [(210, 160, 3), (84, 84), (10, 10, 4), (10, 10, 1)]},
    **{(shape, "uint8"): False for shape in [(84, 84, 1), (4, 84, 84)]},
    **{(shape, "float32"): shape == (6, 7, 2) for shape in [(210, 160, 3), (84, 84, 3), (6, 7, 2)]},
}


@pytest.mark.parametrize(("shape", "dtype"), PICTURES)
def test_what_is_advised_for_pictures_works_for_them(shape, dtype, said):
    env = Showing(shape, dtype)
    with pytest.warns(Note, match=" x ".join(map(str, shape))) as notes:
        warn_of(Config(), shape, None, env.observation_space)
    advised = re.search(r"Config\(.*\)", said(notes[0].message))[0]
    assert (len(notes), advised != "Config(network='module:function')") == (1, PICTURES[shape, dtype])
    if PICTURES[shape, dtype]:
        agent = build(Run.of(eval(advised), env, OwnParts()))
        assert len(agent.test(env, 1, visualize=False, verbose=0, nb_max_episode_steps=2).history["nb_steps"]) == 1


NO_NOTES = [((100, 4), "float32"), ((60, 40), "float32"), ((4, 10, 10), "uint8"), ((2, 9, 9), "uint8"), ((4,), "uint8")]


@pytest.mark.parametrize(("shape", "dtype"), NO_NOTES)
def test_what_may_be_no_picture_is_not_noted(shape, dtype):
    warn_of(Config(), shape, None, gym.spaces.Box(0, 255, shape, dtype))
    warn_of(Config(), {"part": shape}, None, gym.spaces.Dict(part=gym.spaces.Box(0, 255, shape, dtype)))


def test_pictures_from_a_processor_or_in_a_dict_need_a_network_of_ones_own(noted):
    with noted("module:function"):
        warn_of(Config(), (210, 160, 3), None, None)
    with noted("module:function"):
        warn_of(Config(), {"screen": (210, 160, 3)}, None, gym.spaces.Dict())


@pytest.mark.parametrize("shape", [(84, 84, 1), (4, 84, 84)])
def test_a_processor_for_screens_names_what_it_does_not_take(shape, refused):
    with refused("AtariProcessor", shape, "uint8"):
        AtariProcessor().process_observation(np.zeros(shape, np.uint8))


@pytest.mark.parametrize(
    ("network", "size"),
    [
        ("build_minatar_network", 4),
        ("build_minatar_network", {"board": (10, 10, 3)}),
        *(("build_atari_network", size) for size in [(9, 9, 3), (84, 84, 1), (20, 20)]),
        *(("build_minatar_network", size) for size in [(84, 84), (2, 10, 4)]),
    ],
)
def test_a_network_for_games_names_the_observations_that_it_does_not_take(network, size, refused):
    with refused(network, size):
        own_network(size, 2, Config(network=f"atari:{network}"))


@pytest.mark.long
def test_an_environment_that_never_ends_is_noted_in_training_and_evaluation(own, run, said):
    command = own("self.nb_steps == 8", "False")
    arguments = [*command, "--nb-steps", "10001", "--train-interval", "1000", "--eval-interval", "5000"]
    status, errors = run(*arguments, "--eval-episodes", "1")
    assert status == 0
    assert [said(line).count("--nb-max-episode-steps") for line in errors.splitlines()] == [1, 1]
    assert run(*arguments, "--eval-episodes", "1", "--nb-max-episode-steps", "10_000", "--overwrite") == (0, "")


@pytest.mark.long
def test_an_episode_that_a_test_does_not_end_is_noted(noted, monkeypatch):
    monkeypatch.setattr("kerasrl.agents.loop._LONG_EPISODE", 1_000)

    class Endless(gym.Env):
        def reset(self, seed=None, options=None):
            self.nb_steps = 0
            return np.zeros(4, np.float32), {}

        def step(self, action):
            self.nb_steps += 1
            return np.zeros(4, np.float32), 1.0, self.nb_steps == 1_001, False, {}

    dqn = build_agent(build_model(4, 2), 2)
    with noted("1,000"):
        dqn.test(Endless(), visualize=False, verbose=0)
    dqn.test(Endless(), visualize=False, verbose=0, nb_max_episode_steps=1_000)


@pytest.mark.long
def test_of_an_environment_without_version_the_newest_is_taken_and_recorded(own, run, said, tmp_path):
    status, errors = run(*own(name="Own-v3")[2:], "--env", "CartPole")
    assert (status, "CartPole-v1" in said(errors)) == (0, True)
    (path,) = (tmp_path / "checkpoints").glob("*_weights.h5f")
    assert path.name == "dqn_CartPole-v1_weights.h5f"
    assert weights.read(path).metadata["env"] == "CartPole-v1"
    assert run("--env", "CartPole", "--resume", "--nb-steps", "40") == (0, errors)
    assert run_command("test", ["--weights", str(path), "--env", "CartPole", "--episodes", "1"]) == 0


def test_the_newest_version_is_the_largest_number_also_in_gymnasium_and_in_modules(own, run, noted):
    modules = [own(name=f"Own-v{version}")[1].partition(":")[0] for version in (9, 10)]
    for module in modules:
        named.module(module)
    with noted("Own-v10"):
        assert environments.full_name(f"{modules[0]}:Own") == f"{modules[0]}:Own-v10"
    gymnasium = pytest.importorskip("gymnasium")
    newest = max(int(name[10:]) for name in gymnasium.registry if re.fullmatch(r"CartPole-v\d+", name))
    with pytest.warns(Note, match=f"CartPole-v{newest} taken"):
        assert environments.full_name("gymnasium:CartPole") == f"gymnasium:CartPole-v{newest}"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert environments.full_name("CartPole-v0") == "CartPole-v0"


# What is refused


@pytest.mark.long
def test_a_training_state_or_its_memory_is_no_weights_file(own, run, said, tmp_path, capsys):
    assert run(*own(), "--state-interval", "8") == (0, "")
    for pattern in ("*_state", "*_state.memory-*"):
        (path,) = (tmp_path / "checkpoints").glob(pattern)
        with pytest.raises(SystemExit) as stop:
            run_command("test", ["--weights", str(path)])
        assert stop.value.code == 2
        assert str(path) in said(capsys.readouterr().err)


def test_absurd_threads_are_refused(run, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    status, errors = run("--threads", 1_000)
    assert (status, "threads" in said(errors)) == (2, True)
    monkeypatch.setattr("os.cpu_count", lambda: 100)
    assert "at most 400 on" in run("--threads", 401)[1]


def test_a_class_that_is_no_environment_is_told_how_to_become_one(own, run, said):
    status, errors = run(*own("(gym.Env)", ""))
    assert (status, "gym.Env" in said(errors)) == (2, True)


@pytest.mark.parametrize("base", [gym.Env, object])
def test_a_test_of_what_draws_nothing_says_how_to_do_without_pictures(base, refused):
    kind = type("Dark", (base,), {"reset": lambda self: np.zeros(4), "step": lambda self, action: None})
    dqn = build_agent(build_model(4, 2), 2)
    with refused("Dark", "visualize=False"):
        dqn.test(kind())
