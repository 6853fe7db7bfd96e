"""The script's seed: one call seeds every generator, including those of libraries that are imported later."""

import contextlib
import importlib
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

from kerasrl import seeds
from kerasrl.legacy.report import report
from kerasrl.legacy.script import script

# A seed that was set before Keras was imported.
_for_later: list[int] = []


@contextlib.contextmanager
def undrawn() -> Iterator[None]:
    """Restore Python's generator, if it was seeded, after what importing TensorFlow and Keras draws."""
    state, is_seeded = random.getstate(), bool(_for_later)
    yield
    if is_seeded:
        random.setstate(state)


def seed_all(seed: Any, name: str) -> None:
    """Seed every generator, as keras.utils.set_random_seed does, TensorFlow's once it is imported; note the call."""
    seed = int(seed)
    report.translated(f"{name}({seed}) -> keras.utils.set_random_seed({seed})")
    seeds.hold(seed)
    if "keras" in sys.modules:
        importlib.import_module("keras").utils.set_random_seed(seed)
    else:
        random.seed(seed)
        importlib.import_module("numpy.random").seed(seed)
        _for_later[:] = [seed]


def noting_seed(set_random_seed: Callable[[int], None]) -> Callable[[int], None]:
    """Return keras.utils.set_random_seed, which also passes the script's seed on to `fit`."""

    def noting(seed: int) -> None:
        if script.is_asking():
            seeds.hold(seed)
        set_random_seed(seed)

    return noting


def seed_later() -> None:
    """Seed TensorFlow and Keras, now that they are imported, with the seed that the script set before."""
    for seed in _for_later:
        keras_state = importlib.import_module("keras.src.backend.common.global_state")
        keras_state.set_global_attribute("global_random_seed", seed)
        importlib.import_module("tensorflow").random.set_seed(seed)
    _for_later.clear()
