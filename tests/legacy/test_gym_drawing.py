"""Drawing and films in old scripts, environments of other libraries, and what is told about them."""

import json

import pytest

RENDER = """
import gym
env = gym.make("CartPole-v0")
env.reset()
print(env.render(), env.render("human"), env.render(mode="human"), env.render(close=True))
print(env.render(mode="rgb_array").shape, env.render("rgb_array").dtype, env.unwrapped.render_mode)
env.render()
env.step(0)
print(env.render(mode="rgb_array").shape)
class Own(gym.Env):
    metadata = {"render.modes": ["human"]}
    action_space = observation_space = gym.spaces.Discrete(2)
    def render(self):
        print("drawn")
class Closing(Own):
    def render(self, mode="human", close=False):
        return mode, close
Own().render(); Own().render(mode="human"); Own().render(close=True)
print(Closing().render("a"), Closing().render(mode="b"), Closing().render(close=True))
lake = gym.make("FrozenLake-v0", is_slippery=False)
lake.reset()
lake.render()
pong = gym.make("Pong-v0")
pong.reset()
print(pong.render(mode="rgb_array").shape, pong.render())
later = gym.make("CartPole-v1", render_mode="human")
print(later.reset().shape, later.render_mode)
"""
PICTURES = """
from pygame import display
flips, flip = [], display.flip
display.flip = lambda: (flips.append(display.get_surface().get_size()), flip())
"""


def test_render_in_all_spellings_without_a_screen(run_old):
    ran = run_old(RENDER)
    assert (ran.status, ran.output) == (
        0,
        [
            *("None None None None", "(400, 600, 3) uint8 None", "(400, 600, 3)", "drawn", "drawn", "drawn"),
            *("('a', False) ('b', False) ('human', True)", "", "\x1b[41mS\x1b[0mFFF", "FHFH", "FFFH", "HFFG", ""),
            *("(210, 160, 3) None", "(4,) None"),
        ],
    )
    assert sum("no screen" in line for line in ran.errors) == 1
    assert "line 5: render() -> draws, although gym.make was not given a render_mode" in ran.errors


@pytest.mark.long
def test_render_in_all_spellings_with_a_screen(run_old):
    ran = run_old(PICTURES + RENDER.replace("is_slippery=False", "") + "print(flips)", SDL_VIDEODRIVER="dummy")
    assert ran.status == 0
    assert ran.output[-1] == str([(600, 400)] * 4 + [(480, 630)] + [(600, 400)])
    assert not any("no screen" in line for line in ran.errors)


MONITOR = """
import gym
def play(env, episodes):
    for _ in range(episodes):
        state, done = env.reset(), False
        while not done:
            state, reward, done, info = env.step(0)
    env.close()
def make():
    return gym.make("CartPole-v0", max_episode_steps=4)
env = gym.wrappers.Monitor(make(), "some/folder", force=True, uid="u")
play(env, 10)
print(env.get_episode_lengths(), env.get_episode_rewards(), env.get_total_steps())
play(gym.wrappers.Monitor(make(), "chosen", video_callable=lambda episode: episode == 2, resume=True, uid="u"), 4)
play(gym.wrappers.Monitor(make(), "none", video_callable=False, uid="u"), 2)
play(gym.wrappers.Monitor("curried", uid="u")(make()), 1)
play(gym.wrappers.RecordVideo(make(), "recorded", episode_trigger=lambda episode: episode % 2 == 0), 3)
env = make()
env.monitor.start("older", uid="u")
state, done = env.reset(), False
while not done:
    state, reward, done, info = env.step(0)
env.monitor.close()
env.reset(); env.step(0)
class Broken(gym.envs.classic_control.CartPoleEnv):
    def render(self, mode="human"):
        raise OSError("no OpenGL")
play(gym.wrappers.Monitor(gym.wrappers.TimeLimit(Broken(), 4), "broken", uid="u"), 2)
"""


@pytest.mark.long
def test_monitors_write_films_of_the_episodes_that_gym_chose(run_old, tmp_path):
    ran = run_old(MONITOR)
    assert (ran.status, ran.output) == (0, [f"{[4] * 10} {[4.0] * 10} 40"]), ran.errors
    films = {
        folder: sorted(film.stem[-6:] for film in (tmp_path / folder).glob("*.[mg][pi][4f]"))
        for folder in ("some/folder", "chosen", "none", "curried", "recorded", "older", "broken")
    }
    assert films == {
        "some/folder": ["000000", "000001", "000008"],
        "chosen": ["000002"],
        "none": [],
        "curried": ["000000"],
        "recorded": ["000000", "000002"],
        "older": ["000000"],
        "broken": [],
    }
    stats = tmp_path / "some/folder/openaigym.episode_batch.0.u.stats.json"
    assert json.loads(stats.read_text())["episode_rewards"] == [4.0] * 10
    assert all(film.stat().st_size > 1000 for film in tmp_path.rglob("*0000*"))
    assert not list(tmp_path.rglob("*.tmp"))
    assert sum(line == "note: nothing is filmed: render() failed (no OpenGL)" for line in ran.errors) == 1


VIEWER = """
import math
import numpy as np
from gym.envs.classic_control import rendering
viewer = rendering.Viewer(100, 50)
viewer.set_bounds(0, 10, 0, 5)
square = rendering.FilledPolygon([(0, 0), (0, 1), (1, 1), (1, 0)])
square.set_color(1, 0, 0)
turned, moved = rendering.Transform(rotation=math.pi), rendering.Transform(translation=(3, 2))
square.add_attr(turned)
square.add_attr(moved)
viewer.add_geom(square)
viewer.draw_line((0, 4), (10, 4), color=(0, 0, 1))
picture = viewer.render(return_rgb_array=True)
print(picture.shape, picture.dtype, picture[49 - 15, 25], picture[49 - 15, 35], picture[49 - 25, 25], picture[10, 50])
print(viewer.render(return_rgb_array=True)[10, 50])
bar = rendering.make_capsule(4, 2)
bar.set_color(0, 1, 0)
viewer.add_onetime(bar)
for shape in (rendering.make_circle(1), rendering.make_polyline([(0, 0), (1, 1)]), rendering.Line(), rendering.Point()):
    viewer.add_onetime(shape)
print(viewer.render(True)[49 - 5, 45], viewer.render())
viewer.close()
rendering.SimpleImageViewer().imshow(np.zeros((4, 5, 3), np.uint8))
"""


def test_viewers_draw_with_transforms_and_colours(run_old):
    red, white, blue, green = "[255   0   0]", "[255 255 255]", "[  0   0 255]", "[  0 255   0]"
    ran = run_old(VIEWER)
    assert (ran.status, ran.output) == (
        0,
        [f"(50, 100, 3) uint8 {red} {white} {white} {blue}", white, f"{green} True"],
    ), ran.errors
    assert sum("no screen" in line for line in ran.errors) == 1


ATARI = """
import gym
for name in {names}:
    env = gym.make(name)
    env.seed(1)
    state = env.reset()
    state, reward, done, info = env.step(env.action_space.sample())
    inner = env.unwrapped
    print(state.shape, type(env.action_space.n), env.action_space.n, isinstance(env.action_space, gym.spaces.Discrete))
    print(isinstance(env, gym.Env), inner._frameskip, inner.ale.getFloat("repeat_action_probability"), env.spec.id)
    print(inner.get_action_meanings()[0], inner.ale.lives(), env.observation_space.dtype)
"""


@pytest.mark.long
def test_atari_games_have_the_dynamics_of_their_old_names(run_old):
    names = ["BreakoutDeterministic-v4", "Breakout-v0", "PongNoFrameskip-v4", "Pong-ram-v0", "ALE/Pong-v5"]
    ran = run_old(ATARI.format(names=names))
    assert ran.status == 0, ran.errors
    assert ran.output[0::3] == [
        *["(210, 160, 3) <class 'int'> 4 True"] * 2,
        *("(210, 160, 3) <class 'int'> 6 True", "(128,) <class 'int'> 6 True", "(210, 160, 3) <class 'int'> 6 True"),
    ]
    assert ran.output[1::3] == [
        *("True 4 0.0 BreakoutDeterministic-v4", "True (2, 5) 0.25 Breakout-v0", "True 1 0.0 PongNoFrameskip-v4"),
        *("True (2, 5) 0.25 Pong-ram-v0", "True 4 0.25 ALE/Pong-v5"),
    ]
    assert ran.output[2::3] == [f"NOOP {lives} uint8" for lives in (5, 5, 0, 0, 0)]


@pytest.mark.long
def test_gymnasium_finds_what_it_found(run_old):
    ran = run_old(
        """
import gymnasium as gym
for name in ("CartPole-v1", "ALE/Pong-v5", "LunarLander-v2"):
    env = gym.make(name, render_mode="human" if name == "CartPole-v1" else None)
    state, info = env.reset(seed=1)
    state, reward, terminated, truncated, info = env.step(0)
    print(type(env.action_space.n), env.spec.id)
print(type(gym.spaces.Discrete(3).n), gym.spaces.Discrete(3) == gym.spaces.Discrete(3))
"""
    )
    names = ("CartPole-v1", "ALE/Pong-v5", "LunarLander-v3")
    assert (ran.status, ran.output) == (0, [f"<class 'int'> {name}" for name in names] + ["<class 'int'> True"])
    assert "line 4: gymnasium.make('LunarLander-v2') -> 'LunarLander-v3'" in ran.errors


PACKAGE = {
    "project/setup.py": "",
    "project/gym_own/__init__.py": """
from gym.envs.registration import register
register(id="Own-v0", entry_point="gym_own.envs:Own", timestep_limit=3)
""",
    "project/gym_own/envs/__init__.py": "from gym_own.envs.own import Own",
    "project/gym_own/envs/own.py": """
import gym
class Own(gym.Env):
    action_space, observation_space = gym.spaces.Discrete(2), gym.spaces.Discrete(3)
    def reset(self):
        return 0
    def step(self, action):
        return 1, 0.5, False, {}
""",
}


@pytest.mark.parametrize("project", ["project", "gym_own"])
@pytest.mark.parametrize("first", ["", "import gym_own"])
def test_a_gym_package_beside_the_script_needs_no_installation(project, first, run_old, tmp_path):
    for name, text in PACKAGE.items():
        path = tmp_path / name.replace("project", project, 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    name = "Own-v0" if first else "gym_own:Own-v0"
    ran = run_old(
        f"{first}\nimport gym\nenv = gym.make('{name}')\nenv.reset()\nprint([env.step(0)[2] for _ in range(3)])"
    )
    assert (ran.status, ran.output) == (0, ["[False, False, True]"]), ran.errors
    assert any(f"from the folder {project}, since it is not installed" in line for line in ran.errors)


@pytest.mark.parametrize(
    "text",
    [
        "gym.make('NChain-v0')",
        "gym.make('Xyzzy-v0')",
        "from gym.envs.algorithmic import CopyEnv\nprint(1)\nCopyEnv()",
    ],
)
def test_what_gym_dropped_is_refused_in_one_line_when_it_is_used(text, said, run_old):
    ran = run_old(f"import gym\n{text}")
    (line,) = ran.errors
    assert (ran.status, f", line {1 + len(text.splitlines())}: " in said(line)) == (2, True)


def test_what_is_told_names_each_line_once(said, run_old):
    ran = run_old(
        """
import gym
env = gym.make("Taxi-v2")
env.seed(4)
for _ in range(3):
    state = env.reset()
    while True:
        state, reward, done, info = env.step(0)
        if done:
            break
"""
    )
    assert [said(line)[:7] for line in ran.errors] == ["line 3:", "line 4:", "line 6:", "line 8:", "note: T"]


AGENT = """
import gym
import numpy as np
from tensorflow.keras.layers import Dense, Flatten
from tensorflow.keras.models import Sequential
from tensorflow.keras.optimizers import Adam
from rl.agents.dqn import DQNAgent
from rl.memory import SequentialMemory

class Older(gym.Env):
    metadata = {"render.modes": ["human"]}
    action_space, observation_space = gym.spaces.Discrete(2), gym.spaces.Box(0, 9, (1,))
    def _reset(self):
        self.now = 0
        return np.zeros(1)
    def _step(self, action):
        self.now += 1
        return np.full(1, self.now), float(action), self.now == 5, {}
    def _render(self, mode="human", close=False):
        if not close:
            print("drawn")

class Doubled(gym.ObservationWrapper):
    def _observation(self, observation):
        return observation * 2

class Plain:
    action_space, observation_space = gym.spaces.Discrete(2), gym.spaces.Box(0, 9, (1,))
    def reset(self):
        self.now = 0
        return np.zeros(1)
    def step(self, action):
        self.now += 1
        return np.full(1, self.now), float(action), self.now == 5, {}
    def render(self):
        print("plain")

def learn(env):
    model = Sequential([Flatten(input_shape=(1, *env.observation_space.shape)), Dense(env.action_space.n)])
    dqn = DQNAgent(model=model, nb_actions=2, memory=SequentialMemory(limit=99, window_length=1), nb_steps_warmup=5)
    dqn.compile(Adam(learning_rate=1e-3))
    history = dqn.fit(env, nb_steps=20, visualize=False, verbose=0)
    print(history.history["nb_episode_steps"])
    dqn.test(env, nb_episodes=1, visualize=True, verbose=0)

learn(Doubled(gym.wrappers.TimeLimit(Older(), 4)))
learn(Older())
learn(Plain())
"""


@pytest.mark.long
def test_an_agent_learns_in_old_environments_and_shows_them(run_old):
    ran = run_old(AGENT, SDL_VIDEODRIVER="dummy")
    assert ran.status == 0, ran.errors
    fours, fives = [str([4] * 5), *["drawn"] * 4], [str([5] * 4)]
    assert ran.output == [*fours, *fives, *["drawn"] * 5, *fives, *["plain"] * 5]
