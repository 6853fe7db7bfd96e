"""Returns of several steps and prioritised replay, through `fit`, against plain NumPy and plain Python."""

import itertools

import keras
import numpy as np
import pytest
import rl.callbacks
import rl.core
import rl.memory
import rl.policy
from keras import layers

from kerasrl import DQNAgent, PrioritizedMemory, SequentialMemory

NB_ACTIONS = 3
LIMIT = 40
MIXED = [(7, "terminated"), (5, "truncated"), (1, "terminated"), (2, "truncated"), (9, "truncated")]


class ScriptedEnv:
    """Random observations and rewards, whatever is done; ends of episodes are (length, how) pairs, in turn."""

    def __init__(self, ends, observe):
        self.ends, self.observe = itertools.cycle(ends), observe
        self.rng = np.random.default_rng(1)

    def reset(self):
        self.length, self.how = next(self.ends)
        self.nb_steps = 0
        return self.observe(self.rng.normal(size=2).astype(np.float32)), {}

    def step(self, action):
        self.nb_steps += 1
        ends = [self.nb_steps == self.length and self.how == how for how in ("terminated", "truncated")]
        return self.observe(self.rng.normal(size=2).astype(np.float32)), self.rng.normal(), *ends, {}


class RandomPolicy(rl.policy.Policy):
    def __init__(self):
        self.rng = np.random.default_rng(2)

    def select_action(self, q_values):
        return int(self.rng.integers(len(q_values)))


class PlainMemory:
    """Every step in a list; transitions and their returns by walking along it."""

    def __init__(self, window_length, n_step, gamma):
        self.window_length, self.n_step, self.gamma = window_length, n_step, gamma
        self.steps = []  # observation, action, reward, whether it ends the episode, whether it is death, episode
        self.episode = 0

    def append(self, observation, action, reward, done, terminated):
        self.steps.append((observation, action, reward, done, terminated, self.episode))

    def drawable(self):
        """The numbers of the steps from which a transition leads, all of it stored."""
        oldest = max(0, len(self.steps) - LIMIT)
        numbers = range(oldest + self.window_length, len(self.steps) - self.n_step)
        return [k for k in numbers if not self.steps[k - 1][3]]  # not the last observation of an episode

    def state(self, k):
        """The window that ends at step k, with zeros for what was before the episode."""
        frames = []
        for j in range(k - self.window_length + 1, k + 1):
            is_in_episode = j >= 0 and self.steps[j][5] == self.steps[k][5]
            frames.append(self.steps[j][0] if is_in_episode else np.zeros_like(self.steps[k][0]))
        return np.concatenate(np.array(frames).T)  # part by part, since the parts are inputs of their own

    def transition(self, k):
        """State, action, return, state after, and what a unit of the state after is worth."""
        total, m = 0.0, 0
        while True:
            _, _, reward, done, terminated, _ = self.steps[k + m]
            total += self.gamma**m * reward
            m += 1
            if done or m == self.n_step:
                break
        return self.state(k), self.steps[k][1], total, self.state(k + m), 0.0 if terminated else self.gamma**m


class UniformDraws:
    """A memory of the same seed says which steps are drawn: those whose observations its states end with."""

    def __init__(self, plain):
        self.plain, self.memory = plain, SequentialMemory(LIMIT, plain.window_length, seed=3)

    def append(self, observation, action, reward, done, terminated):
        self.memory.append(observation, action, reward, done, truncated=done and not terminated)

    def draw(self, batch_size, nb_batches):
        frames = self.memory.draw(batch_size, nb_batches, self.plain.n_step, self.plain.gamma).frames[0]
        numbers = {step[0].tobytes(): k for k, step in enumerate(self.plain.steps)}
        drawn = [numbers[frame.tobytes()] for frame in frames[:, self.plain.window_length - 1]]
        assert set(drawn) <= set(self.plain.drawable())
        return [(part, np.ones(batch_size)) for part in np.split(np.array(drawn), nb_batches)]

    def update(self, drawn, errors):
        pass


class UniformDrawsOneByOne(UniformDraws):
    """The draws where a processor changes whole states."""

    def draw(self, batch_size, nb_batches):
        return [UniformDraws.draw(self, batch_size, 1)[0] for _ in range(nb_batches)]


class PriorityDraws:
    """Schaul et al. 2016, algorithm 1, over a list of priorities; the ranges are those of the ring's rows."""

    def __init__(self, plain, alpha=0.7, beta=0.5, beta_end=0.9, nb_steps_annealed=70, epsilon=0.01):
        self.plain, self.alpha, self.epsilon = plain, alpha, epsilon
        self.beta, self.beta_end, self.nb_steps_annealed = beta, beta_end, nb_steps_annealed
        self.priorities, self.largest, self.rng = {}, 1.0, np.random.default_rng(3)

    def append(self, *step):
        pass

    def draw(self, batch_size, nb_batches):
        steps = sorted(self.plain.drawable(), key=lambda k: k % LIMIT)
        for k in steps:
            self.priorities.setdefault(k, self.largest)
        powers = np.array([self.priorities[k] for k in steps]) ** self.alpha
        probabilities = powers / powers.sum()
        share = min(1.0, len(self.plain.steps) / self.nb_steps_annealed)
        weights = (len(steps) * probabilities) ** -(self.beta + share * (self.beta_end - self.beta))
        batches = []
        for _ in range(nb_batches):
            points = (np.arange(batch_size) + self.rng.random(batch_size)) / batch_size
            found = np.searchsorted(np.cumsum(probabilities), points, side="right")
            batches.append(([steps[i] for i in found], weights[found] / weights[found].max()))
        return batches

    def update(self, drawn, errors):
        for k, error in zip(drawn, errors, strict=True):
            self.priorities[k] = abs(error) + self.epsilon
            self.largest = max(self.largest, self.priorities[k])


class NumpyNetwork:
    """A Q-network with one tanh layer and its DQN update, forward and backward by hand, in float64."""

    def __init__(self, weights, double, dueling, clip, tau):
        self.online = [np.array(w, np.float64) for w in weights]
        self.target = [w.copy() for w in self.online]
        self.double, self.clip, self.tau = double, clip, tau
        # A dueling network (avg) ends in a constant matrix: Q = V + A - mean A.
        nb = NB_ACTIONS
        self.end = np.vstack([np.ones(nb), np.eye(nb) - 1 / nb]) if dueling else np.eye(nb)

    def forward(self, weights, states):
        hidden = np.tanh(states @ weights[0] + weights[1])
        return (hidden @ weights[2] + weights[3]) @ self.end, hidden

    def update(self, transitions, importance):
        """Train; return loss, mean absolute error, mean Q and the temporal-difference errors."""
        states0, actions, returns, states1, discounts = map(np.array, zip(*transitions, strict=True))
        rows, size = np.arange(len(actions)), len(actions)
        values = self.forward(self.target, states1)[0]
        best = np.argmax(self.forward(self.online, states1)[0] if self.double else values, axis=1)
        targets = returns + discounts * values[rows, best]
        q_values, hidden = self.forward(self.online, states0)
        errors, clip = targets - q_values[rows, actions], self.clip
        losses = np.where(np.abs(errors) < clip, errors**2 / 2, (np.abs(errors) - clip / 2) * min(clip, 1e9))
        masked = np.zeros_like(q_values)
        masked[rows, actions] = targets
        metrics = [(importance * losses).mean(), np.abs(masked - q_values).mean(), q_values.max(axis=1).mean()]
        d_q = np.zeros_like(q_values)
        d_q[rows, actions] = -importance * np.clip(errors, -clip, clip) / size
        d_q = d_q @ self.end.T
        d_hidden = d_q @ self.online[2].T * (1 - hidden**2)
        gradients = [states0.T @ d_hidden, d_hidden.sum(0), hidden.T @ d_q, d_q.sum(0)]
        for weight, gradient in zip(self.online, gradients, strict=True):
            weight -= 0.1 * gradient
        if self.tau < 1:
            self.target = [self.tau * o + (1 - self.tau) * t for o, t in zip(self.online, self.target, strict=True)]
        return metrics, errors


class Recorder(rl.callbacks.Callback):
    """What `fit` did, as `backward` saw it, and the metrics of each step."""

    def on_train_begin(self, logs):
        self.calls, self.metrics, agent = [], [], self.model
        backward = agent.backward

        def seen(reward, terminal):
            flat = agent.recent_observation
            flat = np.concatenate(list(flat.values())) if isinstance(flat, dict) else flat
            terminated = terminal and not agent.recent_truncated
            self.calls.append((agent.step, flat, agent.recent_action, reward, terminal, terminated))
            metrics = backward(reward, terminal)
            self.metrics.append(metrics)
            return metrics

        agent.backward = seen

    def on_train_end(self, logs):
        del self.model.backward


def vector(values):
    return values


def as_dict(values):
    return {"a": values[:1], "b": values[1:]}


def build_model(window_length, two_inputs):
    if two_inputs:
        inputs = [keras.Input((window_length, 1), name=name) for name in "ab"]
        x = layers.Concatenate()([layers.Flatten()(part) for part in inputs])
    else:
        inputs = keras.Input((window_length, 2))
        x = layers.Flatten()(layers.Permute((2, 1))(inputs))  # part by part
    x = layers.Dense(5, activation="tanh", bias_initializer="random_normal")(x)
    return keras.Model(inputs, layers.Dense(NB_ACTIONS)(x))


class Converting(rl.core.Processor):
    """A processor of whole states: the slower way into an update."""

    def process_state_batch(self, batch):
        return np.asarray(batch, np.float32)


BASE = {"target_model_update": 0.05}
CASES = {
    "soft": {},
    "hard, huber": {"target_model_update": 5, "delta_clip": 0.5},
    "double": {"enable_double_dqn": True},
    "dueling, double, huber": {"enable_dueling_network": True, "enable_double_dqn": True, "delta_clip": 0.4},
    "window": {"window_length": 3},
    "train_interval": {"train_interval": 3, "gamma": 0.5},
    "gradient_steps": {"train_interval": 4, "gradient_steps": 3},
    "gradient_steps, hard, window, double": {
        **{"train_interval": 2, "gradient_steps": 2, "target_model_update": 3},
        **{"window_length": 2, "enable_double_dqn": True},
    },
    "action_repetition": {"action_repetition": 2},
    "time limit": {"nb_max_episode_steps": 4},
    "one long episode": {"ends": [(1000, "terminated")]},
    "two inputs": {"observe": as_dict},
    "two inputs, window, dueling": {"observe": as_dict, "window_length": 3, "enable_dueling_network": True},
    "processed states": {"build_processor": Converting, "window_length": 2},
    "processed states, gradient_steps": {"build_processor": Converting, "train_interval": 2, "gradient_steps": 2},
}
QUICK = ("dueling, double, huber", "gradient_steps, hard, window, double", "time limit")
ALL = [pytest.param(case, marks=() if case in QUICK else pytest.mark.long) for case in CASES]


def assert_fit_equals_numpy(case, n_step, memory, plain_draws):
    """Fit with the options of a case, and repeat each step in plain Python and NumPy."""
    options = {"batch_size": 8, "nb_steps_warmup": 6, **BASE, **CASES[case]}
    window_length = options.pop("window_length", 1)
    observe, ends = options.pop("observe", vector), options.pop("ends", MIXED)
    processor = options.pop("build_processor", lambda: None)()
    fit_options = {name: options.pop(name) for name in ("action_repetition", "nb_max_episode_steps") if name in options}
    agent = DQNAgent(
        model=build_model(window_length, observe is as_dict), nb_actions=NB_ACTIONS, memory=memory,
        policy=RandomPolicy(), processor=processor, n_step=n_step, **options,
    )  # fmt: skip
    agent.compile(keras.optimizers.SGD(0.1), metrics=["mae"])
    choices = {"clip": options.get("delta_clip", np.inf), "tau": options["target_model_update"]}
    choices |= {"double": "enable_double_dqn" in options, "dueling": "enable_dueling_network" in options}
    network = NumpyNetwork(agent.model.get_weights(), **choices)
    recorder = Recorder()

    agent.fit(ScriptedEnv(ends, observe), nb_steps=90, callbacks=[recorder], verbose=0, **fit_options)

    plain = PlainMemory(window_length, n_step, options.get("gamma", 0.99))
    draws, nb_trained = plain_draws(plain), 0
    for (step, *what), metrics in zip(recorder.calls, recorder.metrics, strict=True):
        plain.append(*what)
        draws.append(*what)
        if len(plain.steps) > 1 and plain.steps[-2][3]:
            plain.episode += 1  # the last observation of the one before has been stored
        nb_stored = min(len(plain.steps), LIMIT)
        is_due = step > 6 and step % options.get("train_interval", 1) == 0 and nb_stored >= window_length + 1 + n_step
        expected = np.full(3, np.nan)
        if is_due:
            found = []
            for drawn, importance in draws.draw(options["batch_size"], options.get("gradient_steps", 1)):
                values, errors = network.update([plain.transition(k) for k in drawn], importance)
                found.append(values)
                draws.update(drawn, errors)
            expected, nb_trained = np.mean(found, axis=0), nb_trained + 1
        np.testing.assert_allclose(metrics, expected, 2e-5, 2e-5, err_msg=f"step {step}")
        if choices["tau"] >= 1 and step % choices["tau"] == 0:
            network.target = [w.copy() for w in network.online]
    assert nb_trained >= 20 and len(plain.steps) > 2 * LIMIT
    actual = [*agent.model.get_weights(), *agent.target_model.get_weights()]
    for one, other in zip(actual, [*network.online, *network.target], strict=True):
        np.testing.assert_allclose(one, other, 2e-5, 2e-5)


# Returns of several steps


@pytest.mark.long
@pytest.mark.parametrize("n_step", [1, 2, 3, 6])
def test_returns_equal_numpy_with_the_ring_overwritten(n_step):
    assert_fit_equals_numpy("soft", n_step, SequentialMemory(LIMIT, seed=3), UniformDraws)


@pytest.mark.parametrize("case", ALL)
def test_returns_of_three_steps_equal_numpy(case):
    memory = SequentialMemory(LIMIT, CASES[case].get("window_length", 1), seed=3)
    draws = UniformDrawsOneByOne if "processed" in case else UniformDraws
    assert_fit_equals_numpy(case, 3, memory, draws)


class Corridor:
    """Ten steps to the right, 1 for the last; a time limit may come before."""

    def __init__(self, limit=1000):
        self.limit = limit

    def reset(self):
        self.place = self.nb_steps = 0
        return np.eye(11)[0], {}

    def step(self, action):
        self.place, self.nb_steps = self.place + 1, self.nb_steps + 1
        return np.eye(11)[self.place], float(self.place == 10), self.place == 10, self.nb_steps == self.limit, {}


@pytest.mark.long
@pytest.mark.parametrize(
    "n_step", [pytest.param(1, marks=pytest.mark.long), 3, pytest.param(20, marks=pytest.mark.long)]
)
def test_values_converge_to_the_discounted_reward_whatever_the_number_of_steps(n_step):
    model = keras.Sequential([keras.Input((1, 11)), layers.Flatten(), layers.Dense(1, use_bias=False)])
    agent = DQNAgent(
        model=model, nb_actions=1, memory=SequentialMemory(limit=200, seed=1), nb_steps_warmup=40, gamma=0.9,
        target_model_update=1, n_step=n_step, batch_size=32,
    )  # fmt: skip
    agent.compile(keras.optimizers.SGD(2.0))
    agent.fit(Corridor(), nb_steps=400, verbose=0)
    values = [agent.compute_q_values([np.eye(11)[place]])[0] for place in range(10)]
    np.testing.assert_allclose(values, 0.9 ** np.arange(9, -1, -1), atol=1e-3)


class AlwaysOne:
    """One state and reward 1 for ever, but for a time limit."""

    def reset(self):
        self.nb_steps = 0
        return np.ones(1), {}

    def step(self, action):
        self.nb_steps += 1
        return np.ones(1), 1.0, False, self.nb_steps == 5, {}


@pytest.mark.parametrize("n_step", [4, *(pytest.param(n, marks=pytest.mark.long) for n in (2, 7))])
def test_a_time_limit_keeps_the_value_of_its_last_state(n_step):
    model = keras.Sequential([keras.Input((1, 1)), layers.Flatten(), layers.Dense(1, use_bias=False)])
    agent = DQNAgent(
        model=model, nb_actions=1, memory=SequentialMemory(limit=100, seed=1), nb_steps_warmup=20, gamma=0.9,
        target_model_update=1, n_step=n_step,
    )  # fmt: skip
    agent.compile(keras.optimizers.SGD(0.5))
    agent.fit(AlwaysOne(), nb_steps=250, verbose=0)
    assert agent.compute_q_values([np.ones(1)])[0] == pytest.approx(10.0, abs=1e-3)


@pytest.mark.long
def test_a_second_fit_takes_the_end_of_the_first_for_a_time_limit():
    memory = SequentialMemory(limit=30)
    agent = DQNAgent(model=build_model(1, False), nb_actions=NB_ACTIONS, memory=memory, n_step=3, nb_steps_warmup=99)
    agent.compile("sgd")
    agent.fit(ScriptedEnv([(100, "terminated")], vector), nb_steps=6, verbose=0)  # it stops within an episode
    rewards = memory.rewards[:6]
    agent.fit(ScriptedEnv([(100, "terminated")], vector), nb_steps=6, verbose=0)
    sample, found = memory.draw(200, 1, 3, 0.5), {}
    for i, frame in enumerate(sample.frames[0][:, 0]):
        found[frame.tobytes()] = sample.rewards[i], sample.discounts[i], sample.frames[0][i, 1]
    stored = memory.observations
    for k, total, m in ((4, rewards[4] + 0.5 * rewards[5], 2), (5, rewards[5], 1)):
        assert found[stored[k].tobytes()][:2] == pytest.approx((total, 0.5**m))
        np.testing.assert_array_equal(found[stored[k].tobytes()][2], stored[6])
    assert stored[6].tobytes() not in found  # the last observation, from which nothing leads


@pytest.mark.parametrize(
    "options",
    [
        {"n_step": 0},
        {"n_step": 3, "memory_interval": 2},
        {"n_step": 3, "memory": rl.memory.SequentialMemory(limit=9, window_length=1)},
        {"n_step": 9, "memory": SequentialMemory(9)},
    ],
    ids=["no step", "steps left out", "memory of another kind", "small memory"],
)
def test_what_returns_cannot_be_made_of_is_refused(options, refused):
    with refused("n_step"):
        DQNAgent(model=build_model(1, False), nb_actions=NB_ACTIONS, **{"memory": SequentialMemory(20), **options})


# Prioritised replay


@pytest.mark.parametrize("n_step", [pytest.param(1, marks=pytest.mark.long), 3])
@pytest.mark.parametrize("case", ALL)
def test_prioritised_replay_equals_numpy(case, n_step):
    memory = PrioritizedMemory(
        LIMIT, CASES[case].get("window_length", 1), alpha=0.7, beta=0.5, beta_end=0.9, nb_steps_annealed=70,
        epsilon=0.01, seed=3,
    )  # fmt: skip
    assert_fit_equals_numpy(case, n_step, memory, PriorityDraws)


def filled(memory, nb_steps, nb_episode_steps=9):
    """Append episodes; observations count from 0, and every tenth is an episode's last, from which nothing leads."""
    for i in range(nb_steps):
        is_end = i % (nb_episode_steps + 1) == nb_episode_steps - 1
        memory.append(np.array([i]), 0, 1.0, terminal=is_end, truncated=True)
    return memory


def give_priorities(memory, error):
    """Draw until each transition has the priority of `error(number)`; return the numbers of all."""
    known, last_new = set(), 0
    while last_new < 200:
        sample = memory.draw(64)
        numbers = sample.frames[0][:, 0, 0]
        last_new = last_new + 1 if known.issuperset(numbers.tolist()) else 0
        known.update(numbers.tolist())
        memory.update_priorities(sample.rows, error(numbers))
    return np.array(sorted(known))


def chi_squared_per_freedom(counts, expected):
    return np.sum((counts - expected) ** 2 / expected) / (len(counts) - 1)


@pytest.mark.parametrize("batch_size", [4, 32])
def test_transitions_are_drawn_in_proportion_to_their_priorities(batch_size):
    memory = filled(PrioritizedMemory(120, alpha=0.6, epsilon=1e-6, seed=0), 200)
    numbers = give_priorities(memory, lambda number: 3.0 ** (number % 7) * np.where(number % 2, 1, -1))
    assert numbers.tolist() == [i for i in range(81, 199) if i % 10 != 9]
    nb_draws = 64_000
    drawn = np.concatenate([memory.draw(batch_size).frames[0][:, 0, 0] for _ in range(nb_draws // batch_size)])
    counts = np.bincount(drawn, minlength=200)[numbers]
    assert counts.sum() == nb_draws

    def misfit(alpha):
        powers = 3.0 ** (numbers % 7 * alpha)
        expected = nb_draws * powers / powers.sum()
        by_priority = [np.bincount(numbers % 7, weights) for weights in (counts, expected)]
        return chi_squared_per_freedom(counts, expected), chi_squared_per_freedom(*by_priority)

    of_transitions, of_priorities = misfit(0.6)
    assert of_transitions < 1.5 and of_priorities < 3.0  # 1 is expected, or less since each range has its draw
    assert min(misfit(alpha)[1] for alpha in (0.0, 0.55, 0.57, 0.63, 0.65, 1.0)) > 10.0


def test_without_alpha_all_transitions_are_equally_likely():
    memory = filled(PrioritizedMemory(120, alpha=0.0, seed=0), 200)
    numbers = give_priorities(memory, lambda number: number**2 + 1.0)
    counts = np.bincount(np.concatenate([memory.draw(32).frames[0][:, 0, 0] for _ in range(1000)]))[numbers]
    assert chi_squared_per_freedom(counts, 32_000 / len(numbers)) < 1.5
    assert set(memory.draw(32).weights) == {1.0}


@pytest.mark.parametrize("limit", [5, 64, 1000, 70_000])  # 70,000: a level more
def test_draws_equal_those_by_all_priorities_added_up(limit):
    memory = filled(PrioritizedMemory(limit, alpha=1.0, epsilon=1e-9, seed=5), 3 * limit // 2 + 20, 50)
    rng, twin = np.random.default_rng(1), np.random.default_rng(5)
    priorities = np.zeros(limit)
    stored = np.arange(memory.nb_appended - limit, memory.nb_appended)
    drawable = stored[1:-1][(stored[1:-1] % 51) != 50]
    priorities[drawable % limit] = 1.0
    for batch_size in (1, 8, 32, 200) * 10:
        sample = memory.draw(batch_size, 2)
        points = (np.arange(batch_size) + twin.random((2, batch_size))) / batch_size * priorities.sum()
        rows = np.searchsorted(np.cumsum(priorities), points.ravel(), side="right")
        np.testing.assert_array_equal(sample.rows, rows)
        by_batch = priorities[rows].reshape(2, -1)
        smallest = by_batch.min(axis=1, keepdims=True)
        np.testing.assert_allclose(sample.weights, ((smallest / by_batch) ** memory.current_beta).ravel(), 1e-12)
        errors = rng.normal(size=2 * batch_size) ** 5
        memory.update_priorities(sample.rows, errors)
        priorities[rows] = np.abs(errors.astype(np.float32)) + np.float32(1e-9)


def test_new_steps_get_the_largest_priority_so_far():
    memory = filled(PrioritizedMemory(100, alpha=1.0, seed=0), 20, 99)
    sample = memory.draw(64)
    memory.update_priorities(sample.rows, np.full(64, 500.0))
    for errors in (0.0, 1.0):  # what was largest counts, not what is
        sample = memory.draw(64)
        memory.update_priorities(sample.rows, np.full(64, errors))
    filled(memory, 1)
    filled(memory, 1)
    drawn = [set(memory.draw(1).rows.tolist()) for _ in range(50)]
    assert drawn.count({20}) + drawn.count({19}) > 45


def test_one_seed_one_sequence_of_prioritised_draws():
    def draws(seed):
        memory = filled(PrioritizedMemory(90, seed=seed), 300)
        return [memory.draw(8).rows.tolist() for _ in range(10)]

    assert draws(5) == draws(5) != draws(6)


def test_beta_is_annealed_with_the_steps_stored():
    memory = PrioritizedMemory(10, beta=0.2, beta_end=0.8, nb_steps_annealed=40)
    for nb_steps, beta in ((0, 0.2), (10, 0.35), (30, 0.8), (7, 0.8)):
        assert filled(memory, nb_steps).current_beta == pytest.approx(beta)


def test_draws_with_more_steps_after_draws_with_fewer_wait_for_their_rewards():
    memory = filled(PrioritizedMemory(50, seed=0), 30, 99)
    assert memory.draw(500).rows.max() == 28
    assert memory.draw(500, 1, 5).rows.max() == 24
    filled(memory, 3, 99)
    assert memory.draw(500, 1, 5).rows.max() == 27
    assert memory.draw(500).rows.max() == 31


def test_too_few_steps_for_a_prioritised_sample_are_told(refused):
    memory = filled(PrioritizedMemory(20, window_length=2), 5, 99)
    assert memory.draw(4).rows.tolist() == [2, 2, 3, 3]
    with refused("5 steps"):
        memory.draw(4, 1, 3)
    memory = PrioritizedMemory(20)
    for i in range(10):
        memory.append(np.array([i]), 0, 0.0, terminal=True)
    with refused("step"):
        memory.draw(4)


def test_a_prioritised_memory_gives_keras_rls_experiences():
    memory = filled(PrioritizedMemory(40, window_length=2, seed=1), 60)
    for experience in memory.sample(30):
        (newest,) = experience.state0[-1]
        assert (experience.state1[-1][0], newest % 10 != 9) == (newest + 1, True)
    assert memory.get_config()["limit"] == 40 and isinstance(memory, rl.memory.SequentialMemory)


@pytest.mark.parametrize(
    "options",
    [
        *({"alpha": 1.1}, {"alpha": float("nan")}, {"beta": 0.5, "beta_end": 0.4}, {"beta_end": 2.0}),
        *({"nb_steps_annealed": 0}, {"epsilon": 0.0}, {"limit": 0}),
    ],
    ids=str,
)
def test_impossible_priorities_are_refused(options, refused):
    with refused(*options):
        PrioritizedMemory(**{"limit": 10, **options})


@pytest.mark.parametrize(("nb_steps", "limit"), [(30, 90), (300, 90), (70_500, 70_000)])
@pytest.mark.parametrize("n_step", [1, 3])
def test_a_restored_memory_draws_the_same_bit_for_bit(nb_steps, limit, n_step):
    memory = filled(PrioritizedMemory(limit, seed=2), nb_steps)
    rng = np.random.default_rng(0)
    for _ in range(50):
        sample = memory.draw(32, 1, n_step)
        memory.update_priorities(sample.rows, rng.normal(size=32).astype(np.float32))
        filled(memory, 1)
    other = PrioritizedMemory(limit)
    state, first = memory.get_state(), memory.nb_appended - memory.nb_entries
    for _ in range(3):  # what comes later is none of the state's business
        memory.draw(32, 1, n_step)
    other.set_state(state)
    other.put_steps(first, memory.steps(first, memory.nb_appended))
    memory.rng.bit_generator.state = state["rng"]
    for _ in range(50):
        for one, same in zip(memory.draw(32, 1, n_step), other.draw(32, 1, n_step), strict=True):
            np.testing.assert_array_equal(one, same)
        errors = rng.normal(size=32)
        for each in (memory, other):
            each.update_priorities(each.draw(32, 1, n_step).rows, errors)
            filled(each, 2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("priorities", np.ones(29, np.float32)),
        ("priorities", -np.ones(30, np.float32)),
        ("priorities", np.full(30, np.inf, np.float32)),
        ("largest", np.nan),
        ("first", -5),
        ("end", 2**53),
    ],
)
def test_invalid_priorities_are_refused(name, value):
    memory = filled(PrioritizedMemory(90), 30)
    memory.draw(8)
    with pytest.raises(ValueError, match="invalid priorities"):
        PrioritizedMemory(90).set_state({**memory.get_state(), name: value})


def test_a_memory_with_other_arguments_is_not_resumed(refused):
    state = filled(PrioritizedMemory(90), 30).get_state()
    with refused("alpha"):
        PrioritizedMemory(90, alpha=0.5).set_state(state)
    with refused("alpha"):
        PrioritizedMemory(90).set_state(filled(SequentialMemory(90), 30).get_state())
    with refused("alpha", "SequentialMemory"):
        SequentialMemory(90).set_state(state)
