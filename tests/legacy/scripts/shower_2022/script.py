import random
import numpy as np
import tensorflow as tf
from gym import Env
from gym.spaces import Box, Discrete
from tensorflow.keras.models import Sequential
from tensorflow.keras.layers import Dense
from tensorflow.keras.optimizers.legacy import Adam
from rl.agents import DQNAgent
from rl.policy import LinearAnnealedPolicy, EpsGreedyQPolicy
from rl.memory import SequentialMemory

tf.random.set_seed(4)

class Shower(Env):
    def __init__(self):
        self.action_space = Discrete(3)
        self.observation_space = Box(low=np.array([0]), high=np.array([100]))
    def step(self, action):
        self.state += action - 1 + random.randint(-1, 1)
        self.left -= 1
        return self.state, 1 if 37 <= self.state <= 39 else -1, self.left <= 0, {}
    def render(self):
        pass
    def reset(self):
        self.state, self.left = 38 + random.randint(-3, 3), 20
        return self.state

def build_agent(env):
    model = Sequential()
    model.add(Dense(8, activation='relu', input_shape=env.observation_space.shape))
    model.add(Dense(env.action_space.n, activation='linear'))
    policy = LinearAnnealedPolicy(EpsGreedyQPolicy(), 'eps', 1., .1, .05, 200)
    return DQNAgent(model=model, memory=SequentialMemory(limit=500, window_length=1), policy=policy,
                    nb_actions=env.action_space.n, nb_steps_warmup=20, target_model_update=1e-2)

env = Shower()
for episode in range(2):
    state, done, score = env.reset(), False, 0
    while not done:
        state, reward, done, info = env.step(env.action_space.sample() * 0)
        score += reward
    print(score)
dqn = build_agent(env)
dqn.compile(Adam(lr=1e-3), metrics=['mae'])
dqn.fit(env, nb_steps=300, visualize=True, verbose=0)
dqn.save_weights('w.h5f', overwrite=True)
print(np.mean(dqn.test(env, nb_episodes=2, verbose=0).history['episode_reward']))
