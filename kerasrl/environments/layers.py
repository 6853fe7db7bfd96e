"""The wrappers around an environment."""

from collections.abc import Iterator
from typing import Any

LIBRARIES = ("gym.", "gymnasium.", "ale_py.", "minatar.", "kerasrl.", "rl.")


def layers(env: Any) -> Iterator[Any]:
    """Yield an environment's wrappers, the outermost first, and the innermost environment last."""
    seen: list[Any] = []
    while env is not None and not any(env is layer for layer in seen):
        seen.append(env)
        yield env
        env = vars(env).get("env") if hasattr(env, "__dict__") else None


def is_of_a_library(method: Any) -> bool:
    """Return whether a method is one of gym's, Gymnasium's, Keras-RL's or this project's, not somebody's own."""
    return str(getattr(method, "__module__", "")).startswith(LIBRARIES)
