from __future__ import division
import numpy as np
import gym
from gym import spaces
from gym.utils import seeding


class Catcher(gym.Env):
    """A ball falls in an RGB picture, the bat below has to be there."""

    metadata = {'render.modes': ['human', 'rgb_array'], 'video.frames_per_second': 30}

    def __init__(self, size=20):
        self.size = size
        self.action_space = spaces.Discrete(3)
        self.observation_space = spaces.Box(low=0, high=255, shape=(size, size, 3))
        self.viewer = None
        self._seed()

    def _seed(self, seed=None):
        self.np_random, seed = seeding.np_random(seed)
        return [seed]

    def _reset(self):
        self.ball = [0, self.np_random.randint(self.size)]
        self.bat = self.size // 2
        self.lives = 3
        return self._get_image()

    def _step(self, action):
        assert self.action_space.contains(action)
        self.bat = int(np.clip(self.bat + 2 * (action - 1), 1, self.size - 2))
        self.ball[0] += 2
        reward = 0.
        if self.ball[0] >= self.size - 1:
            reward = 5. if abs(self.ball[1] - self.bat) <= 2 else -5.
            if reward < 0:
                self.lives -= 1
            self.ball = [0, self.np_random.randint(self.size)]
        return self._get_image(), reward, self.lives == 0, {'lives': self.lives}

    def _get_image(self):
        image = np.zeros((self.size, self.size, 3), dtype=np.uint8)
        image[self.ball[0], self.ball[1]] = (255, 255, 255)
        image[-1, self.bat - 1:self.bat + 2] = (200, 72, 72)
        return image

    def _render(self, mode='human', close=False):
        if close:
            if self.viewer is not None:
                self.viewer.close()
                self.viewer = None
            return
        if mode == 'rgb_array':
            return self._get_image()
        from gym.envs.classic_control import rendering
        if self.viewer is None:
            self.viewer = rendering.SimpleImageViewer()
        self.viewer.imshow(self._get_image())
