"""Environments that draw nothing, or only arrays, or only after their first reset."""

from typing import ClassVar

import gym
import numpy as np
import pytest

from kerasrl import UserError, environments
from kerasrl.cli.door import run as run_command
from kerasrl.environments import EnvironmentAdapter


class Silent(gym.Env):
    """Draws nothing; an episode has ten steps."""

    observation_space = gym.spaces.Box(-1, 1, (2,))
    action_space = gym.spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        self.nb_steps = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.nb_steps += 1
        return np.zeros(2, np.float32), 1.0, self.nb_steps == 10, False, {}


class Drawn(Silent):
    """Draws arrays only."""

    metadata: ClassVar = {"render_modes": ["rgb_array"], "render_fps": 100}

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def render(self):
        return np.full((50, 50, 3), self.nb_steps, np.uint8)


class Older(Silent):
    """As in older gym; notes when it is drawn."""

    metadata: ClassVar = {"render.modes": ["human"]}
    drawn: ClassVar = []

    def reset(self):
        return super().reset()[0]

    def step(self, action):
        observation, reward, done, _, info = super().step(action)
        return observation, reward, done, info

    def seed(self, seed=None):
        pass

    def render(self, mode="human"):
        self.drawn.append(self.nb_steps)


gym.register("Silent-v0", Silent)
gym.register("Drawn-v0", Drawn)
gym.register("DrawnOlder-v0", Older)
SAYS = "this environment draws no pictures"


def run(name, capsys, *arguments):
    """Return exit status, stdout and stderr of a command line."""
    try:
        status = run_command(name, [*map(str, arguments)])
    except SystemExit as stop:
        status = stop.code
    return status, *capsys.readouterr()


@pytest.mark.parametrize("arguments", [["--visualize"], ["--record-every", "100"]])
def test_training_with_pictures_is_refused_before_anything_is_written(tmp_path, capsys, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    status, _, errors = run("train", capsys, "--env", "Silent-v0", *arguments)
    assert status == 2 and SAYS in errors and errors.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "says"), [("Silent-v0", "play them:"), ("Drawn-v0", "play them (--visualize opens a window):")]
)
def test_a_window_is_offered_only_by_what_draws(tmp_path, capsys, monkeypatch, name, says):
    monkeypatch.chdir(tmp_path)
    status, out, _ = run("train", capsys, "--env", name, "--nb-steps", 20)
    assert status == 0
    assert out.splitlines()[-2].startswith(says)
    if name == "Silent-v0":
        for arguments in (["--visualize"], ["--record", "film.gif"]):
            weights = tmp_path / "checkpoints/dqn_Silent-v0_weights.h5f"
            status, _, errors = run("test", capsys, "--weights", weights, *arguments)
            assert status == 2 and SAYS in errors and errors.count("\n") == 1


def test_what_draws_arrays_only_has_a_window_too(shown):
    env = environments.make("Drawn-v0", "human")
    environment = EnvironmentAdapter(env, visualize=True)
    environment.reset(seed=0)
    environment.step(0)
    assert len(shown) == 2
    env.close()


def test_an_older_environment_is_not_drawn_before_its_reset(shown):
    env = EnvironmentAdapter(environments.make("DrawnOlder-v0", "human"))
    env.reset(seed=0)
    env.step(0)
    assert Older.drawn == [0, 1]


def test_a_film_of_what_draws_nothing_is_refused_as_well():
    with pytest.raises(UserError, match=SAYS):
        environments.require_pictures(environments.make("Silent-v0"))


class Printing(Silent):
    """Prints itself where it is asked to; without a render mode, as was usual until gym 0.25."""

    metadata: ClassVar[dict] = {"render_modes": ["human"]}

    def render(self, mode="human"):
        print("step", self.nb_steps)


class PrintingInStep(Printing):
    """Prints itself in each step, as has been usual since."""

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def step(self, action):
        result = super().step(action)
        if self.render_mode == "human":
            self.render()
        return result


class Opening(Printing):
    """Would open a window."""

    def render(self, mode="human"):
        import pygame

        pygame.display.set_mode((9, 9))


for kind in (Printing, PrintingInStep, Opening):
    gym.register(f"{kind.__name__}Test-v0", kind)


@pytest.fixture
def no_screen(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)


PRINTING = [Printing(), PrintingInStep(), PrintingInStep("human"), gym.Wrapper(Printing())]


@pytest.mark.parametrize("env", PRINTING, ids=str)
def test_an_environment_that_prints_itself_needs_no_screen(env, no_screen, capsys):
    mode = env.unwrapped.render_mode
    adapter = EnvironmentAdapter(env, visualize=True)
    adapter.reset()
    for _ in range(3):
        adapter.step(0)
    adapter.stop_rendering()
    assert capsys.readouterr().out == "step 1\nstep 2\nstep 3\n"
    assert env.unwrapped.render_mode == mode and "render" not in vars(env.unwrapped)


def test_a_drawing_that_has_not_begun_is_forgotten(no_screen):
    env = Printing()
    EnvironmentAdapter(env, visualize=True).stop_rendering()
    assert env.render_mode is None and "render" not in vars(env)


def test_an_environment_that_opens_a_window_needs_a_screen(no_screen):
    with pytest.raises(UserError, match="there is no screen"):
        EnvironmentAdapter(Opening(), visualize=True)
    with pytest.raises(UserError, match="there is no screen"):
        environments.make("OpeningTest-v0", "human")


@pytest.mark.long
@pytest.mark.parametrize("kind", [Printing, PrintingInStep])
def test_one_that_prints_itself_is_shown_by_its_name_but_not_evaluated_aloud(
    kind, no_screen, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    options = ["--nb-steps", "10", "--eval-interval", "10", "--eval-episodes", "1", "--seed", "1"]
    assert run_command("train", ["--env", f"{kind.__name__}Test-v0", *options, "--visualize"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step ") and " of " not in line]
    assert lines == [f"step {k}" for k in range(1, 11)]
