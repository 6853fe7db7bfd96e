"""Atari games as the published tables play them; importing this needs ale_py and Gymnasium.

`Atari/Pong-v4` is Pong in this way: each action is taken for four frames, and is the one that was chosen; the screen is
grey, and has of each pixel the brighter of the last two frames; an episode begins after 1 to 30 idle frames, and with
FIRE if the game has that action; it lasts 27,000 steps, 30 minutes of play, at most (Mnih et al. 2015, Nature 518,
Methods; Machado et al. 2018, JAIR 61, sections 3 and 4). How a screen becomes smaller is for a processor to say.
"""

from typing import Any

import ale_py
import gymnasium
import numpy as np
from ale_py.env import AtariEnv
from gymnasium.utils import EzPickle

from kerasrl.environments.atari import GAMES, options
from kerasrl.errors import UserError


class AtariGame(AtariEnv):
    """A game whose observations are grey screens in bytes, of most games [210, 160].

    Args:
        game: Its name in ale_py, such as space_invaders.
        frameskip: Frames for each action, 1 or more.
        repeat_action_probability: Probability with which a frame repeats the action before, whatever is chosen.
        max_idle_frames: Most idle frames at the start, at least one of which there is unless this is 0.
        full_action_space: Take all 18 actions of the joystick instead of those that this game tells apart.
        mode, difficulty: The game's own, None for the first.
        render_mode: 'human' for a window with sound, 'rgb_array' for pictures in colour.

    Raises:
        UserError: A number of frames is no whole number, or too small.
    """

    def __init__(
        self,
        game: str,
        frameskip: int = 4,
        repeat_action_probability: float = 0.0,
        max_idle_frames: int = 30,
        full_action_space: bool = False,
        mode: int | None = None,
        difficulty: int | None = None,
        render_mode: Any = None,
    ) -> None:
        for name, number, least in (("frameskip", frameskip, 1), ("max_idle_frames", max_idle_frames, 0)):
            if type(number) is not int or number < least:
                raise UserError(f"{name} must be a whole number, at least {least}, not {number!r:.60}")
        if not 0 <= repeat_action_probability <= 1:
            raise UserError(f"repeat_action_probability must be between 0 and 1, not {repeat_action_probability!r:.60}")
        settings: dict[str, Any] = {
            "game": game,
            "frameskip": frameskip,
            "repeat_action_probability": repeat_action_probability,
            "full_action_space": full_action_space,
            "mode": mode,
            "difficulty": difficulty,
            "render_mode": render_mode,
        }
        super().__init__(obs_type="grayscale", **settings)
        EzPickle.__init__(self, max_idle_frames=max_idle_frames, **settings)  # of which copies are made
        self._nb_frames, self._max_idle_frames = frameskip, max_idle_frames
        self._fire = next((i for i, action in enumerate(self._action_set) if action == ale_py.Action.FIRE), None)
        self._before, self._last = (np.zeros(self.observation_space.shape or (), np.uint8) for _ in range(2))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Start an episode and return the screen and what ale_py tells, after idle frames and FIRE."""
        _, info = super().reset(seed=seed, options=options)
        for _ in range(self.np_random.integers(1, self._max_idle_frames + 1) if self._max_idle_frames else 0):
            self.ale.act(ale_py.Action.NOOP)
        if self._fire is not None:
            self.step(self._fire)
        if self.ale.game_over():
            self.ale.reset_game()
        return self._get_obs(), {**info, **self._get_info()}

    def step(self, action: Any) -> Any:
        """Take an action for some frames; return the brighter of the last two, the sum of rewards, and the rest."""
        ale, chosen, reward = self.ale, self._action_set[action], 0.0
        for _ in range(self._nb_frames - 1):  # once a game is over, ALE goes no further
            reward += ale.act(chosen)
        ale.getScreenGrayscale(self._before)
        reward += ale.act(chosen)
        ale.getScreenGrayscale(self._last)
        screen = np.maximum(self._before, self._last)
        return screen, reward, ale.game_over(with_truncation=False), ale.game_truncated(), self._get_info()


def register_envs() -> None:
    """Register each game under its name in gym, such as Atari/SpaceInvaders-v4, with Gymnasium."""
    for name in GAMES.split("|"):
        known, own = options(f"{name}-v4"), f"Atari/{name}-v4"
        if known is not None and own not in gymnasium.registry:
            gymnasium.register(
                own,
                "kerasrl.environments.atari_game:AtariGame",
                max_episode_steps=27_000,
                kwargs={"game": known["game"]},
            )
