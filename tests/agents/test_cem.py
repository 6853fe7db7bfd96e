"""CEMAgent beside Keras-RL's own code, in an environment whose best is known, and everything that agents have."""

import functools
import random

import keras
import numpy as np
import pytest
import rl.agents
import rl.callbacks
import rl.core
import rl.memory
import rl.processors
from keras import layers

import kerasrl
from kerasrl import CEMAgent, EpisodeParameterMemory, SequentialMemory
from kerasrl.callbacks import Evaluation
from kerasrl.storage import TrainingState


class SignEnv:
    """Episodes of 5 steps; the best action is the sign of the number that is seen, beside a 1."""

    length = 5

    def reset(self, seed=None):
        if seed is not None or not hasattr(self, "rng"):
            self.rng = np.random.default_rng(seed)
        self.nb_steps = 0
        return self.observe()

    def observe(self):
        self.number = self.rng.normal()
        return np.array([self.number, 1.0], np.float32)

    def step(self, action):
        self.nb_steps += 1
        reward = 1.0 if action == (self.number > 0) else -0.5
        return self.observe(), reward, self.nb_steps == self.length, {}


def build_model(window_length=1, activation=None):
    output = layers.Dense(2, activation, bias_initializer="random_normal")
    return keras.Sequential([keras.Input((window_length, 2)), layers.Flatten(), output])


def build_agent(kind=CEMAgent, memory=EpisodeParameterMemory, window_length=1, model=None, limit=30, **options):
    keras.utils.set_random_seed(3)
    options = {"batch_size": 10, "nb_steps_warmup": 40, "train_interval": 6, "elite_frac": 0.3} | options
    model = build_model(window_length) if model is None else model
    agent = kind(model, 2, memory(limit=limit, window_length=window_length), **options)
    agent.compile(jit_compile=False)
    return agent


class Recorder(rl.callbacks.Callback):
    def __init__(self, after=None):
        super().__init__()
        self.metrics, self.actions, self.after = [], [], after or {}

    def on_step_end(self, step, logs):
        self.metrics.append(logs["metrics"])
        self.actions.append(int(logs["action"]))
        self.after.get(len(self.metrics), lambda agent: None)(self.model)


def train(agent, nb_steps=200, callbacks=(), env=SignEnv, **options):
    recorder = Recorder()
    agent.fit(env(), nb_steps, callbacks=[recorder, *callbacks], verbose=0, **{"seed": 5, **options})
    return recorder


# Beside Keras-RL's own code


class Network:
    """The linear model in NumPy, as Keras-RL uses it."""

    def __init__(self, weights, is_softmax):
        self.weights, self.is_softmax = weights, is_softmax

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = [weight.astype(np.float32) for weight in weights]

    def predict_on_batch(self, batch):
        kernel, bias = self.weights
        output = np.asarray(batch, np.float32).reshape(1, -1) @ kernel + bias
        return np.exp(output) / np.exp(output).sum() if self.is_softmax else output


CASES = {
    "usual": {},
    "softmax": {"activation": "softmax"},
    "noise": {"noise_ampl": 0.5},
    "noise that decays, window": {"noise_ampl": 2.0, "noise_decay_const": 0.05, "window_length": 3},
    "all of them are the best": {"elite_frac": 1.0, "train_interval": 1, "batch_size": 4},
    "few episodes": {"limit": 3, "nb_steps_warmup": 10, "train_interval": 2},
    "theta": {"theta_init": np.array([-9.0, 9, 0, 0, 0, 0, 0.1, 0.1, 0, 0, 0, 0]), "memory_interval": 1},
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_keras_rls_search(case):
    options = dict(CASES[case])
    activation, window_length = options.pop("activation", None), options.pop("window_length", 1)
    if "theta_init" in options:
        options["theta_init"] = options["theta_init"].copy()
    ours = build_agent(model=build_model(window_length, activation), window_length=window_length, **options)
    theirs = build_agent(
        type("Theirs", (rl.agents.CEMAgent,), {"compile": lambda self, jit_compile: setattr(self, "compiled", True)}),
        rl.memory.EpisodeParameterMemory, window_length, Network(ours.model.get_weights(), activation), **options,
    )  # fmt: skip
    expected, actual = Recorder(), train(ours, 150)
    np.random.seed(5)
    random.seed(5)
    env = SignEnv()
    env.rng = ReseededLikeOurs(5)
    theirs.fit(env, 150, callbacks=[expected], verbose=0)
    assert actual.actions == expected.actions
    np.testing.assert_allclose(actual.metrics, expected.metrics, 1e-6)
    assert np.isfinite(actual.metrics).sum() >= 3 and ours.episode == theirs.episode == 30
    np.testing.assert_allclose(ours.theta, theirs.theta, 1e-5, 1e-6)
    np.testing.assert_allclose(ours.memory.params, theirs.memory.params, 1e-5, 1e-6)
    np.testing.assert_allclose(ours.memory.total_rewards, theirs.memory.total_rewards, 1e-6)
    assert ours.best_seen[0] == pytest.approx(theirs.best_seen[0])
    np.testing.assert_allclose(ours.best_seen[1], theirs.best_seen[1], 1e-5, 1e-6)
    np.testing.assert_allclose(ours.get_weights_flat(ours.model.get_weights()), ours.best_seen[1], 1e-6)


class ReseededLikeOurs:
    """The environment's generator, with the seed that `fit` derives from its own for each episode of five steps."""

    def __init__(self, seed):
        self.seed, self.nb_drawn = seed, 0

    def normal(self):
        episode, step = divmod(self.nb_drawn, 6)
        if step == 0:
            number = np.random.SeedSequence([self.seed, episode]).generate_state(1)[0] >> 1
            self.rng = np.random.default_rng(int(number))
        self.nb_drawn += 1
        return self.rng.normal()


# A best that is known


def test_it_finds_the_best():
    class Clear(SignEnv):
        """Of either sign, and long enough that luck does not pass for skill."""

        length = 20

        def observe(self):
            super().observe()
            self.number = np.sign(self.number)
            return np.array([self.number, 1.0], np.float32)

    agent = build_agent(noise_ampl=0.2, batch_size=20, train_interval=20, limit=20)
    rewards = [reward for (reward,) in train(agent, 4000, env=Clear).metrics if reward == reward]
    assert agent.test(Clear(), 9, verbose=0, visualize=False, seed=1).history["episode_reward"] == [20.0] * 9
    assert len(rewards) >= 8 and rewards[0] < 16 < 19 < rewards[-1] and agent.best_seen[0] == 20.0


def test_what_a_training_ends_with_is_what_its_end_evaluates(tmp_path):
    """Those of the last step are drawn for an episode that is not played."""
    agent = build_agent(batch_size=2, train_interval=1, nb_steps_warmup=0, limit=2, noise_ampl=1.0)
    shown = []

    class Looking(Evaluation):
        def evaluate(self, step):
            shown.append((step, self.model.get_weights()))
            return super().evaluate(step)

    evaluation = Looking(SignEnv(), tmp_path / "best.h5f", interval=1, nb_episodes=1, seed=1)
    train(agent, 10, callbacks=[evaluation])
    assert agent.best_seen[0] > -np.inf
    assert all(map(np.array_equal, shown[-1][1], agent.get_weights()))
    assert evaluation.last == (evaluation.mean_reward(SignEnv(), 1, 1, "it"), shown[-1][0])


def test_a_training_that_ends_before_anything_is_learned_leaves_the_weights():
    agent = build_agent()
    train(agent, 4)
    assert agent.best_seen[0] == -np.inf and all(np.any(weight) for weight in agent.model.get_weights())


def test_an_episode_that_is_cut_off_counts_for_nothing():
    agent = build_agent()
    for _ in range(2):
        train(agent, 8)
    assert agent.memory.nb_entries == 2 and agent.memory.intermediate_rewards == []
    assert max(agent.memory.total_rewards) <= 5.0


def test_the_distribution_waits_for_a_batch_of_episodes():
    agent = build_agent(nb_steps_warmup=0)
    before = agent.theta.copy()
    drawn = [reward for (reward,) in train(agent, 35).metrics if reward == reward]  # after the 1st episode and the 7th
    assert len(drawn) == 2 and agent.best_seen[0] == max(agent.memory.total_rewards)
    np.testing.assert_array_equal(agent.theta, before)
    train(agent, 30)  # after the 13th
    assert (agent.theta[: agent.num_weights] != 0).all() and (agent.theta[agent.num_weights :] > 0.01).all()


def test_a_copy_of_keras_rls_constructor_may_take_its_place():
    class Mine(CEMAgent):
        def __init__(self, model, nb_actions, memory, **kwargs):
            super(CEMAgent, self).__init__(**kwargs)
            self.nb_actions, self.batch_size, self.elite_frac, self.num_best = nb_actions, 3, 0.5, 2
            self.nb_steps_warmup, self.train_interval, self.memory_interval = 5, 1, 1
            self.noise_decay_const = self.noise_ampl = self.init_mean = 0.0
            self.memory, self.model, self.init_stdev = memory, model, 1.0
            self.shapes = [w.shape for w in model.get_weights()]
            self.sizes = [w.size for w in model.get_weights()]
            self.num_weights = sum(self.sizes)
            self.best_seen, self.theta = (-np.inf, np.zeros(self.num_weights)), np.zeros(2 * self.num_weights)
            self.update_theta(None)
            self.episode, self.compiled = 0, False
            self.reset_states()

    agent = Mine(build_model(), 2, EpisodeParameterMemory(limit=3), processor=rl.core.Processor())
    agent.compile(jit_compile=False)
    train(agent, 25)
    assert (agent.theta[: agent.num_weights] != 0).all() and agent.best_seen[0] > -np.inf


def test_at_least_one_episode_is_the_best():
    agent = build_agent(batch_size=4, elite_frac=0.05)
    assert agent.num_best == 1
    train(agent, 70)
    assert (agent.theta[6:] == 0).all()  # of one episode nothing deviates


@pytest.mark.parametrize("interval", [1, 2, 3])
def test_an_episodes_end_counts_whatever_the_interval(interval):
    class Late(SignEnv):
        def step(self, action):
            observation, _, done, info = super().step(action)
            return observation, 10.0 if done else 0.0, done, info

    agent = build_agent(memory_interval=interval)
    train(agent, 20, env=Late)
    assert list(agent.memory.total_rewards) == [10.0] * 4


def test_large_outputs_choose_surely():
    model = build_model()
    model.set_weights([np.zeros((2, 2)), np.array([2e4, 0.0])])
    agent = build_agent(model=model)
    agent.training = True
    assert {int(agent.select_action([np.ones(2, np.float32)])) for _ in range(9)} == {0}
    assert agent.select_action([np.ones(2, np.float32)], stochastic=True) == 0


# What all agents have


@pytest.fixture(scope="module")
def trained():
    """An agent, and what it did in a training of 200 steps."""
    agent = build_agent(noise_ampl=0.1)
    return agent, train(agent)


def assert_same(one, other):
    for name in ("theta", "episode"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.best_seen[0] == other.best_seen[0] and np.array_equal(one.best_seen[1], other.best_seen[1])
    assert all(map(np.array_equal, one.memory.params, other.memory.params))
    assert one.memory.total_rewards == other.memory.total_rewards
    assert all(map(np.array_equal, one.get_weights(), other.get_weights()))


@pytest.mark.long
def test_one_seed_one_result(trained):
    agent = build_agent(noise_ampl=0.1)
    assert train(agent).actions == trained[1].actions
    assert_same(agent, trained[0])
    assert train(agent, seed=6).actions != trained[1].actions


@pytest.mark.long
def test_tests_and_looks_in_callbacks_leave_the_training_unchanged(trained):
    class Meddling(rl.callbacks.Callback):
        def test(self, *args, logs=None):
            if self.model.step % 4 and self.model.step % 5:
                return
            weights = self.model.model.get_weights()
            self.model.test(SignEnv(), 1, visualize=False, verbose=0)
            self.model.act(np.ones(2))
            assert all(map(np.array_equal, weights, self.model.model.get_weights()))

        on_action_end = on_step_end = on_episode_end = test

    agent = build_agent(noise_ampl=0.1)
    assert train(agent, callbacks=[Meddling()]).actions == trained[1].actions
    assert_same(agent, trained[0])


@pytest.mark.parametrize("killed", [pytest.param(False, marks=pytest.mark.long), True])
def test_a_resume_is_exact(tmp_path, killed, trained):
    class Killed(Exception):
        pass

    def kill(agent):
        raise Killed

    build = functools.partial(build_agent, noise_ampl=0.1)
    if killed:
        with pytest.raises(Killed):
            train(build(), callbacks=[Recorder({124: kill})], state=TrainingState(tmp_path / "state", interval=20))
    else:
        train(build(), 123, state=TrainingState(tmp_path / "state", interval=20))
    resumed = build()
    recorder = train(resumed, state=TrainingState(tmp_path / "state", interval=20), resume=True)
    assert recorder.actions == trained[1].actions
    assert_same(resumed, trained[0])


def test_a_resume_with_another_memory_is_refused(tmp_path, refused):
    train(build_agent(), 30, state=TrainingState(tmp_path / "state"))
    with refused("limit"):
        train(build_agent(limit=40), 60, state=TrainingState(tmp_path / "state"), resume=True)
    with refused("kerasrl.EpisodeParameterMemory"):
        train(build_agent(memory=rl.memory.EpisodeParameterMemory), 30, state=TrainingState(tmp_path / "state"))


def test_a_second_fit_goes_on(trained):
    agent = build_agent()
    train(agent, 100)
    before = agent.get_weights_flat(agent.model.get_weights())
    assert agent.episode == 20
    train(agent, 5)
    assert agent.episode == 21 and np.array_equal(agent.memory.params[20], before)


def test_weights_that_somebody_writes_count_at_once():
    model = build_model()
    surely = {action: [np.zeros((2, 2)), 1e3 * np.eye(2)[action]] for action in (0, 1)}
    writes = {n: lambda agent, action=n % 2: model.set_weights(surely[action]) for n in (1, 2)}
    recorder = Recorder(writes)
    train(build_agent(model=model), 4, [recorder])
    assert recorder.actions[1:] == [1, 0, 0]


def test_settings_that_are_changed_count_from_the_next_step(refused):
    agent = build_agent()
    train(agent, 60, [Recorder({10: lambda agent: vars(agent).update(train_interval=1, nb_steps_warmup=20)})])
    theta = agent.theta
    agent.elite_frac = 0.1
    assert agent.num_best == 1
    train(agent, 60)
    assert (agent.theta[6:] == 0).all() and (theta[6:] > 0).all()  # of one episode nothing deviates
    agent.num_best = 4
    train(agent, 60)
    assert (agent.theta[6:] > 0).any()
    agent.memory = SequentialMemory(10)
    with refused("EpisodeParameterMemory"):
        agent.fit(SignEnv(), 5)


def test_weights_files_are_the_models(tmp_path):
    agent = build_agent(metadata={"made": "here"})
    agent.save_weights(str(tmp_path / "cem_Sign_params.h5f"), overwrite=True)
    other = CEMAgent(build_model(), nb_actions=2, memory=EpisodeParameterMemory(limit=10, window_length=1))
    other.load_weights(str(tmp_path / "cem_Sign_params.h5f"))  # before compile, too
    assert all(map(np.array_equal, agent.model.get_weights(), other.model.get_weights()))


def test_several_inputs_and_a_window():
    class Two(SignEnv):
        def observe(self):
            super().observe()
            return [np.array([self.number] * 3), np.array([1.0, 2.0])]

    class Counting(rl.processors.MultiInputProcessor):
        metrics_names, metrics = ("one",), [1.0]

        def process_action(self, action):
            return 1 - action

    inputs = [keras.Input((2, 3)), keras.Input((2, 2))]
    output = layers.Dense(2)(layers.Flatten()(layers.Concatenate()(inputs)))
    agent = build_agent(model=keras.Model(inputs, output), window_length=2, processor=Counting(nb_inputs=2))
    recorder = train(agent, 100, env=Two)
    assert agent.metrics_names == ["mean_best_reward", "one"]
    assert {one for _, one in recorder.metrics if one == one} == {1.0}
    assert agent.act(Two().reset()) in (0, 1)


# As in Keras-RL


def test_is_keras_rls_agent():
    memory = rl.memory.EpisodeParameterMemory(limit=10, window_length=1)
    theta = np.arange(12.0)
    agent = CEMAgent(build_model(), 2, memory, 20, 7, 8, 0.1, 2, theta, 0.01, 0.5)
    names = ("batch_size", "nb_steps_warmup", "train_interval", "elite_frac", "memory_interval", "noise_decay_const")
    assert [getattr(agent, name) for name in (*names, "noise_ampl", "num_best")] == [20, 7, 8, 0.1, 2, 0.01, 0.5, 2]
    assert isinstance(agent, rl.agents.CEMAgent) and agent.memory is memory and agent.theta.tolist() == theta.tolist()
    assert (agent.num_weights, agent.sizes, agent.shapes) == (6, [4, 2], [(2, 2), (2,)])
    assert agent.layers == agent.model.layers
    default = CEMAgent(build_model(), 2, memory)
    assert [getattr(default, name) for name in names] == [50, 1000, 50, 0.05, 1, 0.0]
    assert default.theta.tolist() == [0.0] * 6 + [1.0] * 6
    agent.compile()
    agent.choose_weights()
    assert all(map(np.array_equal, agent.get_weights_list(np.arange(6.0)), [[[0, 1], [2, 3]], [4, 5]]))
    with pytest.raises(RuntimeError, match="compile"):
        default.fit(SignEnv(), 3)


def test_the_memory_is_keras_rls():
    memory = kerasrl.EpisodeParameterMemory(5, window_length=2)
    assert isinstance(memory, rl.memory.EpisodeParameterMemory)
    assert memory.get_config() == {"limit": 5, "window_length": 2, "ignore_episode_boundaries": False}
    for reward in range(8):
        memory.append(np.ones(1), 0, reward, True)
        memory.append(np.ones(1), 0, 100.0, True, training=False)
        memory.finalize_episode(np.full(3, reward))
    assert list(memory.total_rewards) == [3, 4, 5, 6, 7] and memory.nb_entries == 5 and memory.nb_appended == 8
    params, totals = memory.sample(3, [4, 0, 2])
    assert totals == [7, 3, 5] and [param[0] for param in params] == totals


@pytest.mark.parametrize(
    "options",
    [
        {"memory": SequentialMemory(10)}, {"memory": None}, {"batch_size": 0}, {"elite_frac": 1.5}, {"elite_frac": 0.0},
        {"train_interval": 0}, {"nb_actions": 3}, {"policy": 1}, {"gradient_steps": 2}, {"n_step": 3},
        {"theta_init": np.zeros(6)}, {"theta_init": -np.ones(12)}, {"theta_init": np.full(12, np.nan)},
    ],
    ids=lambda options: next(iter(options)),
)  # fmt: skip
def test_unsupported_is_refused(options, refused):
    memory = EpisodeParameterMemory(10)
    with refused():
        CEMAgent(**{"model": build_model(), "nb_actions": 2, "memory": memory, **options})


@pytest.mark.parametrize("arguments", [(0,), (3, 0)])
def test_memories_without_room_are_refused(arguments, refused):
    with refused("at least 1"):
        EpisodeParameterMemory(*arguments)
