"""Fit, test, and fit again: seeds, what the agent does afterwards, and Keras-RL's order of arguments."""

import inspect

import gym
import keras
import numpy as np
import pytest
import rl.agents
import rl.agents.dqn
import rl.callbacks
import rl.core
import rl.memory
import rl.policy
from keras import layers

import kerasrl
from kerasrl import DQNAgent, SequentialMemory, seeds
from kerasrl.agents import AbstractDQNAgent
from kerasrl.callbacks import FileLogger, ModelIntervalCheckpoint


@pytest.fixture(autouse=True)
def no_seed_of_another_test(monkeypatch):
    for name, value in {"_next": None, "_is_set": False}.items():
        monkeypatch.setattr(seeds, name, value)


class Tasks(gym.Env):
    """One of 8 tasks for 5 steps, drawn from the environment's generator or, as many scripts do, from NumPy's."""

    action_space = gym.spaces.Discrete(8)
    observation_space = gym.spaces.Box(0, 1, (8,), np.float32)

    def __init__(self, is_global=False):
        self.is_global, self.tasks = is_global, []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.task = np.random.randint(8) if self.is_global else int(self.np_random.integers(8))
        self.tasks.append(self.task)
        self.nb_steps = 0
        return np.eye(8, dtype=np.float32)[self.task], {}

    def step(self, action):
        self.nb_steps += 1
        return np.eye(8, dtype=np.float32)[self.task], float(action == self.task), self.nb_steps == 5, False, {}


def build_agent(**options):
    model = keras.Sequential([keras.Input((1, 8)), layers.Flatten(), layers.Dense(8)])
    options = {"nb_steps_warmup": 6, "batch_size": 4, "policy": rl.policy.EpsGreedyQPolicy(0.5)} | options
    agent = DQNAgent(model, nb_actions=8, memory=SequentialMemory(500), **options)
    agent.compile("adam")
    return agent


class Actions(rl.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.actions = []

    def on_step_end(self, step, logs):
        self.actions.append(int(logs["action"]))


def fit(agent, env, **options):
    """Return the tasks and actions of 10 steps."""
    first, actions = len(env.tasks), Actions()
    agent.fit(env, 10, verbose=0, callbacks=[actions], **options)
    return env.tasks[first:], actions.actions


# Seeds


@pytest.mark.long
@pytest.mark.parametrize(
    ("how", "is_global"),
    [
        ("seed", False),
        *(
            pytest.param(*case, marks=pytest.mark.long)
            for case in [("fit", False), ("env", False), ("both", False), ("seed", True)]
        ),
    ],
)
def test_a_seed_holds_for_one_fit_and_all_later_ones_go_on_reproducibly(how, is_global):
    """With a test, another environment and another agent in between."""

    def run(number):
        keras.utils.set_random_seed(7)
        env, agent, played = Tasks(is_global), build_agent(), Tasks(is_global)
        np.random.seed(None)  # as in another process
        if how in ("seed", "both"):
            kerasrl.seed(number)
        if how in ("env", "both"):
            assert kerasrl.seed(number, env) == [number]
        done = [fit(agent, env, **({"seed": number} if how == "fit" else {}))]
        done += [fit(agent, env) for _ in range(6)]
        agent.test(played, 3, verbose=0, visualize=False)
        done += [fit(agent, Tasks(is_global)), fit(agent, env), (played.tasks, None)]
        if how != "fit":  # which is one agent's
            done.append(fit(build_agent(), Tasks(is_global)))
        seeds._next, seeds._is_set = None, False
        return done, agent.get_weights()

    first, second, other = run(3), run(3), run(4)
    assert first[0] == second[0] and first[0] != other[0]
    assert all(map(np.array_equal, first[1], second[1]))
    assert len({str(one) for one in first[0][:7]}) == 7  # none is like another
    assert len({task for tasks, _ in first[0] for task in tasks}) > 4


@pytest.mark.long
def test_a_seed_that_is_set_again_holds_again():
    env, agent = Tasks(), build_agent()
    pairs = [[fit(agent, env, seed=seed) for _ in range(2)] + [fit(agent, env)] for seed in (1, 2)]
    assert all(pair[0][0] == pair[1][0] != pair[2][0] for pair in pairs)
    kerasrl.seed(1)
    assert fit(agent, env)[0] == pairs[0][0][0]
    kerasrl.seed(5)
    assert fit(agent, env, seed=1)[0] == pairs[0][0][0]
    assert fit(agent, env)[0] != pairs[0][0][0]  # nor does the 5 wait any longer


@pytest.mark.long
def test_without_seeds_everything_is_new_each_time():
    env, agent = Tasks(), build_agent()
    np.random.seed(None)
    runs = [fit(agent, env) for _ in range(5)]
    assert len({str(one) for one in runs}) == 5


def test_without_seeds_nothing_is_drawn_for_an_environment():
    np.random.seed(4)
    expected = np.random.uniform(size=2)
    np.random.seed(4)
    build_agent(policy=rl.policy.GreedyQPolicy()).fit(Tasks(), 5, verbose=0)
    assert np.random.uniform(size=2).tolist() == expected.tolist()


def test_a_memory_with_a_seed_of_its_own_keeps_it():
    kerasrl.seed(1)
    build_agent().fit(Tasks(), 5, verbose=0)
    memory = SequentialMemory(50, seed=3)
    agent = build_agent()
    agent.memory = memory
    agent.fit(Tasks(), 5, verbose=0)
    assert memory.rng.bit_generator.state == np.random.default_rng(3).bit_generator.state


# Afterwards


class Constant(rl.policy.Policy):
    def __init__(self, action):
        self.action = action

    def select_action(self, q_values):
        return self.action


def test_fit_leaves_the_agent_exploring_and_test_leaves_it_greedy_as_in_keras_rl():
    agent, env, observation = build_agent(policy=Constant(3)), Tasks(), np.eye(8, dtype=np.float32)[2]
    best = int(agent.compute_q_values([observation]).argmax())
    fit(agent, env)
    assert agent.training and agent.forward(observation) == 3
    agent.test(env, 1, verbose=0, visualize=False)
    best = int(agent.compute_q_values([observation]).argmax())
    assert not agent.training and agent.forward(observation) == best != 3
    fit(agent, env)
    assert agent.training and agent.forward(observation) == 3


@pytest.mark.long
def test_act_is_greedy_and_changes_nothing():
    agent, env = build_agent(policy=Constant(3)), Tasks()
    fit(agent, env, seed=1)

    class Asking(rl.callbacks.Callback):
        def on_step_end(self, step, logs):
            q_values = self.model.compute_q_values([logs["observation"]])
            greedy.append(self.model.act(logs["observation"]) == q_values.argmax())

    greedy, weights = [], []
    for callbacks in ([], [Asking()]):
        keras.utils.set_random_seed(2)
        other = build_agent()
        other.fit(Tasks(), 30, verbose=0, seed=2, callbacks=callbacks)
        weights.append(other.get_weights())
    assert len(greedy) == 30 and all(greedy)
    assert all(map(np.array_equal, *weights))
    before = agent.training, agent.step, agent.recent_action, list(agent.memory.recent_observations)
    assert agent.act(np.eye(8)[1]) == agent.compute_q_values([np.eye(8)[1]]).argmax() != 3
    assert (agent.training, agent.step, agent.recent_action, list(agent.memory.recent_observations)) == before


def test_act_has_the_processor_and_the_observations_of_the_episode():
    class Shifted(rl.core.Processor):
        def process_observation(self, observation):
            return np.asarray([observation], np.float32)

        def process_action(self, action):
            return ["left", "right"][action]

    class Seeing(rl.policy.Policy):
        def select_action(self, q_values):
            seen.append(q_values.tolist())
            return 1

    seen = []
    identity = layers.Dense(3, kernel_initializer="identity")  # Q-values are the observations
    agent = DQNAgent(
        keras.Sequential([keras.Input((3, 1)), layers.Flatten(), identity]),
        nb_actions=3,
        memory=SequentialMemory(50, window_length=3),
        processor=Shifted(),
        test_policy=Seeing(),
    )
    with pytest.raises(RuntimeError, match="compile"):
        agent.act(1)
    agent.compile("sgd")
    assert [agent.act(number) for number in (1, 2, 3, 4)] == ["right"] * 4
    agent.reset_states()
    agent.act(5)
    assert seen == [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4], [0, 0, 5]]


@pytest.mark.parametrize("kind", [DQNAgent, kerasrl.CEMAgent])
def test_act_refuses_what_the_network_does_not_take_and_forgets_it(kind, refused):
    angle, mode = (keras.Input((2, 2), name=name) for name in ("angle", "mode"))
    both = layers.Concatenate()([layers.Flatten()(angle), layers.Flatten()(mode)])
    memory = {DQNAgent: SequentialMemory, kerasrl.CEMAgent: kerasrl.EpisodeParameterMemory}[kind](20, window_length=2)
    agent = kind(model=keras.Model([angle, mode], layers.Dense(2)(both)), nb_actions=2, memory=memory)
    agent.compile(*["sgd"] * (kind is DQNAgent))
    zeros = np.zeros(2)
    right = {"mode": zeros + 1, "angle": zeros}
    action = agent.act(right)
    wrong = [{"x": zeros, "y": zeros}, {"angle": zeros}, {**right, "z": 0}, {**right, "mode": np.zeros(3)}, zeros, None]
    for observation in (*wrong, {**right, "mode": ["a", "b"]}):
        with refused("angle", "mode"):
            agent.act(observation)
    agent.reset_states()
    assert agent.act(right) == action and agent.act([zeros, zeros + 1]) in (0, 1)


# Keras-RL's order of arguments


def order(function):
    """The arguments that a function takes by position."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [name for name, parameter in inspect.signature(function).parameters.items() if parameter.kind in kinds]


PAIRS = [
    (DQNAgent, rl.agents.dqn.DQNAgent),
    (kerasrl.SARSAAgent, rl.agents.SARSAAgent),
    (kerasrl.NAFAgent, rl.agents.NAFAgent),
    (kerasrl.CEMAgent, rl.agents.CEMAgent),
    (kerasrl.EpisodeParameterMemory, rl.memory.EpisodeParameterMemory),
    (AbstractDQNAgent, rl.agents.dqn.AbstractDQNAgent),
    (kerasrl.agents.Agent, rl.core.Agent),
    (SequentialMemory, rl.memory.SequentialMemory),
    (FileLogger, rl.callbacks.FileLogger),
    (ModelIntervalCheckpoint, rl.callbacks.ModelIntervalCheckpoint),
]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].__name__)
def test_arguments_have_keras_rls_order(pair):
    ours, theirs = pair
    functions = {"__init__": theirs.__init__}
    for kind in theirs.__mro__:
        if kind.__module__.startswith("rl."):
            functions = {**dict(inspect.getmembers(kind, inspect.isfunction)), **functions}
    compared = 0
    for name, function in functions.items():
        if name.startswith("_") and name != "__init__":
            continue
        expected, actual = order(function), order(getattr(ours, name))
        has_stars = any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(getattr(ours, name)).parameters.values())
        assert actual[: len(expected)] == expected or (has_stars and actual == expected[: len(actual)]), name
        compared += len(expected) > 1
    assert compared >= 1


@pytest.mark.long
def test_arguments_by_position(tmp_path):
    agent, env = build_agent(), Tasks()
    log = FileLogger(str(tmp_path / "log.json"), 1)
    assert agent.fit(env, 10, 2, [log], 0, False, 0, None, 1000, 3).history["nb_episode_steps"] == [3, 3, 3]
    assert agent.test(env, 2, 1, None, False, 4, 0, None, 0).history["nb_steps"] == [4, 4]
    agent.save_weights(tmp_path / "w.h5f", True)
    agent.load_weights(tmp_path / "w.h5f")
    policy, memory = rl.policy.GreedyQPolicy(), SequentialMemory(50)
    everything = (policy, policy, True, False, "avg", 8, memory, 0.9, 7, 3, 2, 4, 0.5, None, 2.0, {})
    made = DQNAgent(agent.model, *everything)
    names = ("gamma", "batch_size", "nb_steps_warmup", "train_interval", "memory_interval", "target_model_update")
    assert [getattr(made, name) for name in (*names, "delta_clip")] == [0.9, 7, 3, 2, 4, 0.5, 2.0]
