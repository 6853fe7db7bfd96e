import gym
import numpy as np
import tensorflow as tf
import keras.backend as K
from keras.models import Sequential
from keras.layers import Dense, Flatten, Permute, Merge
from keras.layers.convolutional import Convolution2D
from keras.optimizers import Nadam
from rl.agents.dqn import DQNAgent, EpsGreedyQPolicy
from rl.memory import Memory
from rl.core import Processor

config = tf.ConfigProto()
config.gpu_options.allow_growth = True
K.set_session(tf.Session(config=config))

class Dots(gym.Env):
    metadata = {'render.modes': ['human']}
    def __init__(self):
        self.action_space = gym.spaces.Discrete(2)
        self.observation_space = gym.spaces.Box(0, 255, (12, 12), np.uint8)
    def _step(self, action):
        self.at = (self.at + 2 * action - 1) % 12
        self.now += 1
        return self._picture(), float(self.at == 6), self.now >= 15, {}
    def _reset(self):
        self.at, self.now = np.random.randint(12), 0
        return self._picture()
    def _render(self, mode='human', close=False):
        return None
    def _picture(self):
        picture = np.zeros((12, 12), np.uint8)
        picture[:, self.at] = 255
        return picture

class Halves(Processor):
    def process_state_batch(self, batch):
        return np.asarray(batch, np.float) / 255.

np.random.seed(3)
env = Dots()
model = Sequential()
if K.image_dim_ordering() == 'tf':
    model.add(Permute((2, 3, 1), input_shape=(2, 12, 12)))
else:
    model.add(Permute((1, 2, 3), input_shape=(2, 12, 12)))
model.add(Convolution2D(4, 3, 3, subsample=(2, 2), activation='relu', init='he_normal', border_mode='same'))
model.add(Flatten())
model.add(Dense(output_dim=2))
memory = Memory(limit=1000)
dqn = DQNAgent(model=model, policy=EpsGreedyQPolicy(), nb_actions=2, window_length=2, memory=memory,
               processor=Halves(), nb_steps_warmup=30, target_model_update=50, delta_range=(-1., 1.))
dqn.compile(Nadam(lr=.00025), metrics=['mae'])
dqn.fit(env, nb_steps=200, nb_max_random_start_steps=3, verbose=0, visualize=True)
dqn.save_weights('w.h5f', overwrite=True)
