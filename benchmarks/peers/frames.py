"""What remains of an Atari game if playing it costs nothing: frames of 84 x 84 random bytes."""

from typing import Any

import gymnasium
import numpy as np

NB_ACTIONS = 6  # Pong's
NB_STEPS = 500  # of an episode


class Frames(gymnasium.Env):
    """Show random frames, [84, 84] in bytes, whatever is done."""

    observation_space = gymnasium.spaces.Box(0, 255, (84, 84), np.uint8)
    action_space = gymnasium.spaces.Discrete(NB_ACTIONS)

    def __init__(self) -> None:
        self.frames = np.random.default_rng(0).integers(0, 256, (256, 84, 84), np.uint8)
        self.steps = 0

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.steps = 0
        return self.frames[0], {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.steps += 1
        reward = float(action == self.steps % NB_ACTIONS)
        return self.frames[self.steps % len(self.frames)], reward, self.steps >= NB_STEPS, False, {}
