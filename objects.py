"""What `train` and `play` take from Python as objects, in place of what the settings name."""

import contextlib
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from config import Config
from kerasrl.errors import UserError


@dataclass(frozen=True)
class Objects:
    """Objects given by the user; None where the settings hold."""

    env: Any = None
    """Environment that is trained in, or a function that makes one from `render_mode`, if it takes it."""
    model: Any = None
    """Keras model from states [B, window_length, *observation] to Q-values [B, num_actions], which is trained itself;
    or a function that builds one, as the setting `network` names it."""
    processor: Any = None
    """rl.core.Processor between environment and agent."""
    callbacks: Sequence[Any] | None = None
    """Callbacks beside those of the settings."""
    observers: Sequence[Any] = ()
    """Callbacks that only look on, or end the training: no file names them, and a resume does without them."""

    def metadata(self) -> dict[str, Any]:
        """Return what files say of the objects, which they cannot hold: their names."""
        names = [field.name for field in fields(self) if field.name != "observers"]
        names = [name for name in names if getattr(self, name) is not None]
        return {"objects": names} if names else {}

    def missing(self, metadata: dict[str, Any] | None) -> list[str]:
        """Return the names of the objects that a run with `metadata` was given and that are not given here."""
        given = (metadata or {}).get("objects")
        listed = [name for name in given if isinstance(name, str)] if isinstance(given, list) else []
        names = [field.name for field in fields(self)]
        return [name for name in names if name in listed and getattr(self, name) is None]

    def make_env(self, config: Config, render_mode: str | None = None) -> Any:
        """Return a new environment, of which the given one knows nothing.

        Raises:
            UserError: It cannot be made, or the given one cannot be copied.
        """
        from kerasrl import environments  # here, so that --help does not wait for gym

        if self.env is None:
            return environments.make(config.env, render_mode)
        return environments.another(self.env, render_mode)

    def training_env(self, config: Config, render_mode: str | None) -> Any:
        """Return the environment to train in, the given one itself; raises as `make_env`."""
        from kerasrl import environments

        if not environments.is_environment(self.env):
            return self.make_env(config, render_mode)
        environments.require_able_to_draw(self.env, render_mode)
        return self.env

    @contextlib.contextmanager
    def unchanged(self) -> Iterator["Objects"]:
        """While the block runs, give objects to play with: afterwards model and processor are as they were.

        Raises:
            UserError: The processor cannot be copied.
        """
        before = [(variable, variable.numpy()) for variable in getattr(self.model, "variables", [])]
        try:
            yield replace(self, processor=copied(self.processor))
        finally:
            for variable, value in before:
                variable.assign(value)


def copied(processor: Any) -> Any:
    """Return a copy of a processor, to try it out: it may keep a state; raises `UserError` if there can be none."""
    try:
        return copy.deepcopy(processor)
    except Exception as error:
        raise UserError(
            f"the processor {type(processor).__name__} cannot be copied, to try it out "
            f"({' '.join(str(error).split())}); name its class in the settings: Config(processor='module:Class')"
        ) from error
