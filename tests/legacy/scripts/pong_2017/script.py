import sys
from PIL import Image
import numpy as np
import gym

from keras.models import Sequential
from keras.layers import Dense, Activation, Flatten, Conv2D, Permute
from keras.optimizers import Adam
import keras.backend as K

from rl.agents.dqn import DQNAgent
from rl.policy import LinearAnnealedPolicy, EpsGreedyQPolicy
from rl.memory import SequentialMemory
from rl.core import Processor

ENV_NAME = sys.argv[1] if len(sys.argv) > 1 else 'PongDeterministic-v4'
SIZE = 42


class PongProcessor(Processor):
    def process_observation(self, observation):
        frame = Image.fromarray(observation[34:194]).convert('L').resize((SIZE, SIZE), Image.BILINEAR)
        return np.array(frame, dtype='uint8')

    def process_state_batch(self, batch):
        return batch.astype('float32') / 255.


K.set_image_dim_ordering('tf')
env = gym.make(ENV_NAME)
np.random.seed(231)
env.seed(231)
nb_actions = env.action_space.n
print(env.unwrapped.get_action_meanings(), env.observation_space.shape)

model = Sequential()
model.add(Permute((2, 3, 1), input_shape=(4, SIZE, SIZE)))
model.add(Conv2D(4, 8, strides=4, activation='relu', kernel_initializer='he_uniform'))
model.add(Flatten())
model.add(Dense(nb_actions))

dqn = DQNAgent(model=model, nb_actions=nb_actions, memory=SequentialMemory(limit=1000, window_length=4),
               policy=LinearAnnealedPolicy(EpsGreedyQPolicy(), 'eps', 1., .1, .05, 1000), processor=PongProcessor(),
               nb_steps_warmup=100, target_model_update=10000, train_interval=4, delta_clip=1.)
dqn.compile(Adam(lr=.00025), metrics=['mae'])
dqn.fit(env, nb_steps=200, verbose=0, nb_max_start_steps=10, visualize=True)
dqn.save_weights('pong.h5f', overwrite=True)
print(env.unwrapped.ale.lives())
