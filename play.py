"""Play with saved weights, from Python.

    from play import play
    play("checkpoints/dqn_CartPole-v0_best.h5f", record="film.gif")

The steps are those of test.py, which is loaded by its path: its name is also that of a package of Python's own.
"""

import base64
import html
import sys
from collections.abc import Iterable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from config import TestConfig
from objects import Objects


class Played(list[float]):
    """The rewards of the episodes that were played; a notebook shows them with their film, if there is one.

    Args:
        rewards: Of each episode.
        film: Film that was written, .gif or .mp4.
    """

    def __init__(self, rewards: Iterable[float], film: str | Path = "") -> None:
        super().__init__(rewards)
        self.film = film

    def _repr_html_(self) -> str | None:
        path = Path(self.film)
        if not path.is_file():  # nothing was filmed, or the film has gone
            return None
        content = base64.b64encode(path.read_bytes()).decode()
        told = html.escape(f"{path.name}: {list(self)}")
        if path.suffix.lower() == ".mp4":
            return f'<video controls loop src="data:video/mp4;base64,{content}"></video><br>{told}'
        return f'<img src="data:image/gif;base64,{content}" alt="{told}"><br>{told}'


def play(
    weights: str | Path,
    episodes: int = 5,
    *,
    record: str | Path = "",
    visualize: bool = False,
    env: Any = None,
    model: Any = None,
    processor: Any = None,
    seed: int | None = None,
    trust: bool = False,
) -> Played:
    """Play with saved weights, print the result, and return the episodes' rewards; a notebook shows their film.

    Args:
        weights: File that `train` or Keras-RL wrote.
        episodes: Number of episodes.
        record: Film to write, .gif or .mp4.
        visualize: Show the environment in a window, at natural speed.
        env: Environment to play in: a name, an object (a copy is played in), or a function that makes one. Without it,
            the one trained in.
        model: Keras model like the one trained, or a function that builds it; needed if `train` was given one. It
            stays as it is.
        processor: rl.core.Processor like the one trained with; needed if `train` was given one.
        seed: Seed of the episodes; without it, they are random.
        trust: Import the modules that the file names.

    Raises:
        UserError: The weights, the environment or the film cannot be used.
    """
    name, env = (env, None) if isinstance(env, str) else (None, env)
    config = TestConfig(str(weights), episodes, visualize, str(record), name, seed=seed, trust=trust)
    return Played(_test_py().test(config, Objects(env, model, processor)), record)


def _test_py() -> Any:
    """Return the module test.py."""
    name = "kerasrl_test_py"
    if name not in sys.modules:
        spec: Any = spec_from_file_location(name, Path(__file__).with_name("test.py"))
        sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]
