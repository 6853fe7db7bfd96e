import os
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
import gym
import gym_gridworld
import numpy as np
import tensorflow as tf
from keras import backend as K
from keras.models import Sequential, model_from_json
from keras.layers import Dense, Flatten, Activation
from keras.layers.advanced_activations import PReLU
from keras.optimizers import Adam
from rl.agents.dqn import DQNAgent
from rl.policy import EpsGreedyQPolicy
from rl.memory import SequentialMemory

np.random.seed(42)
tf.set_random_seed(42)

WEIGHTS = 'weights/gridworld.h5'
if not os.path.exists('weights'):
    os.makedirs('weights')


def build_model(state_shape, nb_actions):
    model = Sequential()
    model.add(Flatten(input_shape=(1,) + state_shape))
    model.add(Dense(16))
    model.add(PReLU())
    model.add(Dense(nb_actions))
    model.add(Activation('linear'))
    return model


def walk(env, model, nb_steps=40):
    s = env.reset()
    path = []
    for t in range(nb_steps):
        q = model.predict(s[np.newaxis, np.newaxis], verbose=0)[0]
        s, r, done, info = env.step(np.argmax(q))
        path.append(info['position'])
        if done:
            break
    return t + 1, path


def main():
    env = gym.make('gridworld-v0')
    env.seed(42)
    print(env.spec.id, env.spec.timestep_limit if hasattr(env.spec, 'timestep_limit') else env._max_episode_steps)
    model = build_model(env.observation_space.shape, env.action_space.n)
    start = model.get_weights()
    dqn = DQNAgent(model=model, nb_actions=env.action_space.n, memory=SequentialMemory(limit=5000, window_length=1),
                   nb_steps_warmup=32, target_model_update=1e-2, policy=EpsGreedyQPolicy(eps=.3), gamma=.9)
    dqn.compile(Adam(lr=5e-3), metrics=['mae'])
    hist = dqn.fit(env, nb_steps=600, visualize=False, verbose=0)
    print('changed:', [bool((a != b).any()) for a, b in zip(start, model.get_weights())])
    print('longest episode:', max(hist.history['nb_episode_steps']))
    dqn.save_weights(WEIGHTS, overwrite=True)
    with open('gridworld.json', 'w') as f:
        f.write(model.to_json())
    with open('gridworld.json') as f:
        copy = model_from_json(f.read())
    copy.set_weights(model.get_weights())
    steps, path = walk(env, copy)
    print('%d steps: %s' % (steps, [(int(i), int(j)) for i, j in path]))
    env.render()
    dqn.test(env, nb_episodes=3, visualize=False, verbose=1)


if __name__ == '__main__':
    main()
