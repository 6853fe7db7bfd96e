"""A window that somebody closes: pygame's invisible one in this process, a real one on a screen of its own."""

import contextlib
import ctypes
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import gym
import keras
import pygame
import pytest
import rl.callbacks
from keras import layers
from PIL import Image

from kerasrl import DQNAgent, SequentialMemory, environments
from kerasrl.environments import EnvironmentAdapter
from kerasrl.storage import TrainingState

ROOT = Path(__file__).parents[2]
CLOSE = pygame.event.Event(pygame.QUIT)
ESCAPE = pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE)


def build_agent():
    model = keras.Sequential([keras.Input((1, 4)), layers.Flatten(), layers.Dense(2)])
    agent = DQNAgent(model=model, nb_actions=2, memory=SequentialMemory(limit=1000), nb_steps_warmup=10**9)
    agent.compile("sgd", jit_compile=False)
    return agent


class Closing(rl.callbacks.Callback):
    """Closes the window in a step of an episode; counts the pictures that were shown until then."""

    def __init__(self, episode, step, shown):
        super().__init__()
        self.at, self.shown, self.nb_shown = (episode, step), shown, None

    def on_episode_begin(self, episode, logs=None):
        self.episode = episode

    def on_step_begin(self, step, logs=None):
        if (self.episode, step) == self.at:
            pygame.event.post(CLOSE)
            self.nb_shown = len(self.shown)


@pytest.mark.parametrize("event", [CLOSE, ESCAPE])
@pytest.mark.parametrize("render_mode", [None, "human"])
def test_a_closed_window_disappears_and_nothing_more_is_drawn(shown, render_mode, event):
    env = EnvironmentAdapter(environments.make("CartPole-v0", render_mode), visualize=True)
    env.reset(seed=0)
    env.step(0)
    assert not env.closed
    pygame.event.post(event)
    env.step(0)
    assert env.closed
    assert not pygame.display.get_init()
    nb_shown = len(shown)
    env.reset(seed=0)
    for _ in range(8):
        env.step(0)
    assert len(shown) == nb_shown
    assert not pygame.display.get_init()
    env.stop_rendering()
    assert env.env.render_mode == render_mode


def test_a_window_can_be_opened_again(shown):
    inner = environments.make("CartPole-v0")
    for _ in range(2):
        env = EnvironmentAdapter(inner, visualize=True)
        env.reset(seed=0)
        pygame.event.post(CLOSE)
        env.step(0)
        env.stop_rendering()
        assert env.closed
    assert len(shown) == 4
    inner.close()


def test_other_events_neither_close_the_window_nor_fill_the_queue(shown):
    env = EnvironmentAdapter(
        environments.make("CartPole-v0", "human")
    )  # without visualize: the environment has a window too
    env.reset(seed=0)
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_SPACE))
    pygame.event.post(pygame.event.Event(pygame.MOUSEMOTION, pos=(1, 1), rel=(1, 1), buttons=(0, 0, 0)))
    env.step(0)
    assert not env.closed
    assert not pygame.event.get(pump=False)
    env.env.close()


def test_an_environment_without_a_window_leaves_the_events_to_others(shown):
    with_window = EnvironmentAdapter(environments.make("CartPole-v0", "human"))
    with_window.reset(seed=0)
    pygame.event.post(CLOSE)
    without = EnvironmentAdapter(environments.make("CartPole-v0", "rgb_array"))
    without.reset(seed=0)
    without.step(0)
    assert not without.closed
    with_window.step(0)
    assert with_window.closed


def test_the_window_of_a_wrapper_is_noticed(shown):
    inner = gym.wrappers.HumanRendering(environments.make("CartPole-v0", "rgb_array"))
    env = EnvironmentAdapter(inner, visualize=True)
    env.reset(seed=0)
    pygame.event.post(CLOSE)
    env.step(0)
    env.step(0)  # draws on: only an environment's own window can be taken away
    assert env.closed
    inner.close()


class Titles(rl.callbacks.Callback):
    """Notes the title of the window before each step."""

    def __init__(self):
        super().__init__()
        self.titles = []

    def on_step_begin(self, step, logs=None):
        self.titles.append(pygame.display.get_caption()[0])


@pytest.mark.long
@pytest.mark.parametrize("what", ["fit", "test"])
def test_the_title_says_episode_and_reward(shown, what):
    agent, env, titles = build_agent(), environments.make("CartPole-v0"), Titles()
    options = {"callbacks": [titles], "verbose": 0, "seed": 1, "nb_max_episode_steps": 5}
    if what == "fit":
        agent.fit(env, 10, visualize=True, **options)
    else:
        agent.test(env, 2, visualize=True, **options)
    assert titles.titles == [f"episode {episode}   reward {reward}" for episode in (1, 2) for reward in range(5)]
    env.close()


def test_without_a_window_its_title_is_left_alone(shown):
    pygame.display.set_mode((10, 10))
    pygame.display.set_caption("mine")
    build_agent().test(environments.make("CartPole-v0", "rgb_array"), 1, visualize=False, verbose=0)
    assert pygame.display.get_caption()[0] == "mine"


@pytest.mark.long
@pytest.mark.parametrize("visualize", [True, False])
def test_playing_ends_with_the_finished_episodes(shown, visualize, capsys):
    agent = build_agent()
    env = environments.make("CartPole-v0", "human")
    closing = Closing(1, 3, shown)
    history = agent.test(env, 5, callbacks=[closing], visualize=visualize, seed=1)
    assert len(history.history["episode_reward"]) == 1
    assert "Episode 1: " in capsys.readouterr().out
    assert len(shown) == closing.nb_shown + 1
    history = agent.test(env, 5, callbacks=[Closing(0, 0, shown)], visualize=visualize, seed=1)
    assert history.history == {}
    env.close()


@pytest.mark.long
def test_training_goes_on_without_the_window_until_a_state_can_be_saved(shown, tmp_path):
    agent = build_agent()
    state = TrainingState(tmp_path / "state")
    env = environments.make("CartPole-v0")
    closing = Closing(2, 1, shown)
    history = agent.fit(env, 500, callbacks=[closing], visualize=True, verbose=0, seed=1, state=state)
    assert agent.did_abort
    assert len(history.history["episode_reward"]) == 3
    assert history.history["nb_episode_steps"][2] > 5
    assert len(shown) == closing.nb_shown + 1
    assert state.saved_step == agent.step == history.history["nb_steps"][-1] < 500
    history = agent.fit(env, 500, verbose=0, seed=1, state=state, resume=True)
    assert agent.step == 500 and not agent.did_abort


@pytest.mark.long
def test_training_without_a_state_ends_at_once(shown):
    agent = build_agent()
    env = environments.make("CartPole-v0", "human")
    history = agent.fit(env, 500, callbacks=[Closing(2, 1, shown)], verbose=0, seed=1)
    assert len(history.history["episode_reward"]) == 2
    assert agent.step == history.history["nb_steps"][-1] + 2
    env.close()


# A real window


@contextlib.contextmanager
def screen():
    """A screen of 800 x 600 pixels; yields what DISPLAY should be."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "800x600x24"]
    with subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL) as server:
        os.close(write)
        try:
            with os.fdopen(read) as number:
                yield f":{number.readline().strip()}"
        finally:
            server.terminate()


class Program:
    """A script with a window; its output line by line, each with the time of its arrival."""

    def __init__(self, *arguments, folder, **environment):
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "PATH", "TMPDIR") if name in os.environ}
        self.environment = kept | environment
        self.process = subprocess.Popen(
            [sys.executable, "-u", ROOT / arguments[0], *arguments[1:]],
            cwd=folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def window(self):
        search = ["xdotool", "search", "--sync", "--onlyvisible", "--class", "."]
        found = subprocess.run(search, env=self.environment, capture_output=True, text=True, check=True)
        return int(found.stdout.split()[0])

    def speed(self, least):
        """Return the number of steps of some episodes after the first, and at least the seconds that they took."""
        output, told, begin, nb_steps = self.process.stdout.fileno(), "", time.monotonic(), []
        while sum(nb_steps[1:]) < least:
            now = time.monotonic()
            if select.select([output], [], [], 0.01)[0]:
                told += os.read(output, 4096).decode()
                nb_steps = [int(steps) for steps in re.findall(r"Episode .* steps: (\d+)\n", told)]
            elif not nb_steps:
                begin = now  # what follows has not been printed yet
        return sum(nb_steps[1:]), time.monotonic() - begin

    def end(self):
        """Return the status, the rest of stdout, and stderr."""
        out, errors = self.process.communicate()
        return self.process.returncode, out, errors


class ClientMessage(ctypes.Structure):
    """XClientMessageEvent of Xlib.h, as long as an XEvent."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5),
        ("rest", ctypes.c_long * 12),
    )


def press_close_button(display, window):
    """Send what a window manager sends when somebody presses the button."""
    x11 = ctypes.CDLL("libX11.so.6")
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XInternAtom.restype = ctypes.c_ulong
    connection = ctypes.c_void_p(x11.XOpenDisplay(display.encode()))
    message = ClientMessage(type=33, window=window, format=32)
    message.message_type = x11.XInternAtom(connection, b"WM_PROTOCOLS", 0)
    message.data[0] = x11.XInternAtom(connection, b"WM_DELETE_WINDOW", 0)
    assert x11.XSendEvent(connection, ctypes.c_ulong(window), 0, ctypes.c_long(0), ctypes.byref(message))
    x11.XCloseDisplay(connection)


def colours(display, folder):
    """Take a screenshot; return how many pixels there are of each colour."""
    shot = folder / "screen.png"
    subprocess.run(["import", "-display", display, "-window", "root", shot], check=True)
    with Image.open(shot) as image:
        return {colour: number for number, colour in image.convert("RGB").getcolors(2**24)}


def wait_for_white(display, folder):
    """Wait until CartPole's background is on the screen; return its colours."""
    while (found := colours(display, folder)).get(WHITE, 0) <= 200_000:
        time.sleep(0.1)
    return found


WHITE, BLACK, POLE = (255, 255, 255), (0, 0, 0), (202, 152, 101)


@pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("Xvfb", "xdotool", "import")), reason="needs Xvfb, xdotool, imagemagick"
)
def test_train_and_play_in_a_real_window(tmp_path):
    with screen() as display:
        training = Program("train.py", "--seed", "1", "--visualize", folder=tmp_path, DISPLAY=display)
        window = training.window()
        wait_for_white(display, tmp_path)
        press_close_button(display, window)
        status, out, errors = training.end()
        assert status == 0, errors
        assert not set(colours(display, tmp_path)) - {BLACK}
        weights = tmp_path / "checkpoints/dqn_CartPole-v0_weights.h5f"
        assert weights.exists() and (tmp_path / "checkpoints/dqn_CartPole-v0_state").exists()

        arguments = ["test.py", "--weights", str(weights), "--visualize", "--episodes", "1000"]
        interrupted = Program(*arguments, folder=tmp_path, SDL_VIDEODRIVER="dummy")
        playing = Program(*arguments, folder=tmp_path, DISPLAY=display)
        nb_steps, seconds = playing.speed(100)
        assert nb_steps / seconds < 55  # 50 and a reset's picture are natural, and no machine is faster
        assert wait_for_white(display, tmp_path)[POLE] > 500
        press_close_button(display, playing.window())
        status, out, errors = playing.end()
        assert (status, errors) == (0, "")
        assert re.search(r"mean \d+\.\d", out)

        interrupted.process.send_signal(signal.SIGINT)
        assert interrupted.end()[::2] == (130, "stopped by Ctrl-C\n")
