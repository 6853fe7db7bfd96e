import sys
import gym
from gym import error, spaces, utils
from gym.utils import seeding
import numpy as np


class GridworldEnv(gym.Env, utils.EzPickle):
    metadata = {'render.modes': ['human', 'ansi']}
    MOVES = [(-1, 0), (0, 1), (1, 0), (0, -1)]

    def __init__(self, size=5):
        utils.EzPickle.__init__(self, size)
        self.size = size
        self.action_space = spaces.Discrete(4)
        self.observation_space = spaces.Box(low=0, high=1, shape=(size, size), dtype=np.float32)
        self.seed()
        self.reset()

    def seed(self, seed=None):
        self.np_random, seed = seeding.np_random(seed)
        return [seed]

    def step(self, action):
        if not self.action_space.contains(action):
            raise error.InvalidAction('Invalid action: {}'.format(action))
        move = self.MOVES[action]
        if self.np_random.rand() < .1:
            move = self.MOVES[self.np_random.randint(0, 4)]
        self.position = tuple(np.clip(np.add(self.position, move), 0, self.size - 1))
        done = self.position == self.goal
        return self._observe(), 1. if done else -.05, done, {'position': self.position}

    def reset(self):
        self.goal = (self.size - 1, self.size - 1)
        self.position = self.goal
        while self.position == self.goal:
            self.position = (self.np_random.randint(self.size), self.np_random.randint(self.size))
        return self._observe()

    def render(self, mode='human', close=False):
        if close:
            return
        rows = []
        for i in range(self.size):
            rows.append(''.join('o' if (i, j) == self.position else 'G' if (i, j) == self.goal else '.'
                                for j in range(self.size)))
        if mode == 'ansi':
            return '\n'.join(rows)
        sys.stdout.write('\n'.join(rows) + '\n\n')

    def _observe(self):
        grid = np.zeros((self.size, self.size), dtype=np.float32)
        grid[self.position] = 1.
        return grid
