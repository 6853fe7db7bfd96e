"""What people's processors give: arrays that are used again, states of other shapes, actions of any kind."""

import keras
import numpy as np
import pytest
import rl.callbacks
import rl.core
import rl.memory
import rl.policy
import rl.processors
import rl.util
from keras import layers

from kerasrl import DQNAgent, SequentialMemory


class Space:
    """An action space whose samples are what it is given, in turn."""

    def __init__(self, *samples):
        self.samples = list(samples)

    def sample(self):
        self.samples.append(self.samples.pop(0))
        return self.samples[-1]


class Counting:
    """Observations are 1, 2, 3, ... in some shape and type; episodes take five steps."""

    def __init__(self, shape=(2,), dtype=np.float32, space=None):
        self.shape, self.dtype, self.actions, self.i = shape, dtype, [], 0
        self.action_space = space or Space(0, 1)

    def observe(self):
        self.i += 1
        return np.full(self.shape, self.i, self.dtype)

    def reset(self):
        self.nb_steps = 0
        return self.observe(), {}

    def step(self, action):
        self.actions.append(action)
        self.nb_steps += 1
        return self.observe(), 1.0, self.nb_steps == 5, False, {}


def build_agent(input_shape, processor, memory=None, window_length=1, **options):
    model = keras.Sequential([keras.Input(input_shape), layers.Flatten(), layers.Dense(2)])
    memory = memory or SequentialMemory(limit=100, window_length=window_length)
    options = {"nb_steps_warmup": 5, "batch_size": 4, **options}
    agent = DQNAgent(model=model, nb_actions=2, memory=memory, processor=processor, **options)
    agent.compile("sgd")
    return agent


# Arrays that are used again


class Reusing(rl.core.Processor):
    """Each hook returns one and the same container, with other content each time."""

    def __init__(self, observation):
        self.observation, self.action = observation, [0]

    def process_observation(self, observation):
        for part in self.observation if isinstance(self.observation, tuple) else [self.observation]:
            part[:] = observation
        return self.observation

    def process_action(self, action):
        self.action[0] += 1
        return self.action


@pytest.mark.parametrize("memory", [SequentialMemory, rl.memory.SequentialMemory])
@pytest.mark.parametrize("observation", [np.zeros(2), [0.0, 0.0], (np.zeros(2), np.zeros(2))])
def test_what_a_processor_uses_again_is_copied(memory, observation):
    class Seeing(rl.callbacks.Callback):
        def on_step_end(self, step, logs):
            seen.append(logs["observation"])
            actions.append(logs["action"])

    seen, actions = [], []
    memory = memory(100, window_length=1)
    agent = build_agent((1, 2), Reusing(observation), memory, nb_steps_warmup=10**9)
    agent.compute_q_values = lambda state: np.zeros(2)  # a model of two inputs is not the point here
    agent.fit(Counting(), 10, callbacks=[Seeing()], verbose=0)
    first = [np.ravel(observed)[0] for observed in memory.observations]
    assert first == list(range(1, 13))  # each once, in order, the last of both episodes included
    assert [np.ravel(observed)[0] for observed in seen] == [2, 3, 4, 5, 6, 8, 9, 10, 11, 12]
    assert actions == [[k] for k in range(1, 11)]


def test_a_state_batch_that_a_processor_uses_again_is_copied():
    class Fresh(rl.core.Processor):
        def process_state_batch(self, batch):
            return batch / 10

    class Again(rl.core.Processor):
        arrays = {}  # noqa: RUF012

        def process_state_batch(self, batch):
            array = self.arrays.setdefault(batch.shape, np.zeros(batch.shape))
            array[:] = batch / 10
            return array

    weights = []
    for processor in (Fresh(), Again()):
        keras.utils.set_random_seed(1)
        agent = build_agent((1, 2), processor, policy=rl.policy.EpsGreedyQPolicy(0.5))
        agent.fit(Counting(), 30, seed=1, verbose=0)
        weights.append(agent.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


# States of other shapes


@pytest.mark.long
@pytest.mark.parametrize(
    ("process", "window_length", "shape", "input_shape", "memory"),
    [
        (lambda batch: np.squeeze(batch, axis=1), 1, (3,), (3,), SequentialMemory),
        (lambda batch: np.squeeze(batch, axis=1), 1, (3,), (3,), rl.memory.SequentialMemory),
        (lambda batch: np.moveaxis(batch, 1, -1), 4, (5, 6), (5, 6, 4), SequentialMemory),
        (lambda batch: batch.reshape(len(batch), -1), 2, (3,), (6,), SequentialMemory),
        (lambda batch: batch[:, -1, None, None], 2, (3,), (1, 1, 3), rl.memory.SequentialMemory),
    ],
    ids=["taken away", "taken away, Keras-RL's memory", "moved last", "joined", "more axes"],
)
def test_the_windows_axis_may_go_anywhere(process, window_length, shape, input_shape, memory):
    class Shaping(rl.core.Processor):
        def process_state_batch(self, batch):
            return process(batch) / 100

    memory = memory(100, window_length=window_length)
    agent = build_agent(input_shape, Shaping(), memory, gradient_steps=2)
    before = agent.get_weights()
    history = agent.fit(Counting(shape), 40, verbose=0)  # updates at the ends of episodes are among them
    assert history.history["nb_episode_steps"] == [5] * 8
    assert not np.array_equal(before[0], agent.get_weights()[0])
    assert agent.test(Counting(shape), 2, visualize=False, verbose=0).history["nb_steps"] == [5, 5]


# Actions of any kind


class Cell:
    def __init__(self, action):
        self.action = action


KINDS = {
    "dict": lambda action: {"forward": int(action), "camera": [0, 0]},
    "text": lambda action: "NS"[action],
    "object": Cell,
    "tuple": lambda action: (int(action), (1, 2)),
    "lists of different lengths": lambda action: [0] * (action + 1),
    "none": lambda action: None,
}


class Translating(rl.core.Processor):
    def __init__(self, translate):
        self.translate, self.given = translate, []

    def process_action(self, action):
        self.given.append(action)
        return self.translate(action)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_actions_of_any_kind_reach_the_environment_and_the_line_has_the_agents(kind, capsys):
    processor, env = Translating(KINDS[kind]), Counting()
    build_agent((1, 2), processor, policy=rl.policy.EpsGreedyQPolicy(0.5)).fit(env, 10, verbose=2)
    assert [type(action) for action in env.actions] == [type(KINDS[kind](0))] * 10
    lines = [line for line in capsys.readouterr().out.splitlines() if "mean action" in line]
    for line, given in zip(lines, (processor.given[:5], processor.given[5:]), strict=True):
        assert f"mean action: {np.mean(given):.3f} [{min(given):.3f}, {max(given):.3f}]" in line


def test_numbers_that_a_processor_gives_are_in_the_line(capsys):
    build_agent((1, 2), Translating(lambda action: np.array([7.0, 9.0]))).fit(Counting(), 5, verbose=2)
    assert "mean action: 8.000 [7.000, 9.000]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (Space(0, 1), [0, 1, 0, 1]),  # the agent's own actions, which Keras-RL draws from it
        (Space({"forward": 1}), None),
        (Space(np.array([0.2])), None),
        (Space(17), None),  # the processor chooses a few of the environment's actions
        (object(), None),
    ],
)
def test_a_processor_is_given_actions_of_the_agent_in_start_steps(space, expected, monkeypatch):
    monkeypatch.setattr("numpy.random.randint", lambda limit: limit - 1)
    processor, env = Translating(KINDS["dict"]), Counting(space=space)
    agent = build_agent((1, 2), processor, policy=rl.policy.GreedyQPolicy())
    agent.fit(env, 1, nb_max_start_steps=5, verbose=0)
    assert processor.given[:4] == (expected or [1, 1, 1, 1])
    assert [action["forward"] for action in env.actions[:4]] == processor.given[:4]


# WhiteningNormalizer


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int64", "bool", "float16", "float32", "float64"])
def test_whitened_numbers_of_any_type_have_mean_0_and_deviation_1(dtype):
    batches = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 100, (50, 20, 3)).astype(dtype)
    processor = rl.processors.WhiteningNormalizerProcessor()
    for batch in batches:
        whitened = processor.process_state_batch(batch)
    exact = batches.astype(np.float64)
    mean, deviation = exact.mean((0, 1)), exact.std((0, 1))
    np.testing.assert_allclose(processor.normalizer.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(processor.normalizer.std, deviation, rtol=1e-9)
    np.testing.assert_allclose(whitened, (exact[-1] - mean) / deviation, rtol=1e-9)


@pytest.mark.long
def test_an_agent_learns_from_whitened_bytes():
    seen = []

    class Whitening(rl.processors.WhiteningNormalizerProcessor):
        def process_state_batch(self, batch):
            seen.append(super().process_state_batch(batch))
            return seen[-1]

    agent = build_agent((1, 2), Whitening(), batch_size=16)
    agent.fit(Counting(dtype=np.uint8), 90, verbose=0)
    assert max(np.abs(batch).max() for batch in seen[5:]) < 10
    normalizer = agent.processor.normalizer
    assert normalizer.mean.max() < 90 and normalizer.std.min() > 10
