"""Where evaluations, films and playing take place: copies of the environment trained in, as it is at the moment."""

import threading

import gym
import numpy as np
import pytest
import rl.callbacks
from gym.utils import EzPickle

from kerasrl import Config, environments, train
from kerasrl.cli.door import run as run_command
from kerasrl.environments.copying import Copies

BOX = gym.spaces.Box(0, 1, (1,), np.float32)
DRAWS = {"render_modes": ["rgb_array", "human"]}


class Paying(gym.Env):
    """Pays `pay`, which its owner may change, in each of five steps."""

    observation_space, action_space = BOX, gym.spaces.Discrete(2)
    metadata = DRAWS
    opened, closed, drawn = [], [], []

    def __init__(self, render_mode=None):
        self.render_mode, self.pay, self.rates = render_mode, 1.0, {"tax": 0.0}
        self.opened.append(self)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.nb_steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.nb_steps += 1
        return np.zeros(1, np.float32), self.pay - self.rates["tax"], self.nb_steps == 5, False, {}

    def render(self):
        self.drawn.append(self.pay)
        return np.zeros((4, 4, 3), np.uint8)

    def close(self):
        self.closed.append(self)


class Remade(Paying, EzPickle):
    """Makes itself anew where it is copied, like LunarLander and Atari's games."""

    def __init__(self, render_mode=None):
        Paying.__init__(self, render_mode)
        EzPickle.__init__(self, render_mode)


class Locked(Paying):
    """Cannot be copied."""

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.lock = threading.Lock()


class Single(Locked):
    """May exist only once, like a robot or a port."""

    def __init__(self, render_mode=None):
        if any(type(env) is Single and env not in Paying.closed for env in Paying.opened):
            raise OSError("the port is taken")
        super().__init__(render_mode)


class Counting(gym.Wrapper):
    """A wrapper with a state, like NormalizeObservation: pays as many times as much as episodes have begun."""

    def __init__(self, env):
        super().__init__(env)
        self.begun, self.inner = np.zeros(1), env.unwrapped

    def reset(self, **options):
        self.begun += 1
        return self.env.reset(**options)

    def step(self, action):
        observation, reward, *rest = self.env.step(action)
        assert self.inner is self.unwrapped  # not another one's
        return observation, reward * self.begun.item(), *rest


class Raising(rl.callbacks.Callback):
    """Raises the pay by one at the end of each episode."""

    def on_episode_end(self, episode, logs):
        self.env.unwrapped.pay += 1
        self.env.unwrapped.rates["tax"] += 0.5


for name, kind in (("Paying", Paying), ("Locked", Locked), ("Single", Single)):
    gym.register(f"{name}Test-v0", kind)
gym.register("CountingTest-v0", lambda **options: Counting(Paying(**options)))


@pytest.fixture(autouse=True)
def nobody_is_left():
    yield
    for found in (Paying.opened, Paying.closed, Paying.drawn):
        found.clear()


@pytest.fixture
def config(tmp_path):
    return lambda **settings: Config(
        **{
            **{"nb_steps": 20, "eval_interval": 5, "eval_episodes": 1, "hidden_layers": (2,), "verbose": 0, "seed": 0},
            **{"checkpoint_dir": str(tmp_path), "log_dir": str(tmp_path), "overwrite": True, "eps_test": 0.0},
            **settings,
        }
    )


HOW = {
    "object": lambda: {"env": Paying()},
    "class": lambda: {"env": Paying},
    "function": lambda: {"env": lambda: gym.wrappers.TimeLimit(Paying(), 50)},
    "object that makes itself": lambda: {"env": Remade()},
    "name": lambda: {},
}


LONG = {"class", "function", "function of a wrapper"}  # which go the way of a name or of a function that is short


def each(ways):
    return pytest.mark.parametrize("how", [pytest.param(how, marks=[pytest.mark.long] * (how in LONG)) for how in ways])


@pytest.mark.long
@each(HOW)
def test_evaluations_see_what_was_changed_until_then(config, how):
    trained = train(config(env="PayingTest-v0"), **HOW[how](), callbacks=[Raising()])
    assert trained.history["evaluation_reward"] == [5.0, 7.5, 10.0, 12.5]


@pytest.mark.long
def test_playing_sees_what_was_changed_in_an_object(config, capsys):
    env = Paying()
    trained = train(config(nb_steps=5), env=env, callbacks=[Raising()])
    assert trained.play(episodes=1) == [7.5]
    env.pay = 11.5
    assert trained.play(episodes=1) == [55.0]
    assert env not in Paying.closed


COUNTING = {
    "name": lambda: {},
    "function": lambda: {"env": lambda: Counting(Paying())},
    "object": lambda: {"env": Counting(Paying())},
    "function that makes what cannot be copied": lambda: {"env": lambda: Counting(Locked())},
}


@pytest.mark.long
@each(COUNTING)
def test_what_wrappers_have_gathered_is_there_in_evaluations_and_playing(config, how, recwarn):
    trained = train(config(env="CountingTest-v0", nb_steps=10), **COUNTING[how]())
    assert trained.history["evaluation_reward"] == [10.0, 15.0]  # the episodes begun in training, and the evaluation's
    assert trained.play(episodes=1) == [15.0]


@pytest.mark.long
@each(["name", "function", "object"])
def test_films_show_what_was_changed_until_then(config, how):
    train(config(env="PayingTest-v0", record_every=10, nb_steps=15), **HOW[how](), callbacks=[Raising()])
    assert set(Paying.drawn) == {2.0}  # at step 10, after the first episode


@pytest.mark.long
def test_an_environment_that_cannot_be_copied_is_told_at_the_start(config, tmp_path, refused, noted):
    with noted("Locked", "__deepcopy__"):
        train(config(env="LockedTest-v0"))
    with refused("lock", "env=lambda", "eval_interval=0"):
        train(config(), env=Locked())
    locked = Locked()
    trained = train(config(eval_interval=0), env=locked)
    with noted("itself"):
        assert trained.play(1) == [5.0]
    assert locked not in Paying.closed
    with refused("always returns the same"):
        train(config(), env=lambda: locked)


@pytest.mark.long
def test_one_that_may_exist_only_once(config, tmp_path, refused, said, capsys):
    with refused("second", "eval_interval=0"):
        train(config(), env=Single)
    assert not list(tmp_path.glob("dqn*"))
    trained = train(config(env="SingleTest-v0", eval_interval=0))
    assert trained.history["episode_reward"] == [5.0] * 4
    assert trained.play(1) == [5.0]
    with pytest.raises(SystemExit):
        run_command("train", ["--env", "SingleTest-v0"])
    assert "--eval-interval 0" in said(capsys.readouterr().err)


class Failing(rl.callbacks.Callback):
    def on_step_end(self, step, logs):
        if step == 3:
            raise ArithmeticError("of the callback")


class Unclosable(Paying):
    def close(self):
        super().close()
        raise OSError("cannot be closed")


@pytest.mark.long
@pytest.mark.parametrize("kind", [Paying, Locked, Unclosable])
@pytest.mark.filterwarnings("ignore::kerasrl.errors.Note")
def test_whatever_was_opened_is_closed_when_a_training_fails(config, kind):
    with pytest.raises(ArithmeticError, match="of the callback"):
        train(config(), env=kind, callbacks=[Failing()])
    assert all(env in Paying.closed for env in Paying.opened)
    assert len(Paying.closed) == 2  # the one trained in, and the evaluations'


def test_copies_that_make_themselves_are_closed_and_others_are_not():
    for kind in (Paying, Remade):
        env = kind()
        copies = Copies(env)
        first, second = copies.latest, copies.now()
        assert Paying.closed == ([first] if kind is Remade else []) and second is not first


class Seeing(gym.Env):
    """Learns from what it draws itself."""

    observation_space, action_space = gym.spaces.Box(0, 255, (4, 4), np.uint8), gym.spaces.Discrete(2)
    metadata = DRAWS

    def __init__(self, render_mode="rgb_array"):
        self.render_mode = render_mode

    def render(self):
        return np.full((4, 4, 3), 7 * self.nb_steps, np.uint8) if self.render_mode == "rgb_array" else None

    def reset(self, seed=None, options=None):
        self.nb_steps = 0
        return self.render()[:, :, 0], {}

    def step(self, action):
        self.nb_steps += 1
        return self.render()[:, :, 0], 1.0, self.nb_steps == 5, False, {}


class Pictures(gym.ObservationWrapper):
    """Shows what an environment draws instead of what it observes."""

    observation_space = Seeing.observation_space

    def observation(self, observation):
        return self.env.render()[:, :, 0]


gym.register("SeeingTest-v0", Seeing)
SEEING = {
    "name": lambda: {},
    "object": lambda: {"env": Seeing()},
    "class": lambda: {"env": Seeing},
    "function": lambda: {"env": lambda: Seeing("rgb_array")},
    "wrapper": lambda: {"env": Pictures(Paying("rgb_array"))},
    "function of a wrapper": lambda: {"env": lambda: Pictures(Paying("rgb_array"))},
}


@pytest.mark.long
@each(SEEING)
def test_pictures_are_learned_from_however_the_environment_is_given(config, how, capsys):
    trained = train(config(env="SeeingTest-v0", nb_steps=10), **SEEING[how]())
    assert trained.history["evaluation_reward"] == [5.0, 5.0] == trained.play(2)


@pytest.mark.parametrize("name", ["CartPole-v1", "FrozenLake-v1", "LunarLander-v2"])
def test_an_environment_that_has_drawn_is_copied(name):
    env = environments.make(name, "rgb_array")
    env.reset(seed=1)
    env.render()
    copy = Copies(env, render_mode="rgb_array").latest
    assert np.array_equal(copy.reset(seed=2)[0], env.reset(seed=2)[0])
    assert np.array_equal(copy.render(), env.render())
