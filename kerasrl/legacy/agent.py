"""DQNAgent with the defaults, arguments and habits of the Keras-RL that a script was written for."""

import errno
import os
import sys
from pathlib import Path
from typing import Any

import kerasrl
from kerasrl.errors import UserError
from kerasrl.legacy import gym
from kerasrl.legacy.callbacks import translated
from kerasrl.legacy.folders import make_folder_of
from kerasrl.legacy.gym_making import can_be_shown
from kerasrl.legacy.notes import notes

_NOT_GIVEN: Any = object()


class DQNAgent(kerasrl.DQNAgent):
    """This project's DQNAgent, as a script for keras-rl 0.1 to 0.4.2 or for keras-rl2 expects it.

    Args:
        model: Keras model.
        policy: As for `kerasrl.DQNAgent`; and so are all others that are not named here.
        test_policy: Policy of `test`.
        enable_double_dqn: True by default in keras-rl, False in keras-rl2.
        enable_dueling_network: See `kerasrl.dqn.dueling`.
        dueling_type: 'avg', 'max' or 'naive'.
        window_length: keras-rl 0.1 had it here instead of in the memory.
        delta_range: keras-rl 0.1: (-x, x) is delta_clip=x.
        reward_range: keras-rl 0.1: limits of the reward.
    """

    def __init__(
        self,
        model: Any,
        policy: Any = None,
        test_policy: Any = None,
        enable_double_dqn: bool = _NOT_GIVEN,
        enable_dueling_network: bool = False,
        dueling_type: str = "avg",
        *args: Any,
        window_length: int | None = None,
        delta_range: tuple[float, float] | None = None,
        reward_range: tuple[float, float] | None = None,
        **kwargs: Any,
    ) -> None:
        is_keras_rl_1 = notes.is_for_keras_rl_1()
        if enable_double_dqn is _NOT_GIVEN:
            enable_double_dqn = is_keras_rl_1
            if is_keras_rl_1:
                notes.differs(
                    "DQNAgent learns with double DQN, the default of keras-rl 0.4.2, for which scripts with plain "
                    "keras were written; --keras-rl 2 takes the default of keras-rl2, plain DQN"
                )
        if enable_dueling_network and dueling_type == "avg" and is_keras_rl_1:
            notes.differs("the dueling network's mean is over the actions; keras-rl 0.4.2 took it over the batch, too")
        if delta_range is not None:
            notes.translated(f"DQNAgent(delta_range={delta_range}) -> delta_clip={delta_range[1]}")
            kwargs["delta_clip"] = delta_range[1]
        if reward_range is not None and any(abs(limit) != float("inf") for limit in reward_range):
            raise UserError("DQNAgent(reward_range=...) of keras-rl 0.1 is missing; clip rewards in a Processor")
        if window_length is not None:
            notes.translated("DQNAgent(window_length=...) -> SequentialMemory(window_length=...)")
            memory = kwargs["memory"]
            kwargs["memory"] = kerasrl.SequentialMemory(limit=memory.limit, window_length=window_length)
        super().__init__(
            model, policy, test_policy, enable_double_dqn, enable_dueling_network, dueling_type, *args, **kwargs
        )
        if notes.options.time_limits_end:  # here, so that nothing is asked at each step otherwise
            expect = super().expect
            self.__dict__["expect"] = lambda observation, truncated=False: expect(observation)

    def fit(self, env: Any, nb_steps: int, *args: Any, **kwargs: Any) -> Any:
        """Train as `kerasrl.DQNAgent.fit`, with the script's seed, and without a window where there is no screen."""
        kwargs.setdefault("seed", notes.seed)
        self._prepare(env, kwargs)
        if kwargs.get("visualize"):
            kwargs["visualize"] = can_be_shown()
        return super().fit(env, int(nb_steps), *args, **kwargs)

    def test(self, env: Any, nb_episodes: int = 1, *args: Any, **kwargs: Any) -> Any:
        """Play as `kerasrl.DQNAgent.test`, without a window where there is no screen."""
        self._prepare(env, kwargs)
        if kwargs.get("visualize", True):
            kwargs["visualize"] = can_be_shown()
        return super().test(env, int(nb_episodes), *args, **kwargs)

    def _prepare(self, env: Any, arguments: dict[str, Any]) -> None:
        """Translate the arguments of `fit` or `test`, and tell how time limits are meant."""
        if "nb_max_random_start_steps" in arguments:
            notes.translated("nb_max_random_start_steps -> nb_max_start_steps")
            arguments["nb_max_start_steps"] = arguments.pop("nb_max_random_start_steps")
        arguments["callbacks"] = translated(arguments.get("callbacks"))
        is_limited = arguments.get("nb_max_episode_steps") or gym.has_time_limit(env)
        if is_limited and not notes.options.time_limits_end:
            notes.differs(
                "an episode that a time limit ends keeps the value of its last state; Keras-RL took it for a real end, "
                "as --time-limits-end does"
            )

    def save_weights(self, filepath: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the weights; ask before replacing a file, as Keras does."""
        if not overwrite and os.path.exists(filepath) and sys.stdin is not None and sys.stdin.isatty():
            from keras.src.utils.io_utils import ask_to_proceed_with_overwrite

            if not ask_to_proceed_with_overwrite(os.fspath(filepath)):
                return
            overwrite = True
        make_folder_of(filepath)
        super().save_weights(filepath, overwrite)

    def load_weights(self, filepath: str | os.PathLike[str]) -> None:
        """Read weights of any Keras-RL; a missing file is the OSError that scripts expect."""
        if not any(Path(f"{os.fspath(filepath)}{suffix}").exists() for suffix in ("", ".index")):
            raise FileNotFoundError(errno.ENOENT, "Unable to open file: there are no such weights", os.fspath(filepath))
        super().load_weights(filepath)
