"""Seeding an environment before its next reset, as `env.seed` did until gym 0.25."""

from typing import Any

from kerasrl.environments.instances import is_of_a_library, takes_seed, wrapper_chain


def seed(env: Any, seed: int | None) -> list[int | None]:
    """Let the next episode of `env` start from `seed`, and the following ones go on from there.

    A `seed` that no library wrote is called. Otherwise the next `reset` takes the seed, unless it is given a different
    one; an environment whose `reset` takes no seed gets a new `np_random`. None takes back a seed that no reset has
    used yet. Returns the seed in a list, as older gym did.
    """
    seed = None if seed is None else int(seed)
    for layer in wrapper_chain(env):
        own = getattr(type(layer), "seed", None)
        if own is not None and not is_of_a_library(own):
            layer.seed(seed)
            break
    else:
        set_seed(getattr(env, "unwrapped", env), seed)
    return [seed]


def set_seed(innermost: Any, seed: int | None) -> None:
    """Seed an environment that is not in a wrapper and has no `seed` of its own."""
    if isinstance(vars(innermost).get("reset"), _SeededReset):
        del innermost.reset
    if takes_seed(innermost):
        if seed is not None:
            innermost.reset = _SeededReset(innermost, seed)
    elif hasattr(innermost, "np_random"):
        from gym.utils import seeding

        innermost.np_random = seeding.np_random(seed)[0]


class _SeededReset:
    """An environment's `reset`, which uses the seed once and is the class's own again from then on."""

    def __init__(self, env: Any, seed: int) -> None:
        self.env, self.seed = env, seed

    def __call__(self, *, seed: int | None = None, **options: Any) -> Any:
        del self.env.reset
        return self.env.reset(seed=self.seed if seed is None else seed, **options)
