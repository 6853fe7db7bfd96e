"""Environments that exist, of whatever library: their names, their wrappers, what their methods take."""

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

from kerasrl.errors import UserError

LIBRARIES = ("gym.", "gymnasium.", "ale_py.", "minatar.", "kerasrl.", "rl.")


def is_environment(thing: Any) -> bool:
    """Return whether something is an environment rather than a class of environments."""
    return not isinstance(thing, type) and hasattr(thing, "reset") and hasattr(thing, "step")


def require_single(env: Any) -> None:
    """Raise `UserError` if something is several environments at once: gym's, Gymnasium's, Stable-Baselines3's."""
    if hasattr(env, "num_envs") and (hasattr(env, "single_action_space") or hasattr(env, "step_async")):
        raise UserError(
            f"{type(env).__name__} is {env.num_envs} environments at once, but an agent acts in a single one: give one "
            "of them; `tune` trains several agents side by side"
        )


def name_of(env: Any) -> str:
    """Return the name under which an environment was registered, or else that of its class."""
    spec = getattr(env, "spec", None)
    return str(spec.id) if spec is not None else type(getattr(env, "unwrapped", env)).__name__


def time_limit(env: Any) -> int | None:
    """Return after how many steps an episode ends at the latest, None if neither a name nor a wrapper says."""
    limits = [getattr(getattr(env, "spec", None), "max_episode_steps", None)]
    limits += [vars(layer).get("_max_episode_steps") for layer in wrapper_chain(env) if hasattr(layer, "__dict__")]
    return min(filter(None, limits), default=None)


def wrapper_chain(env: Any) -> Iterator[Any]:
    """Yield an environment's wrappers, the outermost first, and the innermost environment last."""
    seen: list[Any] = []
    while env is not None and not any(env is layer for layer in seen):
        seen.append(env)
        yield env
        env = vars(env).get("env") if hasattr(env, "__dict__") else None


def is_of_a_library(method: Any) -> bool:
    """Return whether a method comes from gym, Gymnasium, Keras-RL or this project."""
    return str(getattr(method, "__module__", "")).startswith(LIBRARIES)


def takes(method: Any, name: str) -> bool:
    """Return whether a method takes a keyword argument."""
    try:
        parameters = inspect.signature(method).parameters
    except (TypeError, ValueError):
        return False
    return name in parameters or any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())


def takes_seed(env: Any) -> bool:
    """Return whether `reset` takes a seed, as it has since gym 0.26."""
    return takes(env.reset, "seed")


@contextlib.contextmanager
def closing(env: Any) -> Iterator[None]:
    """Close an environment when the block ends; if it fails, whatever closing raises is not what is reported."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(Exception):
            close(env)
        raise
    close(env)


def close(env: Any) -> None:
    """Close an environment if it can be closed: `rl.core.Env.close` is abstract."""
    with contextlib.suppress(NotImplementedError):
        getattr(env, "close", lambda: None)()
