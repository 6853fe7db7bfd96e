"""A seed for everything, set once."""

from typing import Any

import keras

from kerasrl import environments, seeds


def seed(number: int, env: Any = None) -> list[int]:
    """Seed a program as old scripts do with `np.random.seed(number)` or, given `env`, with `env.seed(number)`.

    The first `fit` from now on is as if it were given this seed: exploration, replay and episodes. Whatever is computed
    after that goes on with the generators. Without `env`, models built from now on get the same weights each time;
    with it, the environment's next episode starts from the seed.

    Returns:
        The seed in a list, as older gym did.
    """
    number = int(number)
    if env is None:
        keras.utils.set_random_seed(number)
    else:
        environments.seed(env, number)
        seeds.mark(getattr(env, "unwrapped", env))
    seeds.hold(number)
    return [number]
