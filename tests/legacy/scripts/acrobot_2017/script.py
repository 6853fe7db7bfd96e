import os
import sys
import gym
import numpy as np
from gym import wrappers

from keras.models import Sequential
from keras.layers.core import Dense, Activation, Flatten, Dropout
from keras.layers.normalization import BatchNormalization
from keras.optimizers import RMSprop
from keras.regularizers import l2

from rl.agents import DQNAgent
from rl.policy import GreedyQPolicy, EpsGreedyQPolicy
from rl.memory import SequentialMemory
from rl.callbacks import FileLogger, ModelIntervalCheckpoint, Callback

ENV_NAME = 'Acrobot-v1'
STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 50000
gym.undo_logger_setup()
if not os.path.isdir('checkpoints'):
    os.mkdir('checkpoints')


class Heights(Callback):
    '''Keeps how high the tip came.'''

    def __init__(self):
        self.best = []

    def on_episode_begin(self, episode, logs={}):
        self.best.append(-2.)

    def on_step_end(self, step, logs={}):
        obs = logs['observation']
        height = -obs[0] - (obs[0] * obs[2] - obs[1] * obs[3])
        if height > self.best[-1]:
            self.best[-1] = height

    def on_train_end(self, logs={}):
        print('episodes: %d, highest: %.4f' % (len(self.best), max(self.best)))


class Scaled(gym.ObservationWrapper):
    def _observation(self, observation):
        return observation / np.array([1, 1, 1, 1, 12.6, 28.3])


env = Scaled(gym.make(ENV_NAME))
np.random.seed(123)
env.seed(123)
nb_actions = env.action_space.n

model = Sequential()
model.add(Flatten(input_shape=(1,) + env.observation_space.shape))
model.add(Dense(16, kernel_initializer='glorot_normal', kernel_regularizer=l2(1e-4)))
model.add(Activation('relu'))
model.add(Dropout(.1))
model.add(Dense(16))
model.add(Activation('relu'))
model.add(Dense(nb_actions, activation='linear'))

agent = DQNAgent(model=model, nb_actions=nb_actions, memory=SequentialMemory(limit=5000, window_length=1),
                 policy=EpsGreedyQPolicy(eps=.2), test_policy=GreedyQPolicy(), nb_steps_warmup=50, batch_size=16,
                 target_model_update=1e-2, enable_double_dqn=False)
agent.compile(RMSprop(lr=1e-3, rho=.95, epsilon=1e-6), metrics=['mse'])

heights = Heights()
callbacks = [FileLogger('%s_log.json' % ENV_NAME, interval=2),
             ModelIntervalCheckpoint('checkpoints/%s_{step}.h5f' % ENV_NAME, interval=100), heights]
history = agent.fit(env, nb_steps=STEPS, callbacks=callbacks, visualize=False, verbose=2, action_repetition=2,
                    nb_max_episode_steps=60)
agent.save_weights('dqn_%s_weights.h5f' % ENV_NAME, overwrite=True)
print(history.history.keys())
print(history.history['nb_steps'][-1], history.history['episode_reward'])
agent.test(env, nb_episodes=2, visualize=False, nb_max_episode_steps=60)
env.close()
