import numpy as np
import gym
import tensorflow as tf
from tensorflow.keras.models import Sequential
from tensorflow.keras.layers import Dense, Embedding, Reshape
from tensorflow.keras.optimizers import Adam
from rl.agents.dqn import DQNAgent
from rl.policy import EpsGreedyQPolicy
from rl.memory import SequentialMemory


class TaxiDriver:
    """Learns Taxi, looks at what it does, and counts."""

    def __init__(self, name="Taxi-v2"):
        self.env = gym.make(name)
        np.random.seed(123)
        tf.random.set_seed(123)
        self.env.seed(123)
        self.action_size = self.env.action_space.n
        self.state_size = self.env.observation_space.n
        self.model = self._build_model()
        self.dqn = None

    def _build_model(self):
        model = Sequential()
        model.add(Embedding(self.state_size, 6, input_length=1))
        model.add(Reshape((6,)))
        model.add(Dense(24, activation='relu'))
        model.add(Dense(self.action_size, activation='linear'))
        return model

    def random_episode(self, nb_steps=50):
        state = self.env.reset()
        total = 0
        for _ in range(nb_steps):
            action = np.random.randint(self.action_size)
            next_state, reward, done, _ = self.env.step(action)
            total += reward
            state = next_state
            if done:
                break
        return total, state

    def train(self, nb_steps=400):
        memory = SequentialMemory(limit=50000, window_length=1)
        self.dqn = DQNAgent(model=self.model, nb_actions=self.action_size, memory=memory, nb_steps_warmup=100,
                            target_model_update=1e-2, policy=EpsGreedyQPolicy())
        self.dqn.compile(Adam(learning_rate=1e-3, decay=1e-6), metrics=['mae'])
        self.dqn.fit(self.env, nb_steps=nb_steps, visualize=False, verbose=1, nb_max_episode_steps=99,
                     log_interval=200)
        self.dqn.save_weights('dqn_taxi_weights.h5f', overwrite=True)

    def play(self, nb_episodes=2):
        rewards = []
        for episode in range(nb_episodes):
            state = self.env.reset()
            done, episode_reward, steps = False, 0, 0
            while not done and steps < 30:
                action = self.dqn.forward(np.array(state))
                state, reward, done, info = self.env.step(action)
                episode_reward += reward
                steps += 1
            rewards.append(episode_reward)
        return np.mean(rewards)


if __name__ == "__main__":
    driver = TaxiDriver()
    print("random:", driver.random_episode())
    before = driver.model.layers[0].get_weights()[0].copy()
    driver.train()
    after = driver.model.layers[0].get_weights()[0]
    print("states learned:", int((np.abs(after - before).sum(axis=1) > 0).sum()))
    driver.dqn.test(driver.env, nb_episodes=2, visualize=False, nb_max_episode_steps=99)
    driver.dqn.training = False
    print("mean reward: %.2f" % driver.play())
