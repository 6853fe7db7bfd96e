import csv
import os
import random
from collections import deque

import gym
import numpy as np
import tensorflow as tf
from gym import spaces
from tensorflow.keras.layers import Activation, Dense, Flatten, Input
from tensorflow.keras.models import Model, load_model
from tensorflow.keras.optimizers import Adam
from rl.agents import DQNAgent
from rl.memory import SequentialMemory
from rl.policy import BoltzmannQPolicy, LinearAnnealedPolicy, EpsGreedyQPolicy

os.environ["PYTHONHASHSEED"] = "0"
random.seed(1)
np.random.seed(1)
tf.random.set_seed(1)
HOLD, BUY, SELL = range(3)


class Market(gym.Env):
    def __init__(self, file, window=5):
        super(Market, self).__init__()
        with open(file) as f:
            self.prices = np.array([float(row["close"]) for row in csv.DictReader(f)])
        self.window = window
        self.action_space = spaces.Discrete(3)
        self.observation_space = spaces.Box(-np.inf, np.inf, shape=(window + 1,), dtype=np.float32)

    def reset(self):
        self.t = self.window + random.randint(0, 10)
        self.bought = None
        self.last = deque(maxlen=5)
        return self._state()

    def step(self, action):
        reward = 0.0
        price = self.prices[self.t]
        if action == BUY and self.bought is None:
            self.bought = price
        elif action == SELL and self.bought is not None:
            reward = price - self.bought
            self.bought = None
        self.last.append(action)
        self.t += 1
        done = self.t >= len(self.prices)
        if done:
            return np.zeros(self.window + 1, np.float32), reward, done, {}
        return self._state(), reward, done, {}

    def _state(self):
        diffs = np.diff(self.prices[self.t - self.window:self.t + 1])
        return np.append(diffs, 0.0 if self.bought is None else 1.0).astype(np.float32)

    def render(self, mode="human"):
        print(self.t, self.bought, list(self.last))


def build_model(states, actions):
    inputs = Input(shape=(1,) + states)
    x = Flatten()(inputs)
    x = Dense(12, activation="relu")(x)
    x = Dense(12, activation="relu")(x)
    return Model(inputs=inputs, outputs=Dense(actions)(x))


env = Market("prices.csv")
states = env.observation_space.shape
actions = env.action_space.n

# What chance earns.
for episode in range(1, 4):
    state = env.reset()
    done = False
    score = 0
    while not done:
        action = random.choice([HOLD, BUY, SELL])
        n_state, reward, done, info = env.step(action)
        score += reward
    print("Episode:{} Score:{:.3f}".format(episode, score))

model = build_model(states, actions)
dqn = DQNAgent(model=model, memory=SequentialMemory(limit=2000, window_length=1),
               policy=LinearAnnealedPolicy(EpsGreedyQPolicy(), attr="eps", value_max=1.0, value_min=0.1,
                                           value_test=0.0, nb_steps=300),
               nb_actions=actions, nb_steps_warmup=50, target_model_update=1e-2)
dqn.compile(Adam(lr=1e-3), metrics=["mae"])

try:
    dqn.load_weights("trader_weights.h5f")
    print("weights loaded")
except OSError:
    print("no weights yet")

dqn.fit(env, nb_steps=250, visualize=False, verbose=0)
dqn.save_weights("trader_weights.h5f", overwrite=True)
model.save("models/trader.h5")

loaded = load_model("models/trader.h5")
state = env.reset()
done = False
earned = 0
while not done:
    q = loaded.predict(np.expand_dims(state, axis=(0, 1)), verbose=0)
    state, reward, done, _ = env.step(int(np.argmax(q[0])))
    earned += reward
env.render()
print("earned %.3f" % earned)
scores = dqn.test(env, nb_episodes=3, visualize=False)
print(np.mean(scores.history["episode_reward"]))
