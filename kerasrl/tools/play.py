"""Play with saved weights, from Python and for the command line; the steps are those of the recipe's test.py."""

import base64
import contextlib
import html
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasrl.compat.keras_settings import as_tested
from kerasrl.config.commands import PlayConfig
from kerasrl.environments import video
from kerasrl.environments.rewards import own_rewards, processed_rewards
from kerasrl.errors import UserError
from kerasrl.training.own_parts import OwnParts, by_name
from kerasrl.training.saved import Saved, find

if TYPE_CHECKING:
    from kerasrl.training.recipe import Recipe


class Played(list[float]):
    """The environment's own reward of each episode.

    A notebook shows them with `film`, the .gif or .mp4 that was written, if any.
    """

    def __init__(self, rewards: Iterable[float], film: str | Path = "") -> None:
        super().__init__(rewards)
        self.film = film

    def _repr_html_(self) -> str | None:
        path = Path(self.film)
        if not path.is_file():  # nothing was filmed, or the film is gone
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
    env_arg: Mapping[str, Any] = {},
    network: str = "",
    model: Any = None,
    processor: Any = None,
    recipe: str | Path = "",
    seed: int | None = None,
    trust: bool = False,
) -> Played:
    """Play with saved weights, print the result, and return the episodes' rewards; a notebook shows their film.

    They are the environment's own, whatever a processor makes of them to learn from.

    Args:
        weights: File that `train` or Keras-RL wrote.
        episodes: Number of episodes.
        record: Film to write, .gif or .mp4.
        visualize: Show the environment in a window, at natural speed.
        env: Environment to play in: a name, an object (which is copied), or a function that makes one. By default the
            one trained in.
        env_arg: Arguments for what makes it, in place of those it was trained with.
        network: `module:function` that builds the network, if the settings named one.
        model: Keras model like the one trained, or a function that builds it; needed if `train` was given one. It is
            left unchanged.
        processor: rl.core.Processor like the one trained with; needed if `train` was given one. Or `module:Class`, if
            the settings named one.
        recipe: Your own train.py, if the weights were trained with it.
        seed: Seed of the episodes; without it, they are random.
        trust: Import the modules that the file names.

    Raises:
        UserError: The weights, the environment or the film cannot be used.
    """
    named, parts = by_name(env, env_arg, network, model, processor, recipe)
    config = PlayConfig(str(weights), episodes, visualize, str(record), **named, seed=seed, trust=trust)
    return run(config, parts)


def run(config: PlayConfig, parts: OwnParts = OwnParts()) -> Played:
    """Play as `config` says, with `parts`; raises as `play`."""
    with prepared(config, parts) as saved:
        return played(config, saved)


@contextlib.contextmanager
def prepared(config: PlayConfig, parts: OwnParts) -> Iterator[Saved]:
    """Yield the weights and what they are for; afterwards, given objects are as before. Raises as `play`."""
    if config.record:
        video.check_path(config.record)
    render_mode = "human" if config.visualize else "rgb_array" if config.record else None
    with parts.unchanged() as given:
        saved = find(config, given, "play", render_mode)
        with parts.closing(saved.env):
            yield saved


@as_tested()
def played(config: PlayConfig, saved: Saved, recipe: "Recipe | None" = None) -> Played:
    """Let a recipe play, print the result, and return the episodes' rewards.

    Without `recipe`, the one that the settings name is used, or else the project's.

    Raises:
        UserError: The weights do not fit, or the recipe cannot be used.
    """
    from kerasrl.training.recipe import load  # TensorFlow is imported from here on

    if recipe is None or recipe.file != saved.config.recipe:
        recipe = load(saved.config.recipe, test=True)
    run = saved.run()
    if config.record:
        from kerasrl.callbacks import Film

        run.callbacks.append(Film(config.record, run.env, config.episodes))
    assert recipe.test is not None
    with saved.fitting():
        history = recipe.test(run)
    if not hasattr(history, "history"):
        raise UserError("the recipe's test(run) must return what `agent.test(...)` returns")
    rewards = own_rewards(history.history)
    _tell(rewards, processed_rewards(history.history), config)
    return Played(rewards, config.record)


def _tell(rewards: list[float], processed: list[float], config: PlayConfig) -> None:
    if rewards:
        digits = 1 if max(map(abs, rewards)) >= 10 else 2
        after = f"; after the processor: mean {np.mean(processed):.4g}" if processed else ""
        print(
            f"mean {np.mean(rewards):.{digits}f}, standard deviation {np.std(rewards):.{digits}f}, "
            f"minimum {min(rewards):.{digits}f}, episodes {len(rewards)}{after}"
        )
    else:
        print("no episode was finished")
    if config.record:
        print(f"film {config.record}")
