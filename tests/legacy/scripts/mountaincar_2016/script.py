import numpy as np
import gym
from gym import wrappers

from keras.models import Sequential
from keras.layers.core import Dense, Activation, Flatten
from keras.layers.normalization import BatchNormalization
from keras.optimizers import Adam
from keras.utils.np_utils import to_categorical

from rl.agents import DQNAgent
from rl.policy import BoltzmannQPolicy
from rl.memory import SequentialMemory
from rl.callbacks import FileLogger

ENV_NAME = 'MountainCar-v0'

env = gym.make(ENV_NAME)
np.random.seed(123)
env.seed(123)
nb_actions = env.action_space.n

# Where does a car roll that is pushed at random?
X, Y = [], []
obs = env.reset()
for _ in xrange(60):
    action = env.action_space.sample()
    new, reward, done, _ = env.step(np.random.randint(nb_actions))
    X.append(obs)
    Y.append(1 if new[0] > obs[0] else 0)
    obs = env.reset() if done else new
side = Sequential()
side.add(Dense(4, input_dim=2, init='glorot_uniform', activation='tanh'))
side.add(Dense(2, activation='softmax', b_regularizer=None))
side.compile(loss='categorical_crossentropy', optimizer='adam', metrics=['accuracy'])
side.fit(np.array(X), to_categorical(np.array(Y), 2), nb_epoch=2, batch_size=20, verbose=0, shuffle=False)
print('%d pushed, %d went right' % (len(X), sum(Y)))

model = Sequential()
model.add(Flatten(input_shape=(1,) + env.observation_space.shape))
model.add(Dense(output_dim=16, init='lecun_uniform', bias=True))
model.add(Activation('relu'))
model.add(Dense(16, W_constraint=None))
model.add(Activation('relu'))
model.add(Dense(nb_actions))
model.add(Activation('linear'))

memory = SequentialMemory(limit=5000)
dqn = DQNAgent(model=model, nb_actions=nb_actions, window_length=1, memory=memory, nb_steps_warmup=10,
               target_model_update=1e-2, policy=BoltzmannQPolicy(), delta_range=(-1., 1.), custom_model_objects={})
dqn.compile(Adam(lr=1e-3), metrics=['mae'])
dqn.fit(env, nb_steps=450, visualize=True, verbose=2, callbacks=[FileLogger('log.json')])
dqn.save_weights('dqn_{}_weights.h5f'.format(ENV_NAME), overwrite=True)
dqn.test(env, nb_episodes=1, visualize=True)
