"""What people write into a model counts, through whatever reference they hold and wherever they do it."""

import keras
import numpy as np
import pytest
import rl.callbacks
import rl.core
from keras import layers
from rl.policy import EpsGreedyQPolicy

from kerasrl import DQNAgent, SequentialMemory

ONE, ZERO = ([np.zeros((1, 2)), np.array(bias)] for bias in ([-100.0, 100.0], [100.0, -100.0]))


class Env:
    """Episodes of ten steps in which nothing changes."""

    at_reset = None

    def reset(self):
        if self.at_reset:
            self.at_reset()
        self.nb_steps = 0
        return np.ones(1, np.float32), {}

    def step(self, action):
        self.nb_steps += 1
        return np.ones(1, np.float32), 1.0, self.nb_steps == 10, False, {}


class Actions(rl.callbacks.Callback):
    """The actions, and what is done after the steps of some numbers."""

    def __init__(self, after=None):
        super().__init__()
        self.taken, self.after = [], after or {}

    def on_step_end(self, step, logs):
        self.taken.append(int(logs["action"]))
        self.after.get(len(self.taken), lambda: None)()


def build_model(*hidden):
    return keras.Sequential([keras.Input((1, 1)), layers.Flatten(), *hidden, layers.Dense(2)])


def build_agent(model, processor=None, **options):
    memory = SequentialMemory(1000, window_length=1)
    agent = DQNAgent(
        model, EpsGreedyQPolicy(0.0), nb_actions=2, memory=memory, nb_steps_warmup=5, batch_size=4, processor=processor,
        target_model_update=1e-2, **options,
    )  # fmt: skip
    agent.compile(keras.optimizers.SGD(1e-6))
    return agent


WRITES = {
    "set_weights": lambda model: model.set_weights(ONE),
    "a layer's set_weights": lambda model: model.layers[-1].set_weights(ONE),
    "its variable": lambda model: model.layers[-1].bias.assign(ONE[1]),
    "a part of it": lambda model: model.layers[-1].bias.assign_add([-200.0, 200.0]),
}


@pytest.mark.long
@pytest.mark.parametrize("how", WRITES)
@pytest.mark.parametrize("nb_steps", [24, 30])  # in the middle of an episode, and after its last step
def test_what_is_written_to_the_scripts_own_model_counts_from_the_next_step(how, nb_steps):
    model = build_model()
    model.set_weights(ZERO)
    actions = Actions({nb_steps: lambda: WRITES[how](model)})
    agent = build_agent(model)
    agent.fit(Env(), 50, verbose=0, callbacks=[actions], seed=0)
    assert actions.taken == [0] * nb_steps + [1] * (50 - nb_steps)
    np.testing.assert_allclose(agent.model.get_weights()[1], ONE[1], atol=1)


@pytest.mark.long
def test_it_counts_also_if_somebody_asks_the_agent_before_it_acts():
    model = build_model()
    model.set_weights(ZERO)
    agent = build_agent(model)

    def write():
        model.set_weights(ONE)
        agent.compute_q_values([np.ones(1, np.float32)])

    actions = Actions({24: write})
    agent.fit(Env(), 30, verbose=0, callbacks=[actions], seed=0)
    assert actions.taken == [0] * 24 + [1] * 6


@pytest.mark.parametrize("hook", ["reset", "processor"])
def test_wherever_it_is_written(hook):
    model, env = build_model(), Env()
    model.set_weights(ZERO)
    starts = []

    def begin():
        starts.append(len(actions.taken))
        if len(starts) == 3:
            model.set_weights(ONE)

    class Processor(rl.core.Processor):
        def process_observation(self, observation):
            if hook == "processor" and env.nb_steps == 0:
                begin()
            return observation

    env.at_reset = begin if hook == "reset" else None
    actions = Actions()
    build_agent(model, Processor()).fit(env, 40, verbose=0, callbacks=[actions], seed=0)
    assert actions.taken == [0] * 20 + [1] * 20


@pytest.mark.long
def test_what_is_learned_in_other_layers_stays():
    def trained(after):
        keras.utils.set_random_seed(1)
        model = build_model(layers.Dense(3, activation="relu"))
        agent = build_agent(model)
        agent.trainable_model.optimizer.learning_rate = 0.05
        agent.fit(Env(), 25, verbose=0, callbacks=[Actions({25: lambda: after(model)})], seed=0)
        return agent.get_weights()

    plain = trained(lambda model: None)
    written = trained(lambda model: model.layers[-1].bias.assign([7.0, 8.0]))
    for one, other in zip(plain[:-1], written[:-1], strict=True):
        np.testing.assert_array_equal(one, other)
    assert written[-1].tolist() == [7.0, 8.0]


@pytest.mark.long
def test_a_target_network_that_is_held_counts_too():
    agent = build_agent(build_model())
    target = agent.target_model
    rewards = []

    def write():
        target.set_weights(ONE)
        rewards.append(agent.target_model.get_weights()[1].tolist())

    agent.fit(Env(), 30, verbose=0, callbacks=[Actions({12: write, 24: write})], seed=0)
    assert rewards == [ONE[1].tolist()] * 2
    np.testing.assert_allclose(agent.target_model.get_weights()[1], ONE[1], rtol=0.2)


@pytest.mark.long
def test_large_networks_do_not_act_on_what_was_valued_before():
    model = build_model(layers.Dense(20_000))  # too large for a vector
    actions = Actions({12: lambda: model.layers[-1].bias.assign([-1e6, 1e6])})
    model.layers[-1].bias.assign([1e6, -1e6])
    build_agent(model).fit(Env(), 15, verbose=0, callbacks=[actions], seed=0)
    assert actions.taken == [0] * 12 + [1] * 3
