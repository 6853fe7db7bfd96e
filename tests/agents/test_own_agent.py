"""An agent that the package has never heard of, built on public names, has all that surrounds a training."""

import inspect

import keras
import numpy as np
import pytest
import rl.callbacks
import tensorflow as tf
from keras import layers
from killing import KillAt, Killed
from rl.random import OrnsteinUhlenbeckProcess

from kerasrl.agents import Agent
from kerasrl.callbacks import Evaluation, Film, ModelIntervalCheckpoint
from kerasrl.learning import Trainable, fresh
from kerasrl.replay import SequentialMemory
from kerasrl.storage import TrainingState, weights


class SmallDDPG(Agent):
    """Deterministic policy gradients (Lillicrap et al. 2015): continuous actions, two networks, one call for a step."""

    metrics_names = ("loss",)

    def __init__(self, actor, critic, memory, random_process, **options):
        super().__init__(**options)
        self.models = {"actor": actor, "critic": critic}
        self.memory, self.random_process = memory, random_process

    def compile(self, optimizer, jit_compile=False):
        for name, model in self.models.items():
            self.trainables[name] = Trainable(model, fresh(optimizer), jit_compile=jit_compile)
        self.compiled = True

    def parts(self):
        return {**super().parts(), "random_process": self.random_process}

    def reset_states(self):
        super().reset_states()
        self.random_process.reset_states()

    def forward(self, observation):
        action = self.trainables["actor"].output([observation[None, None]])[0]
        if self.training:
            action = action + self.random_process.sample()
        self.recent_observation, self.recent_action = observation, action
        return action

    def backward(self, reward, terminal):
        self.memory.append(
            self.recent_observation, self.recent_action, reward, terminal, self.training, self.recent_truncated
        )
        if not self.training or self.step < 30:
            return [np.nan]
        sample = self.memory.draw(16, gamma=0.9)
        arrays = [*sample.frames, sample.actions, sample.rewards, sample.discounts]
        for network in self.trainables.values():
            network.take_over()
        result = self.trainables["critic"].calls("update", self.update, arrays)
        for network in self.trainables.values():
            network.have_changed()
        return result.tolist()

    def update(self, frames, actions, rewards, discounts):
        actor, critic = self.trainables.values()
        before, after = frames[:, :1], frames[:, 1:]
        values = critic.forward_target([after, actor.forward_target([after])])[:, 0]
        targets = rewards + discounts * values
        loss = critic.descend([before, actions], lambda q: tf.reduce_mean((targets - q[:, 0]) ** 2))
        actor.descend([before], lambda action: -tf.reduce_mean(critic.forward([before, action])))
        actor.move_target(0.05), critic.move_target(0.05)
        return loss[None]


class Line:
    """A point that is pushed along a line, and should be where the reward is highest: at 0."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012
    render_mode, rng = "rgb_array", None

    def reset(self, seed=None):
        if seed is not None or self.rng is None:
            self.rng = np.random.default_rng(seed)
        self.position, self.nb_steps = self.rng.uniform(-1, 1), 0
        return self.observe(), {}

    def observe(self):
        return np.array([self.position, 1.0], np.float32)

    def step(self, action):
        assert action.shape == (1,)
        self.position = float(np.clip(self.position + 0.5 * action[0], -2, 2))
        self.nb_steps += 1
        return self.observe(), -(self.position**2), abs(self.position) == 2, self.nb_steps == 8, {}

    def render(self):
        picture = np.zeros((20, 41, 3), np.uint8)
        picture[8:12, int(20 + 10 * self.position)] = 255
        return picture


def build_agent(jit_compile=False):
    keras.utils.set_random_seed(3)
    state = keras.Input((1, 2))
    actor = keras.Model(state, layers.Dense(1)(layers.Flatten()(state)))
    action = keras.Input((1,))
    hidden = layers.Dense(16, activation="relu")(layers.Concatenate()([layers.Flatten()(state), action]))
    critic = keras.Model([state, action], layers.Dense(1)(hidden))
    process = OrnsteinUhlenbeckProcess(theta=0.5, mu=0.0, sigma=0.5, dt=0.5, size=1)
    agent = SmallDDPG(actor, critic, SequentialMemory(limit=500), process, metadata={"made": "here"})
    agent.compile(keras.optimizers.Adam(0.02), jit_compile)
    return agent


class Actions(rl.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.actions, self.rewards, self.losses = [], [], []

    def on_step_end(self, step, logs):
        self.actions.append(logs["action"])
        self.rewards.append(logs["reward"])
        self.losses.append(logs["metrics"][0])


def fit(path, nb_steps, callbacks=(), resume=False, interval=60, **options):
    agent = build_agent(**options)
    state = TrainingState(path / "state", interval=interval)
    agent.fit(Line(), nb_steps, verbose=0, seed=5, callbacks=list(callbacks), state=state, resume=resume)
    return agent


def everything(agent):
    return [*agent.get_weights(), *agent.trainables["actor"].get_state(), *agent.trainables["critic"].get_state()]


def assert_equal(one, other):
    for a, b in zip(everything(one), everything(other), strict=True):
        np.testing.assert_array_equal(a, b)
    for name in ("observations", "actions", "rewards", "terminals"):
        np.testing.assert_array_equal(getattr(one.memory, name), getattr(other.memory, name))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run with everything beside it, and its folder."""
    folder, actions = tmp_path_factory.mktemp("whole"), Actions()
    env = Line()
    evaluation = Evaluation(
        env, folder / "best.h5f", 80, 3, seed=1, film=lambda step: Film(folder / f"{step}.gif", env), film_interval=200
    )
    checkpoint = ModelIntervalCheckpoint(str(folder / "at_{step}.h5f"), interval=100)
    agent = fit(folder, 400, [evaluation, actions, checkpoint], jit_compile="auto")
    return agent, folder, actions, evaluation


def test_it_is_short():
    assert len(inspect.getsource(SmallDDPG).splitlines()) <= 60


def test_it_learns(trained):
    agent, _, actions, _ = trained
    before, after = (
        np.mean(a.test(Line(), 20, visualize=False, verbose=0, seed=2).history["episode_reward"])
        for a in (build_agent(), agent)
    )
    assert after > -1 > before
    assert np.isnan(actions.losses[:30]).all() and np.isfinite(actions.losses[30:]).all()


def test_actions_and_rewards_are_stored_as_they_are_given(trained):
    agent, _, actions, _ = trained
    rows = agent.memory.rewards != 0  # what follows an episode's end has none
    np.testing.assert_array_equal(agent.memory.actions[rows][-300:], actions.actions[-300:])
    assert agent.memory.rewards[rows][-300:].tolist() == actions.rewards[-300:]
    assert agent.memory.actions.dtype == actions.actions[0].dtype


@pytest.mark.long
def test_evaluations_films_and_weights(trained):
    agent, folder, _, evaluation = trained
    films = list(folder.glob("*.gif"))
    assert len(films) == 2 and all(film.read_bytes().startswith(b"GIF89a") for film in films)
    assert evaluation.best[0] >= evaluation.last[0] and evaluation.last[1] == 400
    assert weights.read(folder / "best.h5f").metadata == {"made": "here"}
    other = build_agent()
    other.load_weights(folder / "at_400.h5f")
    for one, another in zip(agent.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, another)
    rewards = [a.test(Line(), 2, visualize=False, verbose=0, seed=2).history["episode_reward"] for a in (agent, other)]
    np.testing.assert_allclose(*rewards, 1e-5)


@pytest.mark.long
def test_evaluations_leave_the_training_as_it_was(tmp_path):
    (tmp_path / "without").mkdir()
    evaluation = Evaluation(Line(), tmp_path / "best.h5f", 50, 2)
    assert_equal(fit(tmp_path, 200, [evaluation]), fit(tmp_path / "without", 200))


@pytest.mark.long
@pytest.mark.parametrize("killed", [pytest.param(False, marks=pytest.mark.long), True])
def test_a_resume_is_exact(tmp_path, killed):
    folders = [tmp_path / name for name in ("whole", "parts")]
    for folder in folders:
        folder.mkdir()
    whole = fit(folders[0], 240)
    if killed:
        with pytest.raises(Killed):
            fit(folders[1], 240, [KillAt(170)])
    else:
        fit(folders[1], 150)
    assert_equal(fit(folders[1], 240, resume=True), whole)


def test_a_network_without_a_target_loads_weights(tmp_path):
    def build():
        agent = Agent()
        state = keras.Input((2,))
        model = keras.Model(state, layers.Dense(1)(state))
        agent.trainables["network"] = Trainable(model, fresh("sgd"), has_target=False, jit_compile=False)
        return agent

    saved, agent = build(), build()
    saved.save_weights(tmp_path / "w.h5f")
    agent.load_weights(tmp_path / "w.h5f")
    inputs = [np.ones((1, 2), np.float32)]
    np.testing.assert_array_equal(*(a.trainables["network"].output(inputs) for a in (saved, agent)))


# Without a replay memory


class Climber(Agent):
    """Keeps a change of its one number if an episode went better with it."""

    metrics_names = ("value",)

    def __init__(self, **options):
        super().__init__(**options)
        self.value = self.best = -1.0
        self.best_reward, self.reward, self.compiled = -np.inf, -np.inf, True

    def reset_states(self):
        super().reset_states()
        if self.training:
            if self.reward > self.best_reward:
                self.best, self.best_reward = self.value, self.reward
            self.value, self.reward = self.best + np.random.normal() / 5, 0.0

    def forward(self, observation):
        return np.array([(self.value if self.training else self.best) * observation[0]])

    def backward(self, reward, terminal):
        self.reward += reward if self.training else 0.0
        return [self.value]

    def get_state(self):
        return {**super().get_state(), "own": [self.value, self.best, self.best_reward, self.reward]}

    def set_state(self, state, warm_up):
        super().set_state(state, warm_up)
        self.value, self.best, self.best_reward, self.reward = state["own"]


def climb(path, nb_steps, resume=False):
    agent = Climber()
    agent.fit(Line(), nb_steps, verbose=0, seed=1, state=TrainingState(path, interval=20), resume=resume)
    return agent


def test_an_agent_without_networks_or_memory_goes_on_exactly(tmp_path):
    whole = climb(tmp_path / "whole", 200)
    climb(tmp_path / "parts", 90)
    resumed = climb(tmp_path / "parts", 200, resume=True)
    assert resumed.get_state() == whole.get_state()
    assert whole.best != -1.0


def test_a_memory_that_cannot_be_kept_is_refused(tmp_path, refused):
    import rl.memory

    agent = Climber()
    agent.memory = rl.memory.EpisodeParameterMemory(limit=10, window_length=1)
    agent.fit(Line(), 20, verbose=0)
    with refused("kerasrl.EpisodeParameterMemory"):
        agent.fit(Line(), 20, verbose=0, state=TrainingState(tmp_path / "state"))
