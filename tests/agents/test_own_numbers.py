"""Numbers of any type that people's environments, processors and callbacks give: their sums, and JSON of them."""

import decimal
import fractions
import json

import keras
import numpy as np
import pytest
import rl.callbacks
import rl.core
import rl.memory
import rl.policy
from keras import layers

from kerasrl import DQNAgent, FileLogger, SequentialMemory


class Env:
    """Episodes of a length, in which each step has the same reward and information."""

    def __init__(self, reward=1.0, info=None, length=4):
        self.reward, self.info, self.length, self.nb_steps = reward, info or {}, length, 0

    def observe(self):
        return np.array([self.episode, self.nb_steps], np.float32)

    def reset(self):
        self.episode, self.nb_steps = getattr(self, "episode", -1) + 1, 0
        return self.observe(), {}

    def step(self, action):
        self.nb_steps += 1
        reward = self.reward(self.nb_steps) if callable(self.reward) else self.reward
        return self.observe(), reward, self.nb_steps == self.length, False, self.info


def build_agent(memory=None, window_length=1, nb_steps_warmup=10**9, metrics=(), **options):
    model = keras.Sequential([keras.Input((window_length, 2)), layers.Flatten(), layers.Dense(3)])
    memory = memory or SequentialMemory(limit=1000, window_length=window_length)
    options = {"batch_size": 4, "nb_steps_warmup": nb_steps_warmup, **options}
    agent = DQNAgent(model=model, nb_actions=3, memory=memory, **options)
    agent.compile("sgd", metrics=list(metrics))
    return agent


class Logs(rl.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.steps = []

    def on_step_end(self, step, logs):
        self.steps.append(logs)


# One of each type, and what 100 of it make
REWARDS = {
    "float": (0.1, 10.0),
    "int": (2, 200),
    "bool": (True, 100),
    "fraction": (fractions.Fraction(1, 4), 25),
    "decimal": (decimal.Decimal("0.25"), 25),
    "float16": (np.float16(1000), 100_000),
    "float32": (np.float32(0.1), 100 * float(np.float32(0.1))),
    "float64": (np.float64(0.1), 10.0),
    "longdouble": (np.longdouble(0.25), 25),
    "int8": (np.int8(100), 10_000),
    "uint8": (np.uint8(200), 20_000),
    "int64": (np.int64(2), 200),
    "numpy's bool": (np.True_, 100),
    "shape ()": (np.array(0.25, np.float16), 25),
    "shape (1,)": (np.array([200], np.uint8), 20_000),
    "shape (1, 1)": (np.array([[0.25]]), 25),
    "list": ([0.25], 25),
}


@pytest.fixture(scope="module")
def agent():
    return build_agent()


@pytest.mark.parametrize("kind", REWARDS)
@pytest.mark.parametrize("has_processor", [False, True])
def test_rewards_of_any_type_are_added_up_in_pythons_floats(kind, has_processor, agent):
    reward, total = REWARDS[kind]
    logs = Logs()
    agent.processor = rl.core.Processor() if has_processor else None
    agent.memory = SequentialMemory(limit=1000)
    for history in (
        agent.fit(Env(reward, length=100), 50, action_repetition=2, callbacks=[logs], verbose=0),
        agent.test(Env(reward, length=100), 1, visualize=False, verbose=0),
    ):
        saved = json.loads(json.dumps(history.history))
        assert saved["episode_reward"] == [pytest.approx(total, 1e-12)]
    assert {type(log["reward"]) for log in logs.steps} == {float}
    assert logs.steps[0]["reward"] == agent.memory.rewards[0] == pytest.approx(total / 50, 1e-12)


@pytest.mark.parametrize("kind", ["float16", "uint8", "shape (1,)", "fraction"])
def test_a_processors_rewards_are_added_up_alike(kind, agent):
    reward, total = REWARDS[kind]

    class Changing(rl.core.Processor):
        def process_reward(self, _):
            return reward

    agent.processor = Changing()
    assert agent.fit(Env(length=100), 100, verbose=0).history["episode_reward"] == [total]


@pytest.mark.parametrize("reward", ["1", None, np.ones(2), [1.0, 2.0], {}, 1j, np.datetime64("2020"), [[1], [1, 2]]])
def test_what_is_no_number_is_no_reward(reward, agent, refused):
    agent.processor = None
    with refused("reward", "number", varying=r" \(.*\)"):
        agent.fit(Env(reward), 1, verbose=0)


def test_numbers_of_any_type_in_info_are_added_up(agent):
    class Unknown:
        def __array__(self, *args, **kwargs):
            raise RuntimeError

    summed = {kind: amount for kind, (amount, _) in REWARDS.items() if kind != "list"}
    left_out = {
        "text": "1", "bytes": b"1", "none": None, "list": [1], "dict": {"a": 1}, "array": np.ones(2), "complex": 1j,
        "empty": np.zeros(0), "date": np.datetime64("2020"), "duration": np.timedelta64(3), "unknown": Unknown(),
    }  # fmt: skip
    logs, agent.processor = Logs(), None
    agent.fit(Env(info=summed | left_out), 1, action_repetition=4, callbacks=[logs], verbose=0)
    info = json.loads(json.dumps(logs.steps[0]["info"]))
    assert info == {kind: pytest.approx(4 * float(np.ravel(amount)[0]), 1e-12) for kind, amount in summed.items()}


class Adding(rl.callbacks.Callback):
    """Adds to an episode's logs one value of each type, and one at every other episode only."""

    def on_episode_end(self, episode, logs):
        logs |= {kind: value for kind, (value, _) in REWARDS.items()}
        logs |= {"vector": np.array([1, 2], np.float32), "text": "a", "nothing": None}
        if episode % 2:
            logs["odd"] = np.float32(episode)


def test_what_callbacks_log_is_json(tmp_path, agent):
    agent.processor = None
    log = FileLogger(str(tmp_path / "log.json"))
    history = agent.fit(Env(), 16, callbacks=[Adding(), log], verbose=0).history
    saved = json.loads(json.dumps(history))
    assert saved["vector"] == [[1, 2]] * 4 and saved["text"] == ["a"] * 4 and saved["odd"] == [1, 3]
    assert saved["uint8"] == saved["shape (1,)"] == [200] * 4
    written = json.loads((tmp_path / "log.json").read_text())
    assert written["odd"] == [None, 1, None, 3]  # in the rows of their episodes
    assert {len(column) for column in written.values()} == {4}


def test_a_log_of_any_values_continues_after_a_resume(tmp_path, agent):
    one, other = FileLogger(str(tmp_path / "one.json")), FileLogger(str(tmp_path / "other.json"))
    agent.fit(Env(), 16, callbacks=[Adding(), one], verbose=0)
    other.set_state(one.get_state())
    other.save_data()
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "other.json").read_bytes()


@pytest.mark.long
@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_metrics_of_any_type_are_logged(verbose, tmp_path, capsys):
    class Telling(rl.core.Processor):
        metrics_names = [f"of {kind}" for kind in REWARDS if kind != "list"]  # noqa: RUF012

        @property
        def metrics(self):
            return [value for kind, (value, _) in REWARDS.items() if kind != "list"]

    class Loud(rl.policy.EpsGreedyQPolicy):
        metrics_names = ["loudness"]  # noqa: RUF012
        metrics = [np.array([3], np.uint8)]  # noqa: RUF012

    logs, path = Logs(), tmp_path / "log.json"
    agent = build_agent(nb_steps_warmup=5, processor=Telling(), policy=Loud())
    agent.fit(Env(), 16, callbacks=[logs, FileLogger(str(path))], verbose=verbose)
    last = dict(zip(agent.metrics_names, json.loads(json.dumps(logs.steps[-1]["metrics"])), strict=True))
    assert (last["loudness"], last["of uint8"], last["of shape (1,)"], last["of bool"]) == (3, 200, 200, True)
    assert json.loads(path.read_text())["of shape (1, 1)"] == [None, 0.25, 0.25, 0.25]


# Metrics of Keras 1 and 2


METRICS = {
    "categorical_accuracy": ("acc", "accuracy"),
    "categorical_crossentropy": ("ce", "crossentropy"),
    "mean_squared_error": ("mse", "MSE"),
    "mean_absolute_error": ("mae", "MAE"),
    "mean_absolute_percentage_error": ("mape", "MAPE"),
    "mean_squared_logarithmic_error": ("msle", "MSLE"),
    "kl_divergence": ("kld", "KLD", "kullback_leibler_divergence"),
    "cosine_similarity": ("cosine", "cosine_proximity"),
    "logcosh": ("log_cosh", "LogCoshError"),
}
EXPECTED = {
    "mean_squared_error": lambda target, output: ((target - output) ** 2).mean(),
    "mean_absolute_error": lambda target, output: np.abs(target - output).mean(),
    "categorical_accuracy": lambda target, output: (target.argmax(1) == output.argmax(1)).mean(),
}


@pytest.mark.long
def test_metrics_have_the_names_and_meanings_of_keras_1_and_2():
    seen = []

    def look(target, output):
        import tensorflow as tf

        tf.numpy_function(lambda t, o: seen.append((t, o)), [target, output], [])
        return output

    names = [name for long, short in METRICS.items() for name in (long, *short)]
    policy = rl.policy.EpsGreedyQPolicy(1.0)
    logs, agent = Logs(), build_agent(nb_steps_warmup=5, metrics=[*names, look], policy=policy)
    agent.fit(Env(reward=lambda step: step / 7, length=100), 20, callbacks=[logs], verbose=0)
    assert agent.metrics_names == ["loss", *names, "look", "mean_q"]
    learned = [dict(zip(agent.metrics_names, log["metrics"], strict=True)) for log in logs.steps[6:]]
    assert len(learned) == len(seen) > 10
    for metrics, (target, output) in zip(learned, seen, strict=True):
        for name, others in METRICS.items():
            assert {metrics[other] for other in others} == {metrics[name]}
        for name, function in EXPECTED.items():
            assert metrics[name] == pytest.approx(function(target, output), 1e-5)
    accuracies = [metrics["acc"] for metrics in learned]
    assert 0 < np.mean(accuracies) < 1


def test_of_a_single_action_accuracy_is_binary_as_in_keras_2():
    from kerasrl.learning import Metrics

    metrics = Metrics(["acc", "binary_accuracy", "ce", "binary_crossentropy"], nb_outputs=1)
    values = metrics.results(np.array([[1.0], [0.0], [1.0]], np.float32), np.array([[0.9], [0.8], [0.7]], np.float32))
    accuracy, same, entropy, same_entropy = map(float, values)
    assert accuracy == same == pytest.approx(2 / 3)
    assert entropy == same_entropy


def test_a_memory_too_small_to_learn_from_is_refused_when_it_should_learn(refused):
    agent = build_agent(SequentialMemory(limit=3))
    assert agent.test(Env(), 1, visualize=False, verbose=0).history["nb_steps"] == [4]
    with refused("limit", 4, 3):
        agent.fit(Env(), 10, verbose=0)


# Steps between stored steps


@pytest.mark.parametrize("window_length", [1, 3])
@pytest.mark.parametrize("interval", [3, *(pytest.param(steps, marks=pytest.mark.long) for steps in (2, 7))])
@pytest.mark.parametrize("kind", [SequentialMemory, rl.memory.SequentialMemory])
def test_of_each_episode_the_end_is_stored_and_no_state_reaches_beyond_it(kind, interval, window_length):
    memory = kind(1000, window_length=window_length)
    agent = build_agent(memory, window_length, memory_interval=interval)
    length = 5
    env = Env(reward=lambda step: float(step == length), length=length)
    agent.fit(env, 8 * length, verbose=0)
    observations = np.array(list(memory.observations))
    ends = np.flatnonzero(np.array(memory.terminals))
    # The last action's observation and reward, followed by the observation after it.
    np.testing.assert_array_equal(observations[ends], [[episode, length - 1] for episode in range(8)])
    np.testing.assert_array_equal(observations[ends + 1], [[episode, length] for episode in range(8)])
    assert np.array(memory.rewards)[ends].tolist() == [1.0] * 8 and np.sum(memory.rewards) == 8.0
    # In between, every so many steps, as in Keras-RL.
    others = np.delete(observations, [*ends, *(ends + 1)], axis=0)
    assert all((episode * length + step) % interval == 0 for episode, step in others)
    indexes = [i for i in range(window_length, memory.nb_entries - 1) if not memory.terminals[i - 1]]
    for experience in memory.sample(len(indexes), batch_idxs=indexes):
        episodes = {frame[0] for frame in [*experience.state0, *experience.state1] if np.any(frame)}
        episodes |= {experience.state1[-1][0]}
        assert len(episodes - {0.0}) <= 1
        (before, after) = experience.state0[-1], experience.state1[-1]
        assert before[0] == after[0] and before[1] < after[1]
        assert experience.terminal1 == (after[1] == length) == (experience.reward == 1.0)


def test_a_time_limit_between_stored_steps_keeps_the_value_of_its_last_state():
    agent = build_agent(memory_interval=2)
    agent.fit(Env(length=100), 20, nb_max_episode_steps=5, verbose=0)
    sample = agent.memory.draw(64)
    assert agent.memory.terminals.sum() == 4 and (sample.discounts == 1).all()


def test_a_test_at_an_episodes_end_changes_nothing_that_is_stored():
    class Testing(rl.callbacks.Callback):
        def on_step_end(self, step, logs):
            self.model.test(Env(length=3), 1, visualize=False, verbose=0)

    stored = []
    for callbacks in ([], [Testing()]):
        agent = build_agent(memory_interval=3)
        agent.fit(Env(length=5), 30, callbacks=callbacks, verbose=0)
        stored.append(np.array(agent.memory.observations))
    np.testing.assert_array_equal(*stored)
