"""DQNAgent and its first annealed policy, with the defaults, arguments and habits of the script's Keras-RL."""

import errno
import inspect
import os
import sys
from pathlib import Path
from typing import Any

from rl.policy import EpsGreedyQPolicy, LinearAnnealedPolicy

import kerasrl
from kerasrl.environments.instances import wrapper_chain
from kerasrl.errors import UserError
from kerasrl.legacy import threads
from kerasrl.legacy.gym.making import can_be_shown
from kerasrl.legacy.keras.saving import make_folder_of
from kerasrl.legacy.keras_rl.callbacks import translated
from kerasrl.legacy.report import report
from kerasrl.legacy.script import script

_NOT_GIVEN: Any = object()

threads.choose_at_first_input()


class _Next:
    """What comes next in `super(DQNAgent, self).__init__(nb_actions=..., memory=...)`: AbstractDQNAgent in Keras-RL."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super(kerasrl.DQNAgent, self).__init__(*args, **kwargs)  # type: ignore[misc]


class DQNAgent(_Next, kerasrl.DQNAgent):
    """This project's DQNAgent, as a script for keras-rl 0.1 to 0.4.2 or for keras-rl2 expects it.

    Args are those of `kerasrl.DQNAgent`, and:
        enable_double_dqn: True by default in keras-rl, False in keras-rl2.
        window_length: keras-rl 0.1 had it here instead of in the memory.
        delta_range: keras-rl 0.1: (-x, x) is delta_clip=x.
        reward_range: keras-rl 0.1: limits of the reward, which have to be infinite.
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
        is_keras_rl_1 = script.is_for_keras_rl_1()
        if enable_double_dqn is _NOT_GIVEN:
            enable_double_dqn = is_keras_rl_1
            if is_keras_rl_1:
                report.differs(
                    "DQNAgent learns with double DQN, the default of keras-rl 0.4.2, for which scripts with plain "
                    "keras were written; --keras-rl 2 chooses the default of keras-rl2, plain DQN"
                )
        if enable_dueling_network and dueling_type == "avg" and is_keras_rl_1:
            report.differs("the dueling network's mean is over actions; in keras-rl 0.4.2 it was over the batch too")
        if delta_range is not None:
            report.translated(f"DQNAgent(delta_range={delta_range}) -> delta_clip={delta_range[1]}")
            kwargs["delta_clip"] = delta_range[1]
        if reward_range is not None and any(abs(limit) != float("inf") for limit in reward_range):
            raise UserError("DQNAgent(reward_range=...) of keras-rl 0.1 is not supported; clip rewards in a Processor")
        if window_length is not None:
            report.translated("DQNAgent(window_length=...) -> SequentialMemory(window_length=...)")
            kwargs["memory"] = kerasrl.SequentialMemory(kwargs["memory"].limit, window_length=window_length)
        kerasrl.DQNAgent.__init__(
            self, model, policy, test_policy, enable_double_dqn, enable_dueling_network, dueling_type, *args, **kwargs
        )
        if script.options.time_limits_end:  # here, so that nothing is asked at each step otherwise
            expect = super().expect
            self.__dict__["expect"] = lambda observation, truncated=False: expect(observation)

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """Train as `kerasrl.DQNAgent.fit` does, with a window only where there is a screen."""
        return super().fit(**self._translated(kerasrl.DQNAgent.fit, args, kwargs))

    def test(self, *args: Any, **kwargs: Any) -> Any:
        """Play as `kerasrl.DQNAgent.test` does, with a window only where there is a screen."""
        return super().test(**self._translated(kerasrl.DQNAgent.test, args, kwargs))

    # What `inspect` shows.
    fit.__wrapped__, test.__wrapped__ = kerasrl.DQNAgent.fit, kerasrl.DQNAgent.test  # type: ignore[attr-defined]

    def _translated(self, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of `fit` or `test` for today, and note how time limits are understood."""
        if "nb_max_random_start_steps" in kwargs:
            report.translated("nb_max_random_start_steps -> nb_max_start_steps")
            kwargs["nb_max_start_steps"] = kwargs.pop("nb_max_random_start_steps")
        bound = inspect.signature(method).bind(self, *args, **kwargs)
        bound.apply_defaults()
        arguments = bound.arguments
        del arguments["self"]
        length = "nb_steps" if "nb_steps" in arguments else "nb_episodes"
        arguments[length] = int(arguments[length])
        arguments["callbacks"] = translated(arguments["callbacks"])
        has_limit = any(type(layer).__name__ == "TimeLimit" for layer in wrapper_chain(arguments["env"]))
        if (arguments["nb_max_episode_steps"] or has_limit) and not script.options.time_limits_end:
            report.differs(
                "an episode that a time limit ends keeps the value of its last state; Keras-RL treated that as a real "
                "end, as --time-limits-end does"
            )
        if arguments["visualize"]:
            arguments["visualize"] = can_be_shown(arguments["env"])
        return arguments

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
        """Read weights of any Keras-RL; raise the OSError that scripts expect if there is no such file."""
        if not any(Path(f"{os.fspath(filepath)}{suffix}").exists() for suffix in ("", ".index")):
            raise FileNotFoundError(errno.ENOENT, "Unable to open file: no such weights file", os.fspath(filepath))
        super().load_weights(filepath)


class AnnealedQPolicy(LinearAnnealedPolicy):
    """LinearAnnealedPolicy as in keras-rl 0.1, where it was epsilon-greedy at first and needed no arguments.

    Args are those of LinearAnnealedPolicy; `nb_annealing_steps` is another name for `nb_steps`.
    """

    def __init__(
        self,
        inner_policy: Any = None,
        attr: str = "eps",
        value_max: float = 1.0,
        value_min: float = 0.1,
        value_test: float = 0.05,
        nb_steps: int = 10_000,
        nb_annealing_steps: int | None = None,
    ) -> None:
        report.translated("AnnealedQPolicy -> LinearAnnealedPolicy")
        inner_policy = EpsGreedyQPolicy() if inner_policy is None else inner_policy
        super().__init__(inner_policy, attr, value_max, value_min, value_test, nb_annealing_steps or nb_steps)
