"""Seeding an environment before its next reset, as `env.seed` did until gym 0.25."""

from typing import Any

from kerasrl.environments.layers import is_of_a_library, layers
from kerasrl.environments.protocol import takes_seed


def seed(env: Any, seed: int | None) -> list[int | None]:
    """Let the next episode of `env` start from `seed`, and the following ones go on from there.

    Whatever has a `seed` of its own is asked. Otherwise the next `reset` takes the seed, unless it is given another
    one; an environment whose `reset` takes none gets a new `np_random`.

    Args:
        env: An environment of gym, Gymnasium or older gym, in its wrappers.
        seed: None takes back a seed that no reset has taken yet.

    Returns:
        The seed in a list, as older gym did.
    """
    seed = None if seed is None else int(seed)
    for layer in layers(env):
        own = getattr(type(layer), "seed", None)
        if own is not None and not is_of_a_library(own):
            layer.seed(seed)
            return [seed]
    set_seed(getattr(env, "unwrapped", env), seed)
    return [seed]


def set_seed(innermost: Any, seed: int | None) -> None:
    """Seed an environment that is in no wrapper and has no `seed` of its own."""
    if isinstance(vars(innermost).get("reset"), _SeededReset):
        del innermost.reset
    if takes_seed(innermost):
        if seed is not None:
            innermost.reset = _SeededReset(innermost, seed)
    elif hasattr(innermost, "np_random"):
        from gym.utils import seeding

        innermost.np_random = seeding.np_random(seed)[0]


class _SeededReset:
    """An environment's `reset`, which takes a seed once and is the class's own again from then on."""

    def __init__(self, env: Any, seed: int) -> None:
        self.env, self.seed = env, seed

    def __call__(self, *, seed: int | None = None, **options: Any) -> Any:
        del self.env.reset
        return self.env.reset(seed=self.seed if seed is None else seed, **options)
