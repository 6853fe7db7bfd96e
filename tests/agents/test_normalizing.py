"""Observations that are normalised: statistics, what networks see, and that weights bring both along."""

import copy
import re

import gym
import keras
import numpy as np
import pytest
import rl.callbacks
import rl.core
from keras import layers
from killing import KillAt, Killed

from kerasrl import Config, DQNAgent, NormalizingProcessor, SARSAAgent, SequentialMemory, train
from kerasrl.callbacks import Evaluation
from kerasrl.config.agents import AGENTS
from kerasrl.environments.normalizing import Normalizer
from kerasrl.environments.processors import AtariProcessor, OneHotProcessor
from kerasrl.storage import TrainingState, weights

SPREAD = np.array([0.5, 200.0, 3.0], np.float32)
CENTRE = np.array([-1.0, 5000.0, 0.0], np.float32)


class Drifting(gym.Env):
    """Shows three numbers of very different sizes; ends after 7 steps. The larger the first, the better action 1."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (3,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self):
        self.shown = []

    def show(self):
        self.shown.append((self.np_random.normal(size=3) * SPREAD + CENTRE).astype(np.float32))
        return self.shown[-1]

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.nb_steps = 0
        return self.show(), {}

    def step(self, action):
        reward = float(action == (self.shown[-1][0] > CENTRE[0]))
        self.nb_steps += 1
        return self.show(), reward, self.nb_steps == 7, False, {}


class Dicts(Drifting):
    """Shows two of the numbers and a Discrete one by key; the model's inputs are in another order."""

    observation_space = gym.spaces.Dict(
        b=gym.spaces.Box(-np.inf, np.inf, (2,), np.float32), a=gym.spaces.Discrete(3), c=gym.spaces.Box(-9, 9, (1,))
    )

    def show(self):
        x = super().show()
        return {"b": x[:2], "a": int(x[2]) % 3, "c": x[2:]}


def reference(shown, x):
    """What x becomes by the statistics of what was shown."""
    mean, variance = np.mean(shown, 0, np.float64), np.var(np.asarray(shown, np.float64), 0)
    return np.clip((x - mean) / np.sqrt(variance + 1e-8), -10, 10).astype(np.float32)


def build_agent(processor=None, window_length=1, **options):
    model = keras.Sequential([keras.Input((window_length, 3)), layers.Flatten(), layers.Dense(2)])
    processor = processor or NormalizingProcessor(np.zeros(3, np.float32))
    memory = SequentialMemory(60, window_length=window_length)
    options = {"nb_steps_warmup": 10**9, "batch_size": 8, "gamma": 0.5, **options}
    agent = DQNAgent(model, nb_actions=2, memory=memory, processor=processor, **options)
    agent.compile(keras.optimizers.SGD(0.1))
    return agent


# Statistics


@pytest.mark.parametrize("shape", [(), (3,), (2, 2)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_statistics_equal_numpys(shape, dtype):
    seen = (np.random.default_rng(0).normal(1e6, 3, (200, *shape))).astype(dtype)
    normalizer = Normalizer(seen[0])
    (before,) = normalizer.normalized([seen[:2]])
    np.testing.assert_allclose(before, np.clip(seen[:2].astype(float), -10, 10))  # nothing is known yet
    for x in seen:
        normalizer.add(x)
    (own,) = normalizer.statistics
    exact = seen.astype(np.float64)
    assert normalizer.count == 200
    np.testing.assert_allclose(own.mean, exact.mean(0), rtol=1e-14)
    np.testing.assert_allclose(own.squares / 200, exact.var(0), rtol=1e-8, atol=1e-12)
    (normalized,) = normalizer.normalized([seen])
    assert normalized.dtype == np.float32
    np.testing.assert_allclose(normalized, reference(seen, seen), rtol=1e-5, atol=1e-6)


def test_what_is_far_away_is_clipped_and_what_never_changes_is_0():
    normalizer = Normalizer(np.zeros(2))
    for k in range(10):
        normalizer.add(np.array([k, 7.0]))
    (x,) = normalizer.normalized([np.array([[1e9, 7.0], [-1e9, 7.0]])])
    np.testing.assert_array_equal(x, [[10, 0], [-10, 0]])


class Playing(rl.callbacks.Callback):
    """Plays at the end of each episode."""

    def on_episode_end(self, episode, logs):
        before = str(self.model.normalizer.get_state())
        self.model.test(Drifting(), 1, visualize=False, verbose=0)
        assert str(self.model.normalizer.get_state()) == before


def test_only_what_a_training_shows_to_its_agent_counts():
    agent = build_agent()
    agent.test(Drifting(), 2, visualize=False, verbose=0)
    assert agent.normalizer.count == 0
    agent.fit(Drifting(), 17, nb_max_start_steps=4, verbose=0, seed=1, callbacks=[Playing()])
    agent.act(np.zeros(3, np.float32))
    agent.test(Drifting(), 1, visualize=False, verbose=0)
    stored = np.array([*agent.memory.observations])  # as they were given, those at the ends of episodes included
    assert agent.normalizer.count == len(stored) > 17 and np.abs(stored).max() > 4000
    np.testing.assert_allclose(agent.normalizer.statistics[0].mean, stored.mean(0, np.float64), rtol=1e-12)


class Recording(rl.callbacks.Callback):
    """Keeps what is drawn from the memory, what the update is given for it, and the weights before that."""

    def on_train_begin(self, logs=None):
        agent, self.raw, self.given, self.weights = self.model, [], [], []
        memory, update = agent.memory, agent._update

        def drawing(draw):
            def recorded(*arguments):
                drawn = draw(*arguments)
                self.raw.append(copy.deepcopy(drawn))
                return drawn

            return recorded

        def updating(batch, following):
            self.given.append((batch.states[0].copy(), following[0].copy()))
            self.weights.append(agent.model.get_weights())
            return update(batch, following)

        memory.draw, memory.draw_packed, agent._update = drawing(memory.draw), drawing(memory.draw_packed), updating


def unpacked(rows):
    """Frames [n, 2, 3], actions, rewards and discounts of packed transitions."""
    return rows[:, :6].reshape(-1, 2, 3), rows[:, 6].astype(int), rows[:, 7], 0.5 * rows[:, 8]


@pytest.mark.parametrize("is_packed, window_length", [(True, 1), (False, 1), (False, 2)])
def test_an_update_and_the_next_action_see_the_statistics_of_the_moment(is_packed, window_length):
    class Exact(Drifting):
        def show(self):
            return super().show().astype(np.float32 if is_packed else np.float64)

    agent, env, record = build_agent(window_length=window_length, nb_steps_warmup=15), Exact(), Recording()
    agent.fit(env, 18, verbose=0, seed=1, callbacks=[record])
    (given, following), raw = record.given[0], record.raw[0]
    assert isinstance(raw, np.ndarray) == is_packed
    frames = unpacked(given)[0] if is_packed else given
    drawn, actions, rewards, discounts = unpacked(raw) if is_packed else (raw.frames[0], *raw[1:4])
    shown = env.shown[: 17 + 3]  # in 17 steps, and at the beginnings of three episodes
    np.testing.assert_allclose(frames, reference(shown, drawn), rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(following[0], reference(shown, np.array(shown[-window_length:])), rtol=2e-5, atol=1e-6)
    # One step of gradient descent, with a target network that is as yet the same.
    kernel, bias = (w.astype(np.float64) for w in record.weights[0])
    before, after = (part.reshape(8, -1) for part in (frames[:, :window_length], frames[:, -window_length:]))
    targets = rewards + discounts * (after @ kernel + bias).max(1)
    taken = np.eye(2)[actions]
    error = (targets[:, None] - (before @ kernel + bias)) * taken / 8
    for own, wanted in zip(
        record.weights[1], (kernel + 0.1 * before.T @ error, bias + 0.1 * error.sum(0)), strict=True
    ):
        np.testing.assert_allclose(own, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.long
def test_large_numbers_of_64_bits_are_normalised_as_they_were_given():
    class Late(Drifting):
        def show(self):
            return 1e9 + super().show().astype(np.float64) / 100

    agent, record = build_agent(nb_steps_warmup=9), Recording()
    agent.fit(Late(), 12, verbose=0, seed=1, callbacks=[record])
    assert np.ptp(record.given[0][0], axis=(0, 1)).min() > 1  # in 32 bits they would all be the same


def test_sarsa_values_both_states_by_the_statistics_of_the_moment():
    model = keras.Sequential([keras.Input((1, 3)), layers.Flatten(), layers.Dense(2)])
    agent = SARSAAgent(model, 2, nb_steps_warmup=3, processor=NormalizingProcessor(np.zeros(3)), gamma=0.5)
    agent.compile(keras.optimizers.SGD(0.1))
    seen, env = [], Drifting()

    def learning(state, index, target, following):
        seen.append((state[0], index, target, following[0], agent.model.get_weights()))
        return learn(state, index, target, following)

    learn, agent._update.learn = agent._update.learn, learning
    agent.fit(env, 5, verbose=0, seed=1)
    state, _, target, _, (kernel, bias) = seen[0]  # at step 4, whose observation is the last but one
    shown = env.shown[:6]
    x = reference(shown, np.array(shown))
    np.testing.assert_allclose(state[0, 0], x[3], rtol=2e-5, atol=1e-6)
    values = x[4] @ kernel + bias
    assert min(abs(target - reward - 0.5 * value) for reward in (0, 1) for value in values) < 1e-5


@pytest.mark.long
def test_a_dictionarys_parts_have_their_own_statistics_and_one_hot_ones_have_none():
    env, one_hot = Dicts(), OneHotProcessor(Dicts.observation_space)
    example = one_hot.process_observation(env.observation_space.sample())
    inputs = {name: keras.Input((1, size), name=name) for name, size in (("c", 1), ("b", 2), ("a", 3))}
    output = layers.Dense(2)(layers.Concatenate()([layers.Flatten()(x) for x in inputs.values()]))
    model = keras.Model(list(inputs.values()), output)
    processor = NormalizingProcessor(example, one_hot)
    agent = DQNAgent(model, nb_actions=2, memory=SequentialMemory(60), processor=processor, nb_steps_warmup=20)
    agent.compile("sgd")
    assert agent.processor is one_hot
    agent.fit(env, 30, verbose=0, seed=1)
    shown = np.array(env.shown)
    c, b, a = agent.states([[one_hot.process_observation({"b": shown[5, :2], "a": 2, "c": shown[5, 2:]})]])
    np.testing.assert_array_equal(a, [[[0, 0, 1]]])
    np.testing.assert_allclose(b[0, 0], reference(shown[:, :2], shown[5, :2]), rtol=2e-5)
    np.testing.assert_allclose(c[0, 0], reference(shown[:, 2:], shown[5, 2:]), rtol=2e-5)


@pytest.mark.long
def test_another_processor_comes_first():
    class Halving(rl.core.Processor):
        def process_observation(self, observation):
            return observation[:2] / 2

        def process_reward(self, reward):
            return reward * 3

    model = keras.Sequential([keras.Input((1, 2)), layers.Flatten(), layers.Dense(2)])
    both = NormalizingProcessor(np.zeros(2), Halving())
    np.testing.assert_array_equal(both.process_observation(np.array([2.0, 4.0, 6.0])), [1, 2])
    agent = DQNAgent(model, nb_actions=2, memory=SequentialMemory(60), processor=both, nb_steps_warmup=9)
    agent.compile("sgd")
    env = Drifting()
    history = agent.fit(env, 14, verbose=0, seed=1).history
    np.testing.assert_allclose(
        agent.normalizer.statistics[0].mean, np.mean(np.array(env.shown)[:, :2] / 2, 0), rtol=1e-6
    )
    assert history["episode_reward"] == [3 * reward for reward in history["environment_reward"]]
    agent.processor = Halving()
    assert agent.normalizer is None


# What cannot be normalised


def test_pictures_and_discrete_observations_are_refused(refused, tmp_path):
    with refused("84 x 84", "normalize_observations"):
        NormalizingProcessor(np.zeros((84, 84), np.uint8), AtariProcessor())
    NormalizingProcessor(np.zeros(128, np.uint8))  # Atari's memory
    folders = {"checkpoint_dir": str(tmp_path / "c"), "log_dir": str(tmp_path / "l")}
    with refused("normalize_observations"):
        train(Config(env="FrozenLake-v1", normalize_observations=True, **folders))
    assert {file.name for file in tmp_path.rglob("*.*")} <= {".lock"}


def test_a_processor_of_whole_states_is_refused(refused):
    class Stacking(rl.core.Processor):
        def process_state_batch(self, batch):
            return batch

    with refused("Stacking.process_state_batch"):
        NormalizingProcessor(np.zeros(3), Stacking())


@pytest.mark.parametrize("shape", [(4,), (1,), (1, 3)])
def test_observations_of_another_shape_are_told_in_one_line(shape, refused):
    class Changing(Drifting):
        def step(self, action):
            _, *others = super().step(action)
            return np.zeros(shape, np.float32), *others

    with refused(str(shape), varying=r"line \d+"):
        build_agent().fit(Changing(), 9, verbose=0)


# In files


FOLDERS = ("checkpoint_dir", "log_dir")
SMALL = {"nb_steps": 120, "eval_interval": 50, "eval_episodes": 2, "seed": 1, "verbose": 0, "hidden_layers": (4,)}
SMALL |= {"normalize_observations": True, "jit_compile": False, "nb_max_episode_steps": 20}


def trained_in(folder, kind=Config, **settings):
    return train(kind(**{**SMALL, **settings, **dict.fromkeys(FOLDERS, str(folder))}))


def counts(path):
    """How many observations the statistics in a weights file have."""
    agent = build_cartpole_agent()
    agent.load_weights(path)
    return agent.normalizer.count


def build_cartpole_agent():
    model = keras.Sequential([keras.Input((1, 4)), layers.Flatten(), layers.Dense(4, "relu"), layers.Dense(2)])
    agent = DQNAgent(model, nb_actions=2, memory=SequentialMemory(9), processor=NormalizingProcessor(np.zeros(4)))
    agent.compile("sgd")
    return agent


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return trained_in(tmp_path_factory.mktemp("trained"))


def nb_shown(trained, step):
    """How many observations a training has shown until a step."""
    return step + 1 + sum(end < step for end in trained.history["nb_steps"])


@pytest.mark.long
def test_weights_play_with_the_statistics_they_were_saved_with(trained):
    best = trained.best
    assert counts(trained.files.weights) == trained.agent.normalizer.count == nb_shown(trained, 120)
    assert counts(trained.files.best) == nb_shown(trained, best[1])
    assert np.mean(trained.play(episodes=2, seed=2**32 - 1 - 1)) == best[0]


@pytest.mark.long
def test_best_weights_come_back_with_their_statistics_in_a_resume(trained, tmp_path):
    begun = trained_in(tmp_path, nb_steps=60)
    kept = weights.read(begun.files.best)
    begun.files.best.unlink()
    whole = trained_in(tmp_path, resume=True)
    if whole.best == begun.best:
        assert weights.read(whole.files.best).held == kept.held
    assert counts(whole.files.best) == nb_shown(trained, whole.best[1])
    assert_same(whole.agent, trained.agent)


def assert_same(agent, other):
    for a, b in zip(agent.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert agent.held_state() == other.held_state()


def test_an_evaluation_writes_best_weights_with_their_statistics_again(tmp_path):
    agent, evaluation = build_agent(), Evaluation(Drifting(), tmp_path / "best.h5f", interval=10, nb_episodes=1)
    agent.fit(Drifting(), 9, verbose=0, seed=1, callbacks=[evaluation])
    state, other = evaluation.get_state(), build_agent()
    agent.fit(Drifting(), 9, verbose=0)
    evaluation.set_model(agent)
    (tmp_path / "best.h5f").unlink()
    evaluation.set_state(state)
    other.load_weights(tmp_path / "best.h5f")
    assert other.normalizer.count == 9 + 2


@pytest.mark.long
def test_a_killed_training_goes_on_exactly(tmp_path):
    def fit(name, nb_steps=90, resume=False, callbacks=()):
        keras.utils.set_random_seed(3)
        agent = build_agent(nb_steps_warmup=12)
        state = TrainingState(tmp_path / name, interval=20)
        agent.fit(Drifting(), nb_steps, verbose=0, seed=5, callbacks=callbacks, state=state, resume=resume)
        return agent

    whole = fit("whole")
    for step in (31, 70):
        with pytest.raises(Killed):
            fit("parts", resume=step > 31, callbacks=[KillAt(step)])
    assert_same(fit("parts", resume=True), whole)


@pytest.mark.long
@pytest.mark.parametrize("name", list(AGENTS))
def test_every_agent_learns_resumes_plays_and_is_exported(name, tmp_path, capsys):
    own = {} if name == "cem" else {"nb_steps_warmup_actor": 30, "nb_steps_warmup_critic": 20} if name == "ddpg" else {}
    own |= {"batch_size": 2, "memory_limit": 2, "elite_frac": 0.5, "train_interval": 1} if name == "cem" else {}
    kind = AGENTS[name].settings
    whole = trained_in(tmp_path / "whole", kind, **own)
    trained_in(tmp_path / "parts", kind, **own, nb_steps=60)
    parts = trained_in(tmp_path / "parts", kind, resume=True, nb_steps=120)
    assert_same(parts.agent, whole.agent)
    assert np.mean(parts.play(episodes=2, seed=2**32 - 1 - 1)) == parts.best[0]
    capsys.readouterr()
    parts.export(tmp_path / "policy.keras", episodes=2)
    assert float(re.search(r"within (\S+)", capsys.readouterr().out)[1]) < 1e-4


@pytest.mark.long
def test_an_exported_network_normalises_observations_itself(trained, tmp_path):
    trained.export(tmp_path / "policy.keras", episodes=2)
    policy, agent = keras.models.load_model(tmp_path / "policy.keras", compile=False), trained.agent
    agent.load_weights(trained.files.best)
    for observation in np.random.normal(size=(20, 4)).astype(np.float32):
        own = agent.compute_q_values([observation])
        np.testing.assert_allclose(policy.predict_on_batch(observation[None, None])[0], own, rtol=1e-5, atol=1e-5)
    assert agent.normalizer.count > 50  # not the network alone


@pytest.mark.long
@pytest.mark.parametrize("file", ["policy.onnx", "policy.tflite", "policy"])
def test_other_formats_can_normalise_too(trained, tmp_path, file, capsys):
    trained.export(tmp_path / file, episodes=2)
    assert "the agent's action in all" in capsys.readouterr().out


@pytest.mark.long
def test_weights_and_agents_of_the_two_kinds_are_not_mixed(trained, tmp_path, refused, noted):
    other = DQNAgent(build_cartpole_agent().model, nb_actions=2, memory=SequentialMemory(9))
    other.compile("sgd")
    with refused(trained.files.best, "NormalizingProcessor"):
        other.load_weights(trained.files.best)
    other.save_weights(tmp_path / "plain.h5f")
    with noted("plain.h5f", "Normalizer"):
        build_cartpole_agent().load_weights(tmp_path / "plain.h5f")
