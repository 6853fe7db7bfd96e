"""What becomes of each kind of observation and action."""

import itertools
import json
import zipfile

import gym
import gymnasium
import keras
import numpy as np
import pytest
import rl.core
from gym.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple
from keras import layers
from rl.policy import BoltzmannQPolicy, EpsGreedyQPolicy

from kerasrl import (
    CEMAgent,
    Config,
    DQNAgent,
    EpisodeParameterMemory,
    SARSAAgent,
    SequentialMemory,
    environments,
    train,
)
from kerasrl.environments.processors import FlatteningProcessor, OneHotProcessor, processor_for
from kerasrl.environments.spaces import describe_spaces, require_alike

# Actions


class Noting(gym.Env):
    """Notes the actions that it gets, which have to be in its space; episodes of three steps."""

    observation_space = Box(-1, 1, (2,))

    def __init__(self, actions, mask=None):
        self.action_space, self.mask, self.taken = actions, mask, []

    def told(self):
        return {} if self.mask is None else {"action_mask": self.mask}

    def reset(self, seed=None, options=None):
        self.nb_steps = 0
        return np.ones(2, np.float32), self.told()

    def step(self, action):
        assert self.action_space.contains(action), action
        self.taken.append(np.array(action).tolist())
        self.nb_steps += 1
        return np.ones(2, np.float32), 0.0, self.nb_steps == 3, False, self.told()


ACTIONS = {
    "start": (Discrete(3, start=-1), [-1, 0, 1]),
    "numpy's start": (gymnasium.spaces.Discrete(2, start=5), [5, 6]),
    "several": (MultiDiscrete([2, 3]), [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]),
    "several, starts": (gymnasium.spaces.MultiDiscrete([2, 2], start=[3, -1]), [[3, -1], [3, 0], [4, -1], [4, 0]]),
    "two axes": (MultiDiscrete([[2], [2]]), [[[0], [0]], [[0], [1]], [[1], [0]], [[1], [1]]]),
    "binary": (MultiBinary(3), [list(bits) for bits in itertools.product([0, 1], repeat=3)]),
    "binary, two axes": (MultiBinary([1, 2]), [[[0, 0]], [[0, 1]], [[1, 0]], [[1, 1]]]),
}


def build_model(nb_actions):
    inputs = keras.Input((1, 2))
    return keras.Model(inputs, layers.Dense(nb_actions)(layers.Flatten()(inputs)))


def build_agent(nb_actions, kind=DQNAgent, **options):
    model, options = build_model(nb_actions), {"nb_actions": nb_actions, "nb_steps_warmup": 1000} | options
    if kind is CEMAgent:
        agent = CEMAgent(model, memory=EpisodeParameterMemory(limit=9), **options)
        agent.compile(jit_compile=False)
    else:
        memory = {"memory": SequentialMemory(limit=200)} if kind is DQNAgent else {}
        policy = EpsGreedyQPolicy(1.0) if kind is DQNAgent else BoltzmannQPolicy()
        agent = kind(model, policy=policy, **memory, **options)
        agent.compile("sgd", jit_compile=False)
    return agent


@pytest.mark.parametrize("name", ACTIONS)
def test_actions_are_counted_from_0_and_the_environment_gets_its_own(name):
    space, actions = ACTIONS[name]
    env, agent = Noting(space), build_agent(len(actions))
    assert describe_spaces(env).require_discrete("DQN") == len(actions)
    agent.nb_random_steps = 10
    agent.fit(env, 80, verbose=0, seed=1)
    acted = agent.memory.actions[np.arange(80) + np.arange(80) // 3]  # without what follows each end of an episode
    assert env.taken == [actions[number] for number in acted]
    assert sorted(set(acted)) == list(range(len(actions)))
    agent.fit(env, 20, verbose=0, seed=1, nb_max_start_steps=3)
    agent.test(env, 2, verbose=0, visualize=False)
    best = int(np.argmax(agent.compute_q_values([np.ones(2, np.float32)])))
    assert np.array(agent.act(np.ones(2, np.float32))).tolist() == env.taken[-1] == actions[best]


@pytest.mark.parametrize("kind", [SARSAAgent, CEMAgent])
def test_other_agents_take_such_actions(kind):
    env, agent = Noting(MultiDiscrete([2, 3])), build_agent(6, kind)
    agent.fit(env, 60, verbose=0, seed=1, nb_max_start_steps=2)
    agent.test(env, 1, verbose=0, visualize=False)
    assert len({tuple(action) for action in env.taken}) == 6


def test_a_processor_that_makes_actions_makes_the_environments():
    class Turning(rl.core.Processor):
        def process_action(self, action):
            return np.array([1 - action, action])

    env, agent = Noting(MultiDiscrete([2, 2])), build_agent(2, processor=Turning())
    agent.fit(env, 20, verbose=0, seed=1)
    assert sorted(map(tuple, env.taken))[:: len(env.taken) - 1] == [(0, 1), (1, 0)]


def test_a_test_in_another_environment_leaves_the_training_its_actions():
    class Testing(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.test(other, 1, verbose=0, visualize=False)

    env, other = Noting(Discrete(4, start=7)), Noting(MultiDiscrete([2, 2]))
    agent = build_agent(4)
    agent.fit(env, 20, verbose=0, seed=1, callbacks=[Testing()])
    assert len(other.taken) == 18 and agent.decode(0) == 7


MASKS = {"of each number": ((1, 0), [0, 1, 1]), "of all": np.array([0, 1, 1, 0, 0, 0])}


@pytest.mark.parametrize("name", MASKS)
def test_a_mask_has_a_number_for_each_value_or_for_each_action(name):
    env, agent = Noting(MultiDiscrete([2, 3]), MASKS[name]), build_agent(6)
    agent.fit(env, 30, verbose=0, seed=1, nb_max_start_steps=2)
    assert {tuple(action) for action in env.taken} == {(0, 1), (0, 2)}
    assert agent.act(np.ones(2, np.float32), MASKS[name]).tolist() in ([0, 1], [0, 2])


def test_a_method_gives_the_masks_of_all_numbers_in_one():
    env, agent = Noting(MultiBinary(2)), build_agent(4)
    env.action_masks = lambda: [True, False, True, True]
    agent.fit(env, 30, verbose=0, seed=1)
    assert {tuple(action) for action in env.taken} == {(0, 0), (0, 1)}


@pytest.mark.parametrize("mask", [([1, 0], [1, 1]), [[1], [1, 0]], [1, 0, 1]], ids=str)
def test_a_mask_of_other_lengths_is_refused(mask, refused):
    with refused("6 zeros and ones", varying=r"line \d+"):
        build_agent(6).fit(Noting(MultiDiscrete([2, 3]), mask), 9, verbose=0)


@pytest.mark.parametrize(("space", "number"), [(MultiDiscrete([32, 33]), "1,056"), (MultiBinary(70), "1,180,591,")])
def test_too_many_combinations_are_refused_with_their_number(space, number, refused):
    with refused(number):
        environments.check_spaces(Noting(space))


# Observations

BOX = Box(0, 1, ())
NESTED = Dict(arm=Dict(joints=Box(-1, 1, (2,)), mode=Discrete(3, start=1)), goal=Tuple([MultiBinary(2), Discrete(2)]))
OBSERVATIONS = {
    "several": (MultiDiscrete([2, 3]), [1, 2], (5,), [0, 1, 0, 0, 1]),
    "several, starts": (gymnasium.spaces.MultiDiscrete([2, 2], start=[3, -1]), [3, 0], (4,), [1, 0, 0, 1]),
    "two axes": (MultiDiscrete([[2], [2]]), [[1], [0]], (4,), [0, 1, 1, 0]),
    "tuple": (Tuple([Discrete(2), Box(0, 1, (1,))]), (1, np.ones(1)), {"0": (2,), "1": (1,)}, {"0": [0, 1], "1": [1]}),
    "dict": (Dict(a=MultiDiscrete([2]), b=BOX), {"a": [0], "b": 0.5}, {"a": (2,), "b": ()}, {"a": [1, 0], "b": 0.5}),
    "nested": (
        NESTED,
        {"arm": {"joints": [0.5, 1], "mode": 3}, "goal": ([1, 0], 0)},
        {"arm.joints": (2,), "arm.mode": (3,), "goal.0": (2,), "goal.1": (2,)},
        {"arm.joints": [0.5, 1], "arm.mode": [0, 0, 1], "goal.0": [1, 0], "goal.1": [1, 0]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OBSERVATIONS)
def test_observations_become_vectors_and_inputs_with_names(name):
    space, observation, shape, seen = OBSERVATIONS[name]
    env = Noting(Discrete(2))
    env.observation_space = space
    assert describe_spaces(env).observation == shape
    processor = processor_for(space)
    assert isinstance(processor, FlatteningProcessor)
    found = processor.process_observation(observation)
    if isinstance(found, dict):
        assert {key: array.tolist() for key, array in found.items()} == seen
        assert {key: array.shape for key, array in found.items()} == shape
    else:
        assert found.tolist() == seen


def test_what_needs_no_names_is_left_as_it_was():
    assert processor_for(MultiBinary([2, 2])) is None is processor_for(Dict(a=Box(0, 1, (2,)), b=MultiBinary(3)))
    assert isinstance(processor_for(Dict(a=Box(0, 1, (2,)), b=Discrete(3))), OneHotProcessor)
    env = Noting(Discrete(2))
    env.observation_space = MultiBinary([2, 3])
    assert describe_spaces(env).observation == (2, 3)


WRONG = {
    "outside": ([2, 0], "[2"),
    "too few": ([1], "2 whole numbers"),
    "text": (["a", "b"], "'a'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_observation_outside_of_its_space_is_refused(name, refused):
    observation, word = WRONG[name]
    with refused(word.removeprefix("[")):
        FlatteningProcessor(MultiDiscrete([2, 3])).process_observation(observation)


def test_an_observation_without_a_part_is_refused(refused):
    with refused("joints"):
        FlatteningProcessor(NESTED).process_observation({"arm": {}, "goal": ([1, 0], 0)})


UNSUPPORTED = {
    "text": (gymnasium.spaces.Text(5), "Text("),
    "text in a part": (gymnasium.spaces.Dict(a=gymnasium.spaces.Dict(b=gymnasium.spaces.Text(5))), "part a.b"),
    "graph": (gymnasium.spaces.Graph(gymnasium.spaces.Discrete(2), None), "Graph("),
    "sequence": (gymnasium.spaces.Sequence(gymnasium.spaces.Discrete(2)), "Sequence("),
    "nothing": (Dict({}), "Dict()"),
    "names": (Dict({"a.b": Discrete(2), "a": Dict(b=Discrete(2))}), "same name"),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_other_observations_are_refused_by_name(name, refused):
    space, word = UNSUPPORTED[name]
    env = Noting(Discrete(2))
    env.observation_space = space
    with refused(word):
        describe_spaces(env)


@pytest.mark.parametrize("other", [MultiDiscrete([3, 2]), Tuple([Discrete(2)]), MultiBinary(2)], ids=str)
def test_an_environment_with_other_spaces_is_none_to_evaluate_in(other, refused):
    ours, theirs = Noting(Discrete(2)), Noting(Discrete(2))
    ours.observation_space, theirs.observation_space = MultiDiscrete([2, 3]), other
    with refused("evaluated"):
        require_alike(ours, "ours", theirs, "theirs")


# Commands


class Combination(Noting):
    """Shows a nested observation and wants the combination of its `mode` and `goal`."""

    observation_space = NESTED
    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self):
        super().__init__(MultiDiscrete([3, 2]))

    def shown(self):
        mode, goal = self.nb_steps % 3, self.nb_steps % 2
        return {"arm": {"joints": np.ones(2, np.float32), "mode": mode + 1}, "goal": (np.array([1, 0], np.int8), goal)}

    def reset(self, seed=None, options=None):
        super().reset(seed)
        return self.shown(), {}

    def step(self, action):
        wanted = [self.nb_steps % 3, self.nb_steps % 2]
        super().step(action)
        return self.shown(), float(action.tolist() == wanted), self.nb_steps == 6, False, {}


@pytest.mark.long
def test_a_training_learns_plays_and_exports_what_it_became(tmp_path, capsys):
    folders = {"checkpoint_dir": str(tmp_path), "log_dir": str(tmp_path)}
    settings = {"nb_steps": 600, "seed": 1, "eps_nb_steps": 800, "gamma": 0.0, "learning_rate": 0.01}
    settings |= {"eval_interval": 200, "eval_episodes": 1, "verbose": 0, "jit_compile": False}
    trained = train(Config(**settings, **folders), env=Combination)
    assert trained.best[0] == 6 and list(trained.play(1)) == [6]
    capsys.readouterr()
    trained.export(tmp_path / "policy.keras", episodes=1)
    told = json.loads(zipfile.ZipFile(tmp_path / "policy.keras").read("kerasrl.json"))
    assert told["observation"][:2] == [
        "take it apart: arm.joints is ['arm']['joints'], arm.mode is ['arm']['mode'], goal.0 is ['goal'][0], goal.1 is "
        "['goal'][1]",
        "turn its arm.mode into a vector of 3 zeros with a one at the index that is its value minus 1",
    ]
    assert told["action"][1] == "make of it what numpy.unravel_index(index, [3, 2]) returns"
    assert {part["key"]: part["n"] for part in told["one_hot"]} == {"arm.mode": 3, "goal.1": 2}
    resumed = train(Config(resume=True, nb_steps=640, verbose=0, **folders), env=Combination)
    assert resumed.agent.step == 640


@pytest.mark.long
def test_blackjack_whose_observations_are_a_tuple_is_trained(tmp_path):
    folders = {"checkpoint_dir": str(tmp_path), "log_dir": str(tmp_path)}
    settings = {"nb_steps": 200, "eval_interval": 100, "verbose": 0, "jit_compile": False, "seed": 1}
    trained = train(Config(env="Blackjack-v1", **settings, **folders))
    assert [tensor.name for tensor in trained.agent.model.inputs] == ["0", "1", "2"]
    assert len(trained.play(2)) == 2
