from __future__ import division
import argparse

from PIL import Image
import numpy as np

from keras.models import Sequential
from keras.layers import Dense, Activation, Flatten, Convolution2D, Permute
from keras.optimizers import Adam
import keras.backend as K

from rl.agents.dqn import DQNAgent
from rl.policy import LinearAnnealedPolicy, EpsGreedyQPolicy
from rl.memory import SequentialMemory
from rl.core import Processor
from rl.callbacks import FileLogger, ModelIntervalCheckpoint

from catcher import Catcher

SHAPE = (12, 12)
WINDOW = 4


class CatcherProcessor(Processor):
    def process_observation(self, observation):
        assert observation.ndim == 3
        img = Image.fromarray(observation)
        img = img.convert('L').resize(SHAPE, Image.ANTIALIAS)
        return np.array(img).astype('uint8')

    def process_state_batch(self, batch):
        return batch.astype('float32') / 255.

    def process_reward(self, reward):
        return np.clip(reward, -1., 1.)


parser = argparse.ArgumentParser()
parser.add_argument('--mode', choices=['train', 'test'], default='train')
parser.add_argument('--env-name', type=str, default='Catcher')
parser.add_argument('--weights', type=str, default=None)
parser.add_argument('--steps', type=int, default=250)
args = parser.parse_args()

env = Catcher()
np.random.seed(123)
env.seed(123)
nb_actions = env.action_space.n

input_shape = (WINDOW,) + SHAPE
model = Sequential()
if K.image_dim_ordering() == 'tf':
    model.add(Permute((2, 3, 1), input_shape=input_shape))
elif K.image_dim_ordering() == 'th':
    model.add(Permute((1, 2, 3), input_shape=input_shape))
else:
    raise RuntimeError('Unknown image_dim_ordering.')
model.add(Convolution2D(4, (4, 4), strides=(2, 2)))
model.add(Activation('relu'))
model.add(Flatten())
model.add(Dense(16))
model.add(Activation('relu'))
model.add(Dense(nb_actions))
model.add(Activation('linear'))
print(model.summary())

memory = SequentialMemory(limit=2000, window_length=WINDOW)
processor = CatcherProcessor()
policy = LinearAnnealedPolicy(EpsGreedyQPolicy(), attr='eps', value_max=1., value_min=.1, value_test=.05,
                              nb_steps=200)
dqn = DQNAgent(model=model, nb_actions=nb_actions, policy=policy, memory=memory, processor=processor,
               nb_steps_warmup=50, gamma=.99, target_model_update=100, train_interval=4, delta_clip=1.)
dqn.compile(Adam(lr=.001), metrics=['mae'])

if args.mode == 'train':
    weights_filename = 'dqn_{}_weights.h5f'.format(args.env_name)
    checkpoint_filename = 'dqn_' + args.env_name + '_weights_{step}.h5f'
    log_filename = 'dqn_{}_log.json'.format(args.env_name)
    callbacks = [ModelIntervalCheckpoint(checkpoint_filename, interval=100)]
    callbacks += [FileLogger(log_filename, interval=1)]
    dqn.fit(env, callbacks=callbacks, nb_steps=args.steps, log_interval=100, nb_max_start_steps=5)
    dqn.save_weights(weights_filename, overwrite=True)
    dqn.test(env, nb_episodes=1, visualize=False, nb_max_episode_steps=60)
elif args.mode == 'test':
    weights_filename = 'dqn_{}_weights.h5f'.format(args.env_name)
    if args.weights:
        weights_filename = args.weights
    dqn.load_weights(weights_filename)
    dqn.test(env, nb_episodes=2, visualize=True, nb_max_episode_steps=60)
