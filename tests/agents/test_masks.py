"""Action masks: an illegal action is never taken, and nothing is ever learned from its value."""

import copy
import pickle
import re

import gym
import keras
import numpy as np
import pytest
import rl.callbacks
import rl.core
import rl.memory
from keras import layers
from killing import KillAt, Killed
from rl.policy import (
    BoltzmannGumbelQPolicy,
    BoltzmannQPolicy,
    EpsGreedyQPolicy,
    GreedyQPolicy,
    LinearAnnealedPolicy,
    MaxBoltzmannQPolicy,
    Policy,
)

from kerasrl import (
    CEMAgent,
    Config,
    DQNAgent,
    EpisodeParameterMemory,
    ExponentialAnnealedPolicy,
    PrioritizedMemory,
    SARSAAgent,
    SequentialMemory,
    train,
)
from kerasrl.callbacks import Evaluation
from kerasrl.storage import TrainingState


class Masked:
    """Observations that never repeat; of three actions one or two are legal, and an illegal one fails.

    Episodes of 6 and 4 steps end in turn by themselves and by a time limit, the former with a mask of zeros.
    """

    def __init__(self, by="info"):
        self.by, self.nb_episodes, self.masks, self.actions, self.nb_illegal = by, 0, {}, [], 0
        self.rng = np.random.default_rng(7)

    def observe(self, is_over=False):
        observation = self.rng.normal(size=2)
        self.mask = np.zeros(3, np.int8)
        self.mask[self.rng.permutation(3)[: self.rng.integers(1, 3)]] = not is_over
        self.masks[observation.tobytes()] = self.mask.copy()
        return observation, {"action_mask": self.mask} if self.by == "info" else {}

    def reset(self, seed=None):
        self.nb_episodes += 1
        self.nb_steps = 0
        return self.observe()

    def step(self, action):
        assert self.mask.any()
        self.nb_illegal += not self.mask[action]
        self.actions.append(int(action))
        self.nb_steps += 1
        terminated, truncated = (self.nb_steps == n and self.nb_episodes % 2 == n // 2 % 2 for n in (6, 4))
        observation, info = self.observe(terminated)
        return observation, float(self.rng.normal()), terminated, truncated, info


class ByMethod(Masked):
    def __init__(self):
        super().__init__(by="method")

    def action_masks(self):
        return self.mask.astype(bool).tolist()


def build_model(window_length=1, bias=0.0, nb_actions=3):
    inputs = keras.Input((window_length, 2))
    return keras.Model(
        inputs, layers.Dense(nb_actions, bias_initializer=keras.initializers.Constant(bias))(layers.Flatten()(inputs))
    )


def build_agent(policy=None, memory=None, **options):
    policy = EpsGreedyQPolicy(1.0) if policy is None else policy
    memory = SequentialMemory(limit=60, seed=3) if memory is None else memory
    options = {"nb_steps_warmup": 1000, "batch_size": 4, "target_model_update": 0.1} | options
    agent = DQNAgent(build_model(memory.window_length), policy, nb_actions=3, memory=memory, **options)
    agent.compile(keras.optimizers.Adam(0.01), jit_compile=False)
    return agent


@pytest.fixture(scope="module")
def actor():
    """An agent that does not learn, for tests of what it does."""
    return build_agent()


@pytest.fixture
def acting(actor):
    """The same; what it is given by a test is put back."""
    given = actor.policy, actor.test_policy, actor.memory
    yield actor
    actor.policy, actor.test_policy, actor.memory = given
    actor.nb_random_steps = 0


# What is learned


class Twice(rl.core.Processor):
    def process_state_batch(self, batch):
        return 2 * batch


UPDATES = {
    "rows": {},
    "rows, double, several updates": {"enable_double_dqn": True, "gradient_steps": 2},
    "frames": {"window_length": 2},
    "three steps": {"n_step": 3},
    "three steps, double": {"n_step": 3, "enable_double_dqn": True},
    "states": {"processor": Twice(), "n_step": 3},
    "priorities": {"kind": PrioritizedMemory, "enable_double_dqn": True},
    "priorities, three steps": {"kind": PrioritizedMemory, "n_step": 3, "processor": Twice()},
}


SHORT = ("rows", "frames", "priorities, three steps")


@pytest.mark.parametrize("name", [n if n in SHORT else pytest.param(n, marks=pytest.mark.long) for n in UPDATES])
def test_targets_equal_numpy(name):
    """With networks that stand still, each loss is known from the transitions drawn and the masks given."""
    options = {"n_step": 1, "enable_double_dqn": False, "gradient_steps": 1, **UPDATES[name]}
    kind, window = options.pop("kind", SequentialMemory), options.pop("window_length", 1)
    memory, reference = (kind(limit=25, window_length=window, seed=3) for _ in range(2))
    env = Masked()
    agent = build_agent(memory=memory, nb_steps_warmup=9, target_model_update=1e-12, **options)
    agent.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    networks = [np.random.default_rng(k).normal(size=(2 * window, 3)) for k in (1, 2)]
    for model, kernel in zip((agent.model, agent.target_model), networks, strict=True):
        model.set_weights([kernel, np.array([0.5, 0.0, -0.5])])

    def q_values(network, states):
        factor = 2 if options.get("processor") else 1
        return factor * states.reshape(len(states), -1) @ networks[network] + [0.5, 0.0, -0.5]

    append, backward, found = memory.append, agent.backward, []

    def append_to_both(observation, action, reward, terminal, training=True, truncated=False):
        for each in (append, reference.append):
            each(observation, action, reward, terminal, training, truncated)

    def backward_twice(reward, terminal=False):
        loss = backward(reward, terminal)[0]
        if not np.isnan(loss):
            sample = reference.draw(4, options["gradient_steps"], options["n_step"], 0.99)
            (frames,) = sample.frames
            before, after = q_values(0, frames[:, :window]), q_values(1, frames[:, -window:])
            chosen_by = q_values(0, frames[:, -window:]) if options["enable_double_dqn"] else after
            masks = np.array([env.masks[frame[-1].tobytes()] for frame in frames])
            masks[~masks.any(axis=1)] = 1
            rows, best = np.arange(len(masks)), np.where(masks, chosen_by, -np.inf).argmax(axis=1)
            errors = sample.rewards + sample.discounts * after[rows, best] - before[rows, sample.actions]
            weights = 1 if sample.weights is None else sample.weights
            if sample.weights is not None:
                reference.update_priorities(sample.rows, errors)
            found.append((loss, np.mean(weights * errors**2 / 2)))
        return [loss] * len(agent.metrics_names)

    memory.append, agent.backward = append_to_both, backward_twice
    agent.fit(env, 60, verbose=0)
    losses, expected = zip(*found, strict=True)
    np.testing.assert_allclose(losses, expected, 1e-4)
    assert env.nb_illegal == 0 and len(losses) > 50


class Chain:
    """Cells 0, 1, 2: `go` leads on, and from the last one pays 1; in the first one may `wait`. The third never may."""

    def reset(self, seed=None):
        self.cell = 0
        return self.observe()

    def observe(self):
        return np.eye(3, dtype=np.float32)[min(self.cell, 2)], {"action_mask": [True, self.cell == 0, False]}

    def step(self, action):
        assert action == 0 or (action == 1 and self.cell == 0)
        self.cell += action == 0
        observation, info = self.observe()
        return observation, float(self.cell == 3), self.cell == 3, False, info


VALUES = np.array([[0.25, 0.125], [0.5, 0.0], [1.0, 0.0]])  # with gamma = 0.5


def build_table():
    """Q-values [3, 3] of the cells, those of the third action being far above what any action can be worth."""
    inputs = keras.Input((1, 3))
    model = keras.Model(inputs, layers.Dense(3, use_bias=False)(layers.Flatten()(inputs)))
    model.set_weights([np.array([[0, 0, 100.0]] * 3)])
    return model


CHAINS = {
    "dqn": {},
    "double": {"enable_double_dqn": True},
    "prioritised": {"memory": PrioritizedMemory(limit=200, seed=3)},
}


@pytest.mark.long
@pytest.mark.parametrize("name", ["dqn", *(pytest.param(name, marks=pytest.mark.long) for name in list(CHAINS)[1:])])
def test_what_is_illegal_may_look_better_and_changes_no_value(name):
    options = {"memory": SequentialMemory(limit=200, seed=3)} | CHAINS[name]
    options |= {"nb_steps_warmup": 10, "target_model_update": 1}
    agent = DQNAgent(build_table(), EpsGreedyQPolicy(0.5), nb_actions=3, gamma=0.5, **options)
    agent.compile(keras.optimizers.SGD(1.0), jit_compile=False)
    agent.fit(Chain(), 250, verbose=0, seed=1)
    (values,) = agent.model.get_weights()
    np.testing.assert_allclose(values[:, :2], VALUES, atol=1e-3)
    assert (values[:, 2] == 100).all()


def test_sarsa_values_the_legal_action_that_is_taken():
    agent = SARSAAgent(build_table(), nb_actions=3, gamma=0.5, policy=GreedyQPolicy())
    agent.compile(keras.optimizers.SGD(0.5), jit_compile=False)
    agent.fit(Chain(), 120, verbose=0, seed=1, start_step_policy=lambda observation: 1, nb_max_start_steps=2)
    (values,) = agent.model.get_weights()
    np.testing.assert_allclose(values[:, :2], VALUES * [1, 0], atol=1e-3)  # it never waits but in start steps
    assert (values[:, 2] == 100).all()


def test_without_masks_the_same_memory_holds_none():
    memory = SequentialMemory(limit=30, seed=3)
    agent, env = build_agent(memory=memory), Masked()
    agent.fit(env, 40, verbose=0, action_masks=False)
    assert memory.nb_masked == 0 and "mask" not in memory.record_type().names and memory.draw(4).masks is None
    assert env.nb_illegal > 5
    agent.fit(env, 40, verbose=0)  # from here on there are
    assert memory.draw(4).masks.shape == (4, 3) and memory.record_type()["mask"].shape == (3,)


# What is chosen


class Own(Policy):
    """Chooses by all Q-values, of which it sees those of illegal actions as minus infinity."""

    seen = None

    def select_action(self, q_values):
        self.seen = q_values
        return np.argmax(q_values)


class Stubborn(Policy):
    def select_action(self, q_values):
        return 1


POLICIES = {
    "greedy": GreedyQPolicy,
    "eps greedy": lambda: EpsGreedyQPolicy(0.5),
    "boltzmann": BoltzmannQPolicy,
    "max boltzmann": lambda: MaxBoltzmannQPolicy(0.5),
    "linear": lambda: LinearAnnealedPolicy(EpsGreedyQPolicy(), "eps", 1.0, 0.1, 0.05, 30),
    "exponential": lambda: ExponentialAnnealedPolicy(BoltzmannQPolicy(), "tau", 2.0, 0.1, 0.05, 0.1),
    "own": Own,
    "own, annealed": lambda: LinearAnnealedPolicy(type("Wide", (Own,), {"eps": 1.0})(), "eps", 1.0, 0.1, 0.05, 30),
}


@pytest.mark.parametrize("name", POLICIES)
def test_no_policy_takes_an_illegal_action(name, acting):
    agent, env = acting, ByMethod() if name == "greedy" else Masked()
    agent.policy, agent.test_policy = POLICIES[name](), POLICIES[name]()
    agent.fit(env, 60, verbose=0, seed=1)
    assert set(env.actions) == {0, 1, 2}
    agent.test(env, 3, verbose=0, visualize=False)
    assert env.nb_illegal == 0 and len(env.actions) > 65
    seen = getattr(getattr(agent.policy, "inner_policy", agent.policy), "seen", np.full(3, -np.inf))
    assert len(seen) == 3 and np.isneginf(seen).any()


def test_legal_actions_are_chosen_as_keras_rl_chooses_among_so_many():
    """A uniform choice is uniform among those that are legal, and Boltzmann's shares are those of their Q-values."""
    q_values, mask = np.array([0.0, 5.0, np.log(3), 9.0], np.float32), [True, False, True, False]
    inputs = keras.Input((1, 1))
    model = keras.Model(inputs, layers.Dense(4, "linear", False, "zeros")(layers.Flatten()(inputs)))
    model.set_weights([q_values[None]])
    agent, shares = DQNAgent(model, nb_actions=4, memory=SequentialMemory(limit=10)), {}
    agent.compile("sgd", jit_compile=False)
    for name, policy in (("eps", EpsGreedyQPolicy(1.0)), ("boltzmann", BoltzmannQPolicy()), ("best", GreedyQPolicy())):
        agent.test_policy = policy
        shares[name] = np.bincount([agent.act(np.ones(1), mask) for _ in range(100)], minlength=4) / 100
    np.testing.assert_allclose(shares["eps"], [0.5, 0, 0.5, 0], atol=0.1)
    np.testing.assert_allclose(shares["boltzmann"], [0.25, 0, 0.75, 0], atol=0.1)
    assert shares["best"].tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize(
    "policy", [BoltzmannGumbelQPolicy(), Stubborn(), LinearAnnealedPolicy(BoltzmannGumbelQPolicy(), "C", 1, 1, 1, 9)]
)
def test_a_policy_that_cannot_choose_among_some_is_refused_by_name(policy, acting, refused):
    acting.policy = policy
    with refused(type(getattr(policy, "inner_policy", policy)).__name__, "action_masks=False"):
        acting.fit(Masked(), 50, verbose=0, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("kind", [SARSAAgent, CEMAgent])
def test_other_agents_take_no_illegal_action(kind):
    env, options = Masked(), {"nb_steps_warmup": 20}
    if kind is SARSAAgent:
        agent = SARSAAgent(build_model(), 3, policy=BoltzmannQPolicy(), **options)
        agent.compile("adam", jit_compile=False)
    else:
        options |= {"memory": EpisodeParameterMemory(limit=10), "batch_size": 4, "train_interval": 2}
        agent = CEMAgent(build_model(), 3, elite_frac=0.5, **options)
        agent.compile(jit_compile=False)
    agent.fit(env, 80, verbose=0, seed=1, nb_max_start_steps=3)
    agent.test(env, 3, verbose=0, visualize=False)
    assert env.nb_illegal == 0 and set(env.actions) == {0, 1, 2}


def test_random_starts_and_first_steps_are_legal(acting):
    env, acting.policy, acting.nb_random_steps = Masked(), GreedyQPolicy(), 30
    acting.fit(env, 60, verbose=0, seed=1, nb_max_start_steps=4, nb_max_episode_steps=3)
    assert env.nb_illegal == 0 and set(env.actions[:30]) == {0, 1, 2}


def test_a_start_step_policy_has_to_choose_legal_actions(acting, refused):
    with refused("start_step_policy"):
        acting.fit(Masked(), 60, verbose=0, seed=1, nb_max_start_steps=4, start_step_policy=lambda observation: 1)


class OwnForward(DQNAgent):
    def forward(self, observation):
        super().forward(observation)
        self.recent_action = 2
        return 2


def test_an_agent_with_a_forward_of_its_own_has_to_choose_legal_actions(refused):
    agent = OwnForward(build_model(), nb_actions=3, memory=SequentialMemory(limit=60))
    agent.compile("sgd", jit_compile=False)
    with refused("OwnForward.forward", "action_masks=False"):
        agent.fit(Masked(), 60, verbose=0, seed=1)


def test_an_action_is_repeated_only_as_long_as_it_is_legal(acting):
    env = Masked()
    acting.fit(env, 40, verbose=0, seed=1, action_repetition=3)
    assert env.nb_illegal == 0 and len(env.actions) > 50


@pytest.mark.long
def test_evaluations_obey_masks_and_change_nothing_even_in_the_middle_of_an_episode(tmp_path):
    class Test(rl.callbacks.Callback):
        def on_action_begin(self, action, logs=None):
            self.model.test(env_of_tests, 1, verbose=0, visualize=False, seed=4)

    def fit(*callbacks):
        keras.utils.set_random_seed(1)
        agent, env = build_agent(nb_steps_warmup=9), Masked()
        agent.fit(env, 40, verbose=0, seed=1, callbacks=callbacks)
        return [*agent.get_weights(), agent.memory.draw(20).masks, env.actions]

    env_of_tests = Masked()
    evaluation = Evaluation(env_of_tests, tmp_path / "best.h5f", 10, 2, seed=1)
    for one, other in zip(fit(), fit(Test(), evaluation), strict=True):
        np.testing.assert_array_equal(one, other)
    assert env_of_tests.nb_illegal == 0


def test_the_last_observation_of_a_fit_keeps_its_mask(acting):
    agent, env = acting, Masked()
    agent.memory = SequentialMemory(limit=60)
    for nb_steps in (11, 33):
        agent.fit(env, nb_steps, verbose=0, seed=1)
        assert agent.action_mask is None
    memory = agent.memory
    kept = memory.steps(0, memory.nb_entries)
    for observation, mask in zip(kept["frame0"], kept["mask"], strict=True):
        expected = env.masks[observation.tobytes()]
        np.testing.assert_array_equal(mask, expected if expected.any() else [True] * 3)
    assert not kept["mask"].all()


# Loops of one's own


def test_act_takes_a_mask(refused):
    agent = build_agent()
    agent.model.set_weights([np.zeros((2, 3)), np.arange(3.0)])
    assert [agent.act(np.ones(2), mask) for mask in (None, [1, 1, 0], np.array([1, 0, 0]))] == [2, 1, 0]
    assert agent.action_mask is None and agent.act(np.ones(2)) == 2
    for mask in ([0, 0, 0], [1, 0], "110"):
        with refused("action_mask", 3):
            agent.act(np.ones(2), mask)


def test_loops_of_ones_own_set_the_mask():
    agent = build_agent()
    agent.training = True
    agent.model.set_weights([np.zeros((2, 3)), np.arange(3.0)])
    for k in range(20):
        agent.action_mask = np.array([True, k % 2 == 0, False])
        agent.step = k
        assert agent.forward(np.full(2, k)) in ([0, 1] if k % 2 == 0 else [0])
        agent.backward(0.0, terminal=False)
    sample = agent.memory.draw(8)
    assert (sample.masks[:, 1] == (sample.frames[0][:, -1, 0] % 2 == 0)).all()
    assert agent.random_action(None) in (0, 1)


# Memories and states


@pytest.mark.parametrize("kind", [SequentialMemory, PrioritizedMemory])
@pytest.mark.parametrize("copied", [lambda memory: pickle.loads(pickle.dumps(memory)), copy.deepcopy])
def test_a_copy_of_a_memory_has_its_masks(kind, copied, acting):
    memory = acting.memory = kind(limit=40, seed=3)
    acting.fit(Masked(), 30, verbose=0, seed=1)
    one, other = copied(memory), copied(memory)
    for each in (one, other):
        each.action_mask = np.array([False, True, False])
        each.append(np.ones(2), 1, 0.0, False)
    np.testing.assert_array_equal(one.draw(20).masks, other.draw(20).masks)
    assert one.steps(one.nb_appended - 1, one.nb_appended)["mask"].tolist() == [[False, True, False]]


class Repeatable(Masked):
    """The same from the same seed."""

    def reset(self, seed=None):
        self.rng = np.random.default_rng(seed)
        self.nb_episodes = seed % 2
        return super().reset()


@pytest.mark.long
@pytest.mark.parametrize("kind", [SequentialMemory, pytest.param(PrioritizedMemory, marks=pytest.mark.long)])
def test_a_resume_is_exact(tmp_path, kind):
    def fit(name, *callbacks, resume=False):
        keras.utils.set_random_seed(1)
        agent = build_agent(EpsGreedyQPolicy(0.3), kind(limit=40, seed=3), nb_steps_warmup=9, n_step=3)
        state = TrainingState(tmp_path / name, interval=20)
        agent.fit(Repeatable(), 70, verbose=0, seed=5, callbacks=callbacks, state=state, resume=resume)
        return [*agent.get_weights(), agent.memory.steps(agent.memory.nb_appended - 40, agent.memory.nb_appended)]

    whole = fit("whole")
    with pytest.raises(Killed):
        fit("parts", KillAt(60))  # after the memory's ring has wrapped round
    for one, other in zip(fit("parts", resume=True), whole, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("number", [2**17, 7])
def test_a_state_with_masks_of_another_number_of_actions_is_refused(tmp_path, number, refused):
    agent, state = build_agent(), TrainingState(tmp_path / "state")
    memory = agent.memory
    memory.keep_masks(3)
    get_state = memory.get_state
    memory.get_state = lambda: {**get_state(), "nb_masked": number}
    agent.fit(Masked(), 5, verbose=0, state=state)
    with refused():
        build_agent().fit(Masked(), 9, verbose=0, state=TrainingState(tmp_path / "state"), resume=True)


class OwnSample(SequentialMemory):
    def sample(self, batch_size, batch_idxs=None):
        return super().sample(batch_size, batch_idxs)


class OwnDraw(SequentialMemory):
    def draw(self, *arguments):
        return super().draw(*arguments)._replace(masks=None)


MEMORIES = [rl.memory.SequentialMemory(limit=60, window_length=1), OwnSample(limit=60), OwnDraw(limit=60)]


@pytest.mark.filterwarnings("ignore:OwnSample.sample is called")
@pytest.mark.parametrize("memory", MEMORIES, ids=lambda memory: type(memory).__name__)
def test_a_memory_that_loses_masks_is_refused(memory, refused):
    with refused(type(memory).__name__):
        build_agent(memory=memory, nb_steps_warmup=9).fit(Masked(), 50, verbose=0, seed=1)


# Wrong masks


def give(**masks):
    """An environment whose methods give these masks, the step's from the fourth on."""

    class Giving(Masked):
        def observe(self, is_over=False):
            observation, _ = super().observe(is_over)
            given = masks.get("step" if self.nb_steps > 3 else "reset" if self.nb_steps == 0 else "", self.mask)
            return observation, {} if given is None else {"action_mask": given}

    return Giving()


WRONG = {
    "length": {"reset": [1, 0]},
    "shape": {"step": [[1, 1, 0]]},
    "ragged": {"step": [[1], [1, 0], 0]},
    "texts": {"step": ["yes", "no", "yes"]},
    "shares": {"reset": [0.5, 0.5, 0]},
    "not a number": {"step": [np.nan, 1, 0]},
    "zeros": {"step": np.zeros(3, np.int8)},
    "zeros at first": {"reset": [False] * 3},
    "none any more": {"step": None},
    "none at first": {"reset": None},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_mask_is_one_line_that_names_the_method(name, acting, refused):
    with refused("the environment's", next(iter(WRONG[name])), "test_masks.py", varying=r"line \d+"):
        acting.fit(give(**WRONG[name]), 50, verbose=0, seed=1)


def test_a_wrong_mask_of_a_method_names_it(acting, refused):
    env = ByMethod()
    env.action_masks = lambda: [1]
    with refused("action_masks()", varying=r"line \d+"):
        acting.fit(env, 50, verbose=0, seed=1)


def test_info_counts_before_a_method(acting):
    class Both(Masked):
        def action_masks(self):
            raise AssertionError

    env = Both()
    acting.fit(env, 20, verbose=0, seed=1)
    assert env.nb_illegal == 0


def test_a_mask_at_the_end_of_an_episode_may_be_anything(acting):
    class Careless(Masked):
        def observe(self, is_over=False):
            observation, info = super().observe(is_over)
            return observation, {} if is_over else info

    acting.fit(Careless(), 40, verbose=0, seed=1)
    assert acting.step == 40


# Commands


class Wrapping(gym.Wrapper):
    """Notes whether Taxi says that what is done is illegal, in all copies."""

    illegal: list[bool] = []  # noqa: RUF012

    def reset(self, **options):
        observation, info = self.env.reset(**options)
        self.mask = info["action_mask"]
        return observation, info

    def step(self, action):
        self.illegal.append(not self.mask[action])
        *values, info = self.env.step(action)
        self.mask = info["action_mask"]
        return *values, info


SETTINGS = {
    "hidden_layers": (8,),
    "nb_steps": 250,
    "nb_max_episode_steps": 60,
    "eval_interval": 100,
    "eval_episodes": 1,
}
SETTINGS |= {"seed": 1, "nb_max_start_steps": 5, "memory_limit": 300, "jit_compile": False}


@pytest.mark.long
@pytest.mark.parametrize("obeys", [True, False])
def test_taxi_is_trained_evaluated_played_and_exported_without_an_illegal_action(obeys, tmp_path, capsys):
    Wrapping.illegal.clear()
    folders = {"checkpoint_dir": str(tmp_path), "log_dir": str(tmp_path)}
    trained = train(
        Config(**SETTINGS, **folders, action_masks=obeys),
        env=lambda: Wrapping(gym.make("Taxi-v3", disable_env_checker=True)),
    )
    trained.play(1, seed=3)
    trained.export(tmp_path / "taxi.keras", episodes=1)
    assert len(Wrapping.illegal) > 500 and any(Wrapping.illegal) != obeys
    told = capsys.readouterr().out
    assert len(re.findall('^action masks from info\\["action_mask"\\]', told, re.MULTILINE)) == obeys
