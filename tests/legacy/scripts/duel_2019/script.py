# -*- coding: utf-8 -*-
import numpy as np
import gym

from keras.layers import Input, Dense, Flatten
from keras.layers.merge import concatenate
from keras.models import Model
from keras.optimizers import adam, Nadam
from keras.callbacks import Callback as KerasCallback

import rl
from rl.agents.dqn import DQNAgent
from rl.policy import MaxBoltzmannQPolicy, BoltzmannGumbelQPolicy
from rl.memory import SequentialMemory

ENV_NAME = 'CartPole-v1'


class Best(KerasCallback):
    def on_train_begin(self, logs=None):
        self.best = 0

    def on_epoch_end(self, epoch, logs=None):
        self.best = max(self.best, logs['episode_reward'])


def two_branches(shape, nb_actions):
    state = Input(shape=(1,) + shape, name='state')
    flat = Flatten()(state)
    left = Dense(8, activation='relu')(flat)
    right = Dense(8, activation='tanh')(flat)
    q = Dense(nb_actions, activation='linear')(concatenate([left, right], axis=-1))
    return Model(input=state, output=q)


def main(policies):
    env = gym.make(ENV_NAME)
    np.random.seed(7)
    env.seed(7)
    n = env.action_space.n
    for policy in policies:
        for dueling_type in ('avg', 'max'):
            model = two_branches(env.observation_space.shape, n)
            memory = SequentialMemory(limit=1000, window_length=1)
            dqn = DQNAgent(model=model, nb_actions=n, memory=memory, nb_steps_warmup=20, enable_double_dqn=True,
                           enable_dueling_network=True, dueling_type=dueling_type, target_model_update=1e-2,
                           policy=policy)
            dqn.compile(adam(lr=1e-3, clipnorm=1.), metrics=['mae'])
            best = Best()
            dqn.fit(env, nb_steps=150, visualize=False, verbose=0, callbacks=[best])
            name = type(policy).__name__
            dqn.save_weights('duel_{}_{}_weights.h5f'.format(name, dueling_type), overwrite=True)
            print(u'%s, %s: best %d, layers %d' % (name, dueling_type, best.best, len(dqn.model.layers)))
            dqn.test(env, nb_episodes=1, visualize=False)


if __name__ == '__main__':
    main([MaxBoltzmannQPolicy(), BoltzmannGumbelQPolicy()])
