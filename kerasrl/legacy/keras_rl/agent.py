"""What a script's agents do besides learning, with the arguments and habits of its Keras-RL."""

import errno
import inspect
import os
import sys
from typing import Any

from kerasrl.agents.base import Agent
from kerasrl.environments.instances import wrapper_chain
from kerasrl.errors import UserError
from kerasrl.legacy import threads
from kerasrl.legacy.gym.making import can_be_shown
from kerasrl.legacy.keras.saving import make_folder_of
from kerasrl.legacy.keras_rl.callbacks import translated
from kerasrl.legacy.report import report
from kerasrl.legacy.script import script

threads.choose_at_first_input()


class OldAgent(Agent):
    """One of this project's agents, as a script for keras-rl 0.1 to 0.4.2 or for keras-rl2 expects it.

    Args are those of the agent, and:
        window_length: keras-rl 0.1 had it here instead of in the memory.
        delta_range: keras-rl 0.1: (-x, x) is delta_clip=x.
        reward_range: keras-rl 0.1: limits of the reward, which have to be infinite.
    """

    is_discrete = False  # for an environment, whose actions it gets by their numbers, without masks, as in Keras-RL

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Do what comes next in `super(DDPGAgent, self).__init__(...)`, as in a script's own copy of a constructor."""
        self._start(Agent, args, kwargs)

    def _start(self, kind: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Be made as an agent of a kind is, with arguments of then."""
        kind.__init__(self, *args, **self._of_today(kwargs))
        self._end_at_time_limits()

    def _of_today(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of `__init__` for today."""
        name = type(self).__name__
        kwargs = dict(kwargs)
        window_length, delta_range = kwargs.pop("window_length", None), kwargs.pop("delta_range", None)
        reward_range = kwargs.pop("reward_range", ())
        if delta_range is not None:
            report.translated(f"{name}(delta_range={delta_range}) -> delta_clip={delta_range[1]}")
            kwargs["delta_clip"] = delta_range[1]
        if any(abs(limit) != float("inf") for limit in reward_range):
            raise UserError(f"{name}(reward_range=...) of keras-rl 0.1 is not supported; clip rewards in a Processor")
        if window_length is not None:
            memory = kwargs["memory"]
            report.translated(f"{name}(window_length=...) -> {type(memory).__name__}(window_length=...)")
            kwargs["memory"] = type(memory)(memory.limit, window_length=window_length)
        return kwargs

    def _end_at_time_limits(self) -> None:
        if script.options.time_limits_end:  # here, so that nothing is asked at each step otherwise
            expect = super().expect
            self.__dict__["expect"] = lambda observation, truncated=False: expect(observation)

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """Train as `Agent.fit` does, with a window only where there is a screen."""
        arguments = self._translated(Agent.fit, args, kwargs)
        has_limit = any(type(layer).__name__ == "TimeLimit" for layer in wrapper_chain(arguments["env"]))
        learns_values = "gamma" not in self._of_others  # whoever discounts asks what a state is worth
        if (arguments["nb_max_episode_steps"] or has_limit) and learns_values and not script.options.time_limits_end:
            report.differs(
                "an episode that a time limit ends keeps the value of its last state; Keras-RL treated that as a real "
                "end, as --time-limits-end does"
            )
        return super().fit(**arguments)

    def test(self, *args: Any, **kwargs: Any) -> Any:
        """Play as `Agent.test` does, with a window only where there is a screen."""
        return super().test(**self._translated(Agent.test, args, kwargs))

    fit.__wrapped__, test.__wrapped__ = Agent.fit, Agent.test  # type: ignore[attr-defined]  # what `inspect` shows

    def _translated(self, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of `fit` or `test` for today."""
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
        if arguments["visualize"]:
            arguments["visualize"] = can_be_shown(arguments["env"])
        return arguments

    def save_weights(self, filepath: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the weights; ask before replacing a file, as Keras does."""
        existing = [file for file in self.weights_files(filepath) if os.path.exists(file)]
        if not overwrite and existing and sys.stdin is not None and sys.stdin.isatty():
            from keras.src.utils.io_utils import ask_to_proceed_with_overwrite

            if not ask_to_proceed_with_overwrite(existing[0]):
                return
            overwrite = True
        make_folder_of(filepath)
        super().save_weights(filepath, overwrite)

    def load_weights(self, filepath: str | os.PathLike[str], skip_mismatch: bool = False) -> None:
        """Read weights of any Keras-RL; raise the OSError that scripts expect if there is no such file."""
        files = {os.fspath(filepath), *self.weights_files(filepath)}
        if not any(os.path.exists(file + suffix) for file in files for suffix in ("", ".index")):
            raise FileNotFoundError(errno.ENOENT, "Unable to open file: no such weights file", os.fspath(filepath))
        super().load_weights(filepath, skip_mismatch)
