"""What people bring as objects to `train`, `play` and `export`, in place of what the settings name."""

import contextlib
import copy
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasrl.config import AnyConfig
from kerasrl.config.arguments import evaluated_in
from kerasrl.errors import UserError, one_line

if TYPE_CHECKING:
    from kerasrl.environments import Copies


@dataclass(frozen=True)
class OwnParts:
    """Objects given by the user; None where the settings apply."""

    env: Any = None
    """Environment to train in, or a function that makes one, optionally from `render_mode`."""
    model: Any = None
    """Keras model from states [B, window_length, *observation] to Q-values [B, num_actions], which is itself trained,
    or what else the agent has in its place, or a function that builds it, as for the setting `network`."""
    processor: Any = None
    """rl.core.Processor between environment and agent."""
    callbacks: Sequence[Any] | None = None
    """Callbacks in addition to those of the settings."""
    observers: Sequence[Any] = ()
    """Callbacks that only look on, or end the training: no file names them, and a resume does not need them."""

    def metadata(self) -> dict[str, Any]:
        """Return what files say about the objects, which they cannot contain: their names."""
        names = [field.name for field in fields(self) if field.name != "observers"]
        names = [name for name in names if getattr(self, name) is not None]
        return {"objects": names} if names else {}

    def missing(self, metadata: dict[str, Any] | None) -> list[str]:
        """Return the names of the objects that a run with `metadata` was given but that are missing here."""
        given = (metadata or {}).get("objects")
        listed = [name for name in given if isinstance(name, str)] if isinstance(given, list) else []
        names = [field.name for field in fields(self)]
        return [name for name in names if name in listed and getattr(self, name) is None]

    def make_env(self, config: AnyConfig, render_mode: str | None = None) -> Any:
        """Return a new environment, independent of the given one if that can be copied; `UserError` if that fails."""
        from kerasrl import environments  # here, so that --help does not wait for gym

        if self.env is None:
            return environments.make(config.env, render_mode, **config.env_arg)
        return environments.another(self.env, render_mode, config.env_arg)

    def make_eval_env(self, config: AnyConfig, render_mode: str | None = None) -> Any:
        """Return an environment to evaluate in if the settings name one, None if they do not; raises as `make_env`."""
        place = evaluated_in(config)
        parts = self if config.eval_env is None else OwnParts()
        return parts.make_env(replace(config, **place), render_mode) if place else None

    def training_env(self, config: AnyConfig, render_mode: str | None) -> Any:
        """Return the environment to train in, the given one itself; raises as `make_env`."""
        from kerasrl import environments

        if not environments.is_environment(self.env):
            return self.make_env(config, render_mode)
        environments.require_made(config.env_arg)
        environments.require_able_to_draw(self.env, render_mode)
        return self.env

    def copies_of(self, env: Any, config: AnyConfig, render_mode: str | None = None) -> "Copies":
        """Return where to play while `env` is trained in, which `training_env` returned; raises as `Copies`."""
        from kerasrl import environments

        make = None if env is self.env else functools.partial(self.make_env, config, render_mode)
        return environments.Copies(env, make, render_mode)

    @contextlib.contextmanager
    def closing(self, env: Any) -> Iterator[None]:
        """Close an environment when the block ends, unless it is the one given."""
        from kerasrl import environments

        with contextlib.nullcontext() if env is self.env else environments.closing(env):
            yield

    @contextlib.contextmanager
    def unchanged(self) -> Iterator["OwnParts"]:
        """Yield objects to play with; afterwards model and processor are as they were. Raises as `copied`."""
        models = self.model if isinstance(self.model, tuple | list) else [self.model]
        before = [(variable, variable.numpy()) for model in models for variable in getattr(model, "variables", [])]
        try:
            yield replace(self, processor=copied(self.processor))
        finally:
            for variable, value in before:
                variable.assign(value)


def by_name(
    env: Any, env_arg: Mapping[str, Any], network: str, model: Any, processor: Any, recipe: str | Path
) -> tuple[dict[str, Any], OwnParts]:
    """Return what is given by name, as settings to play with, and what is given as objects."""
    either = {"env": env, "processor": processor}
    named = {name: value for name, value in either.items() if isinstance(value, str)}
    objects = {name: value for name, value in either.items() if name not in named}
    others = {"env_arg": dict(env_arg), "network": network, "recipe": str(recipe)}
    return {**named, **others}, OwnParts(**objects, model=model)


def copied(processor: Any) -> Any:
    """Return a copy of a processor to try out, since it may have state; raises `UserError` if it cannot be copied."""
    try:
        return copy.deepcopy(processor)
    except Exception as error:
        raise UserError(
            f"the processor {type(processor).__name__} cannot be copied for a trial run "
            f"({one_line(error)}); name its class in the settings: Config(processor='module:Class')"
        ) from error
