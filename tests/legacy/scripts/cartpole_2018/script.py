import gym
import numpy as np
from keras.models import Sequential
from keras.layers import Dense, Activation, Flatten
from keras.optimizers import Adam
from rl.agents.dqn import DQNAgent
from rl.policy import BoltzmannQPolicy
from rl.memory import SequentialMemory

env = gym.make('FrozenLake-v0', is_slippery=False) if False else gym.make('CartPole-v0')
np.random.seed(11)
env.seed(12)
model = Sequential()
model.add(Flatten(input_shape=(1,) + env.observation_space.shape))
model.add(Dense(8, activation='relu'))
model.add(Dense(env.action_space.n))
dqn = DQNAgent(model=model, nb_actions=env.action_space.n, memory=SequentialMemory(limit=500, window_length=1),
               nb_steps_warmup=20, target_model_update=1e-2, policy=BoltzmannQPolicy())
dqn.compile(Adam(lr=1e-2, decay=1e-4), metrics=['mae'])
dqn.fit(env, nb_steps=4e2, visualize=True, verbose=0)
dqn.save_weights('w.h5f', overwrite=True)
state, done, total = env.reset(), False, 0
while not done:
    state, reward, done, info = env.step(np.argmax(model.predict(state.reshape(1, 1, 4), verbose=0)))
    total += reward
    env.render()
print(total)
