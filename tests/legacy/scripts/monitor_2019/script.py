import glob
import json
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
import warnings
warnings.filterwarnings('ignore', category=FutureWarning)
import random

import gym
import gym.wrappers
import numpy as np
import tensorflow as tf
from keras.backend.tensorflow_backend import set_session
config = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
config.gpu_options.allow_growth = True
config.gpu_options.per_process_gpu_memory_fraction = 0.4
sess = tf.Session(config=config)
set_session(sess)

from keras import Sequential
from keras.layers import Dense, Flatten
from keras.layers import LeakyReLU
from keras import optimizers
from rl.agents.dqn import DQNAgent
from rl.policy import BoltzmannQPolicy
from rl.memory import SequentialMemory

random.seed(3)
np.random.seed(3)
tf.set_random_seed(3)

env = gym.make('FrozenLakeNotSlippery-v0') if False else gym.make('CartPole-v0')
env = gym.wrappers.Monitor(env, 'videos', video_callable=lambda episode_id: episode_id % 10 == 0, force=True)
env.seed(3)
env.action_space.seed(3)

model = Sequential([
    Flatten(input_shape=(1,) + env.observation_space.shape),
    Dense(12),
    LeakyReLU(alpha=.2),
    Dense(env.action_space.n, activation='linear'),
])
agent = DQNAgent(model, BoltzmannQPolicy(tau=.5), nb_actions=env.action_space.n,
                 memory=SequentialMemory(limit=1000, window_length=1), nb_steps_warmup=25, target_model_update=50)
agent.compile(optimizers.Adam(lr=.005, amsgrad=True), metrics=['mae'])
agent.fit(env, nb_steps=300, visualize=False, verbose=2)
agent.save_weights('cartpole.h5f', overwrite=True)
env.close()
