"""The pair of weights files that Keras-RL writes: NAME_actor.h5f and NAME_critic.h5f."""

import os
from pathlib import Path

from kerasrl.storage.weights import Weights, read

_SUFFIXES = "_actor", "_critic"


def pair(path: str | os.PathLike[str]) -> tuple[str, str]:
    """Return the files of the actor and of the critic whose weights are called `path`."""
    path = Path(path)
    actor, critic = (str(path.with_name(f"{path.stem}{suffix}{path.suffix}")) for suffix in _SUFFIXES)
    return actor, critic


def existing_pair(path: str | os.PathLike[str]) -> tuple[str, str]:
    """Return the pair that is called `path` or that `path` is one of, a whole one if possible."""
    path = Path(os.fspath(path).removesuffix(".index"))
    stems = [path.stem, *[path.stem.removesuffix(suffix) for suffix in _SUFFIXES if path.stem.endswith(suffix)]]
    pairs = [pair(path.with_name(stem + path.suffix)) for stem in stems]
    return max(pairs, key=lambda files: sum(map(_exists, files)))  # the first of several


def _exists(file: str) -> bool:
    return os.path.isfile(file) or os.path.isfile(file + ".index")  # a checkpoint of keras-rl2


def read_pair(path: str | os.PathLike[str]) -> Weights:
    """Read the weights of an actor and a critic, one after the other; raises what `read` raises."""
    actor, critic = map(read, existing_pair(path))
    return Weights(
        [*actor.layers, *critic.layers], actor.metadata, actor.origin, ordered=actor.ordered and critic.ordered
    )
