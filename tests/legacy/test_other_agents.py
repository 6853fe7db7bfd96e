"""Old scripts of DDPG, NAF, SARSA and CEM, as people wrote them: their own simulators, networks and habits."""

import ast

import pytest

TANK = """
import numpy as np
import gym
from {keras}.models import Sequential, Model, load_model
from {keras}.layers import Dense, Activation, Flatten, Input, Concatenate, Lambda
from {keras}.optimizers import Adam
from rl.memory import SequentialMemory
from rl.random import OrnsteinUhlenbeckProcess, GaussianWhiteNoiseProcess


class Tank:
    '''A simulator: two levels, moved by two valves in [-1, 1]; an episode lasts ten steps.'''

    def __init__(self):
        self.action_space = gym.spaces.Box(-1.0, 1.0, (2,), dtype=np.float32)
        self.observation_space = gym.spaces.Box(-9.0, 9.0, (3,), dtype=np.float32)

    def reset(self):
        self.level, self.now = np.array([0.5, -0.5]), 0
        return self.seen()

    def seen(self):
        return np.append(self.level, self.now / 10.0)

    def step(self, action):
        assert action.shape == (2,)
        self.level = self.level + 0.1 * action
        self.now += 1
        return self.seen(), -float(np.abs(self.level).sum()), self.now == 10, {{"level": self.level[0]}}

    def render(self, mode="human", close=False):
        pass


env = Tank()
np.random.seed(123)
nb_actions = env.action_space.shape[0]


def actor_network(last="tanh"):
    actor = Sequential()
    actor.add(Flatten(input_shape=(1,) + env.observation_space.shape))
    actor.add(Dense(4))
    actor.add(Activation("relu"))
    actor.add(Dense(nb_actions))
    actor.add(Activation(last))
    return actor


def critic_network():
    action_input = Input(shape=(nb_actions,), name="action_input")
    observation_input = Input(shape=(1,) + env.observation_space.shape, name="observation_input")
    x = Concatenate()([action_input, Flatten()(observation_input)])
    x = Dense(4, activation="relu")(x)
    return Model(inputs=[action_input, observation_input], outputs=Dense(1)(x)), action_input
"""
WALK = """
import numpy as np
import gym
from keras.models import Sequential
from keras.layers import Dense, Flatten
from keras.optimizers import Adam


class Walk(gym.Env):
    observation_space = gym.spaces.Box(0, 9, (1,))
    action_space = gym.spaces.Discrete(2)

    def reset(self):
        self.at = self.now = 0
        return np.array([self.at])

    def step(self, action):
        self.at, self.now = max(self.at + 2 * action - 1, 0), self.now + 1
        return np.array([self.at]), float(self.at), self.now == 6, {}


env = Walk()
np.random.seed(3)
env.seed(1)


def network(last="linear"):
    model = Sequential()
    model.add(Flatten(input_shape=(1,) + env.observation_space.shape))
    model.add(Dense(4, activation="relu"))
    model.add(Dense(env.action_space.n, activation=last))
    return model
"""

# The joining layer of Keras 1, one optimizer with clipnorm, unequal warm-ups, pairs of files, a loop of one's own.
DDPG = """
from keras.layers import merge
from rl.agents import DDPGAgent

actor = actor_network()
action_input = Input(shape=(nb_actions,), name="action_input")
observation_input = Input(shape=(1,) + env.observation_space.shape, name="observation_input")
first = Dense(4, activation="relu")(Flatten()(observation_input))
x = merge([first, action_input], mode="concat")
critic = Model(input=[action_input, observation_input], output=Dense(1, activation="linear")(x))
memory = SequentialMemory(limit=1e3, window_length=1)
noise = OrnsteinUhlenbeckProcess(
    size=nb_actions, theta=.15, mu=0., sigma=.3, dt=.1, sigma_min=.1, n_steps_annealing=50)
agent = DDPGAgent(nb_actions=nb_actions, actor=actor, critic=critic, critic_action_input=action_input, memory=memory,
                  nb_steps_warmup_critic=20, nb_steps_warmup_actor=30, random_process=noise, gamma=.99,
                  target_model_update=1e-3)
agent.compile(Adam(lr=.001, clipnorm=1.), metrics=["mae"])
try:
    agent.load_weights("tank_weights.h5f")
except (OSError, IOError):
    print("no weights yet")
before = [w.copy() for w in actor.get_weights()]
history = agent.fit(env, nb_steps=6e1, visualize=True, verbose=0, nb_max_episode_steps=8)
print(len(history.history["episode_reward"]), (actor.get_weights()[0] != before[0]).any(), agent.metrics_names)
agent.random_process.reset_states()
print(agent.random_process.x_prev, OrnsteinUhlenbeckProcess(.15, 0., .3, .01, 2., 1).x_prev)
agent.random_process.sigma *= 0.5
agent.save_weights("tank_weights.h5f", overwrite=True)
known = [w.copy() for w in actor.get_weights()]
actor.set_weights(before)
agent.load_weights("tank_weights_critic.h5f")
print(all((a == b).all() for a, b in zip(known, actor.get_weights())))
actor.save("actor.h5")
state = env.reset()
print(np.allclose(actor.predict(state.reshape(1, 1, 3)), load_model("actor.h5").predict(state[None, None])))
print(agent.test(env, nb_episodes=1, visualize=True, nb_max_episode_steps=5, verbose=0).history["nb_steps"])

agent.training = True
agent.step = 100
for episode in range(2):
    state = env.reset()
    agent.reset_states()
    done = False
    while not done:
        action = agent.forward(state)
        state, reward, done, info = env.step(action)
        metrics = agent.backward(reward, terminal=done)
        agent.step += 1
print(agent.step, np.isfinite(metrics).all(), len(metrics))
print([float(abs(w).sum()) for w in agent.actor.get_weights() + agent.critic.get_weights()])
"""


@pytest.fixture
def run(run_old):
    """Run a text after the simulator's."""

    def run(text, *options, keras="keras", before=TANK, **environment):
        head = before.format(keras=keras) if before is TANK else before
        return run_old(head + text, *options, **environment)

    return run


def test_a_ddpg_script_learns_saves_and_goes_on_by_itself(run, tmp_path):
    status, output, errors = run(DDPG)
    assert (status, output[:-1]) == (
        0,
        ["no weights yet", "7 True ['loss', 'mae', 'mean_q']", "[0. 0.] [2.]", "True", "True", "[5]", "120 True 3"],
    ), errors
    assert all((tmp_path / f"tank_weights_{name}.h5f").is_file() for name in ("actor", "critic"))
    assert any("Adam(clipnorm=1.0) -> global_clipnorm" in line for line in errors)


# Classes and arguments of one's own: what scripts of the later Keras-RL do.
OWN = """
from rl.agents.ddpg import DDPGAgent
from rl.callbacks import Callback
from rl.processors import MultiInputProcessor, WhiteningNormalizerProcessor


class Clipping(WhiteningNormalizerProcessor):
    def process_action(self, action):
        return np.clip(action, -1.0, 1.0)


class Careful(DDPGAgent):
    def __init__(self, *args, **kwargs):
        self.asked = 0
        super(Careful, self).__init__(*args, **kwargs)

    def select_action(self, state):
        self.asked += 1
        batch = self.process_state_batch([state])
        action = self.actor.predict_on_batch(batch).flatten()
        if self.training and self.random_process is not None:
            action += self.random_process.sample()
        return action / 2


class Decay(Callback):
    def on_episode_end(self, episode, logs={}):
        self.model.random_process.sigma *= 0.5


actor, (critic, action_input) = actor_network("sigmoid"), critic_network()
agent = Careful(nb_actions, actor, critic, action_input, SequentialMemory(limit=100, window_length=1), .95, 16, 10, 20,
                random_process=GaussianWhiteNoiseProcess(sigma=.2, size=nb_actions), target_model_update=7,
                delta_range=(-1., 1.), processor=Clipping())
agent.compile([Adam(lr=1e-4), Adam(lr=1e-3)], metrics=["mae"])
agent.fit(env, 40, verbose=0, callbacks=[Decay()])
print((OrnsteinUhlenbeckProcess(.15, 0., .3, .01, 2).x_prev != 0).sum())
print(agent.asked, agent.random_process.sigma, agent.delta_clip, agent.processor.normalizer._count > 0)


class Parts(Tank):
    def seen(self):
        return {"level": self.level, "now": np.array([self.now / 10.0])}


class Lists(MultiInputProcessor):
    def process_observation(self, observation):
        return [observation["level"], observation["now"]]


level, now = Input((2, 2), name="level"), Input((2, 1), name="now")
x = Dense(2, activation="tanh")(Flatten()(Concatenate()([level, now])))
actor = Model(inputs=[level, now], outputs=Lambda(lambda x: x * 0.5)(x))
level, now, action_input = Input((2, 2), name="level"), Input((2, 1), name="now"), Input((2,), name="action")
x = Concatenate()([Flatten()(Concatenate()([level, now])), action_input])
critic = Model(inputs=[level, now, action_input], outputs=Dense(1)(x))
agent = DDPGAgent(nb_actions=2, actor=actor, critic=critic, critic_action_input=action_input, processor=Lists(2),
                  memory=SequentialMemory(limit=100, window_length=2), nb_steps_warmup_critic=10, batch_size=4,
                  nb_steps_warmup_actor=10, random_process=OrnsteinUhlenbeckProcess(size=2, theta=.15, sigma=.1))
agent.compile(Adam(lr=.001, clipnorm=1.))
print(agent.fit(Parts(), nb_steps=20, verbose=0).history["nb_episode_steps"])
"""


@pytest.mark.long
def test_classes_processors_and_several_inputs_of_ddpg_scripts(run):
    status, output, errors = run(OWN, keras="tensorflow.keras")
    # 40 steps, and the last observation of each of 4 episodes.
    assert (status, output) == (0, ["2", "44 0.0125 1.0 True", "[10, 10]"]), errors
    assert any("Careful(delta_range=(-1.0, 1.0)) -> delta_clip=1.0" in line for line in errors)
    assert not any("clipnorm" in line for line in errors)  # in TensorFlow's Keras it means today's


# Copies of Keras-RL's constructor and of its `backward`, to be changed.
COPIED = """
from rl.agents import DDPGAgent


class Mine(DDPGAgent):
    def __init__(self, nb_actions, actor, critic, critic_action_input, memory, batch_size=8, **kwargs):
        super(DDPGAgent, self).__init__(**kwargs)
        self.nb_actions, self.batch_size, self.gamma, self.target_model_update = nb_actions, batch_size, .9, .01
        self.nb_steps_warmup_actor, self.nb_steps_warmup_critic, self.delta_clip = 15, 10, np.inf
        self.train_interval, self.memory_interval, self.custom_model_objects, self.random_process = 1, 1, {}, None
        self.actor, self.critic, self.critic_action_input = actor, critic, critic_action_input
        self.critic_action_input_idx = self.critic.input.index(critic_action_input)
        self.memory, self.compiled = memory, False
        self.reset_states()

    def backward(self, reward, terminal=False):
        self.memory.append(self.recent_observation, self.recent_action, reward, terminal, training=self.training)
        metrics = [np.nan for _ in self.metrics_names]
        if not self.training or self.step <= self.nb_steps_warmup_critic:
            return metrics
        experiences = self.memory.sample(self.batch_size)
        state0 = self.process_state_batch([e.state0 for e in experiences])
        state1 = self.process_state_batch([e.state1 for e in experiences])
        values = self.target_critic.predict_on_batch([self.target_actor.predict_on_batch(state1), state1]).flatten()
        values *= self.gamma * np.array([0. if e.terminal1 else 1. for e in experiences])
        targets = (np.array([e.reward for e in experiences]) + values).reshape(self.batch_size, 1)
        metrics = self.critic.train_on_batch([np.array([e.action for e in experiences]), state0], targets)
        if self.step > self.nb_steps_warmup_actor:
            inputs = [state0]
            if self.uses_learning_phase:
                inputs += [self.training]
            assert self.actor_train_fn(inputs)[0].shape == (self.batch_size, self.nb_actions)
        return metrics


actor, (critic, action_input) = actor_network(), critic_network()
agent = Mine(nb_actions, actor, critic, action_input, SequentialMemory(limit=100, window_length=1))
agent.compile(Adam(lr=1e-3), metrics=["mae"])
before = [w.copy() for w in actor.get_weights() + critic.get_weights()]
agent.fit(env, 15, verbose=0)
print([bool((w != old).any()) for w, old in zip(actor.get_weights() + critic.get_weights(), before)])
agent.fit(env, 30, verbose=0)
print([bool((w != old).any()) for w, old in zip(actor.get_weights() + critic.get_weights(), before)])
try:
    super(DDPGAgent, agent).__init__(nb_actions=2, memory=agent.memory)
except TypeError as error:
    print(error)
"""


@pytest.mark.long
def test_copies_of_ddpgs_constructor_and_backward(run):
    status, output, errors = run(COPIED)
    changed = "[False, False, False, False, True, True, True, True]", str([True] * 8)
    refused = "Agent.__init__() got an unexpected keyword argument 'nb_actions'"
    assert (status, output) == (0, [*changed, refused]), errors


SARSA_AND_CEM = """
import rl.agents
from rl.agents import CEMAgent, SARSAAgent
from rl.agents.sarsa import SarsaAgent
from rl.memory import EpisodeParameterMemory, SequentialMemory
from rl.policy import BoltzmannQPolicy, EpsGreedyQPolicy

print(SarsaAgent is SARSAAgent is rl.agents.SarsaAgent, rl.agents.cem.CEMAgent is CEMAgent)
sarsa = SARSAAgent(network(), env.action_space.n, EpsGreedyQPolicy(eps=.2), None, .9, 10)
sarsa.compile("adam", metrics=["mse"])
history = sarsa.fit(env, nb_steps=5e1, visualize=False, verbose=0)
print(len(history.history["episode_reward"]), sarsa.metrics_names)
sarsa.save_weights("sarsa_weights.h5f", overwrite=True)
sarsa.load_weights("sarsa_weights.h5f")
print(sarsa.test(env, nb_episodes=2, visualize=True, verbose=0, nb_max_episode_steps=9).history["nb_steps"])
other = SarsaAgent(model=network(), nb_actions=2, nb_steps_warmup=10, policy=BoltzmannQPolicy(), delta_range=(-1, 1))
other.compile(Adam(lr=1e-3), metrics=["mae"])
other.fit(env, 30, 1, None, 0)
print(other.delta_clip)

cem = CEMAgent(model=network("softmax"), nb_actions=2, memory=EpisodeParameterMemory(limit=1000, window_length=1),
               batch_size=5, nb_steps_warmup=20, train_interval=2, elite_frac=.05, noise_ampl=.1)
cem.compile()
cem.fit(env, nb_steps=60, visualize=False, verbose=0)
cem.save_weights("cem_Walk_params.h5f", overwrite=True)
memory = SequentialMemory(limit=1000, window_length=1)
cem = CEMAgent(model=network("softmax"), nb_actions=2, memory=memory, batch_size=2, nb_steps_warmup=20,
               train_interval=2, elite_frac=.5)
cem.compile()
cem.load_weights("cem_Walk_params.h5f")
cem.fit(env, nb_steps=30, verbose=0, nb_max_episode_steps=9)
print(type(cem.memory).__name__, cem.memory.nb_entries, cem.metrics_names)


class Mine(SARSAAgent):
    def __init__(self, model, nb_actions, **kwargs):
        super(SARSAAgent, self).__init__(**kwargs)
        self.model, self.nb_actions, self.gamma, self.delta_clip = model, nb_actions, .9, np.inf
        self.policy = self.test_policy = EpsGreedyQPolicy()
        self.nb_steps_warmup, self.train_interval, self.compiled = 5, 1, False
        self.actions = self.observations = self.rewards = None


mine = Mine(network(), 2)
mine.compile("adam")
print(len(mine.fit(env, 24, verbose=0).history["nb_steps"]))
print([float(abs(w).sum()) for agent in (sarsa, other, cem, mine) for w in agent.model.get_weights()])
"""


@pytest.mark.long
def test_sarsa_and_cem_scripts(run, tmp_path):
    status, output, errors = run(SARSA_AND_CEM, before=WALK)
    assert (status, output[:-1]) == (
        0,
        [
            "True True",
            "8 ['loss', 'mse', 'mean_q']",
            "[6, 6]",
            "1",
            "EpisodeParameterMemory 5 ['mean_best_reward']",
            "4",
        ],
    ), errors
    assert sum("SequentialMemory) -> EpisodeParameterMemory" in line for line in errors) == 1
    assert sum(line.endswith("all count, as in Keras-RL") for line in errors) == 1
    assert not any("a time limit" in line for line in errors)  # in a test, or CEM's, no state's value is learned


NAF = """
from rl.agents import NAFAgent
from rl.agents.dqn import ContinuousDQNAgent
from rl.core import Processor

print(ContinuousDQNAgent is NAFAgent)


class Smaller(Processor):
    def process_reward(self, reward):
        return reward / 100.


value, mu = actor_network("linear"), actor_network("linear")
value.pop(), value.pop(), value.add(Dense(1))
action_input = Input(shape=(nb_actions,), name="action_input")
observation_input = Input(shape=(1,) + env.observation_space.shape, name="observation_input")
x = Dense(4, activation="relu")(Concatenate()([action_input, Flatten()(observation_input)]))
x = Dense(((nb_actions * nb_actions + nb_actions) // 2))(x)
L_model = Model(inputs=[action_input, observation_input], outputs=x)
agent = ContinuousDQNAgent(
    nb_actions=nb_actions, V_model=value, L_model=L_model, mu_model=mu, processor=Smaller(), nb_steps_warmup=10,
    memory=SequentialMemory(limit=100, window_length=1), gamma=.99, target_model_update=1e-3,
    random_process=OrnsteinUhlenbeckProcess(theta=.15, mu=0., sigma=.3, size=nb_actions))
agent.compile(Adam(lr=.001, clipnorm=1.), metrics=["mae"])
agent.fit(env, nb_steps=30, visualize=True, verbose=0, nb_max_episode_steps=8)
agent.save_weights("cdqn_weights.h5f", overwrite=True)
known = mu.predict(np.ones((1, 1, 3)))
agent.load_weights("cdqn_weights.h5f")
print((mu.predict(np.ones((1, 1, 3))) == known).all())
print(len(agent.test(env, nb_episodes=2, visualize=False, verbose=0).history["episode_reward"]), agent.metrics_names)
print([float(abs(w).sum()) for model in (value, mu, L_model) for w in model.get_weights()])
"""


@pytest.mark.long
def test_a_naf_script(run):
    status, output, errors = run(NAF)
    assert (status, output[:-1]) == (0, ["True", "True", "2 ['loss', 'mae', 'mean_q']"]), errors


@pytest.mark.long
@pytest.mark.parametrize(
    "before, text", [(TANK, DDPG), (TANK, NAF), (WALK, SARSA_AND_CEM)], ids=["ddpg", "naf", "both"]
)
def test_migrated_scripts_give_the_same_weights(before, text, run, run_plainly, tmp_path):
    text = text.replace("elite_frac=.05", "elite_frac=.2")  # which nobody but Keras-RL takes for all
    translated = run(text, before=before)
    for file in [*tmp_path.glob("*.h5*")]:
        file.unlink()
    assert run(text, "--migrate", "--write", before=before).status == 0
    migrated = run_plainly(tmp_path, "script.py")
    assert (translated.status, migrated.status) == (0, 0), migrated.errors
    assert migrated.output == translated.output
    assert ast.literal_eval(migrated.output[-1])
