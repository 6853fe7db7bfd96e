"""From a weights file back to what it was trained with: settings, environment, recipe."""

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasrl import environments
from kerasrl.config import AnyConfig
from kerasrl.config.agents import AGENTS, DQN
from kerasrl.config.commands import PlayConfig
from kerasrl.config.resuming import from_metadata
from kerasrl.config.trust import NOT_PLAYED, require_trust
from kerasrl.errors import UserError, WeightsError
from kerasrl.phrases import to_type
from kerasrl.storage import several_files, weights
from kerasrl.training.files import weights_files
from kerasrl.training.own_parts import OwnParts
from kerasrl.training.recipe import require_recipe
from kerasrl.training.start import check_spaces

if TYPE_CHECKING:
    from kerasrl.training.run import PlayRun


@dataclass(frozen=True)
class Saved:
    """Saved weights and what they are for, found without TensorFlow, so that mistakes are reported at once."""

    config: AnyConfig
    """The settings that they were trained with, or those given instead."""
    env: Any
    parts: OwnParts
    play: PlayConfig
    content: weights.Weights

    def run(self) -> "PlayRun":
        """Return what a recipe needs to play with the weights.

        Raises:
            UserError: The processor or the activation cannot be used.
            WeightsError: The network would be larger than the weights.
        """
        from kerasrl.learning import device  # TensorFlow is imported from here on
        from kerasrl.training.run import PlayRun

        others = {"episodes": self.play.episodes, "seed": self.play.seed, "visualize": self.play.visualize}
        run: PlayRun = PlayRun.of(self.config, self.env, self.parts, weights=Path(self.play.weights), **others)
        device.configure(run.state_size, nb_weights=run.nb_weights)
        if run.nb_weights is not None:
            with self.fitting():
                weights.require_size(self.content, run.nb_weights)
        return run

    @contextlib.contextmanager
    def fitting(self) -> Iterator[None]:
        """While the block runs, add the environment's name to errors about weights that do not fit."""
        try:
            yield
        except WeightsError as error:
            raise WeightsError(f"{self.play.weights} does not fit {self.config.env}: {error}") from None


def find(config: PlayConfig, parts: OwnParts, what: str, render_mode: str | None = None) -> Saved:
    """Read weights, and make their environment; raises `UserError` if either cannot be used.

    Args:
        config: The weights, and settings to use instead of theirs.
        parts: Objects like those they were trained with.
        what: Name of the calling function, for messages.
        render_mode: Of the environment.
    """
    files, agent = weights_files(config.weights)
    saved = several_files.read_all(files)
    trained = _settings(config, saved.metadata, agent, parts)
    own = several_files.find(config.weights, AGENTS[trained.agent].suffixes)
    if len(files) < len(own) and str(Path(config.weights)) in own:
        several_files.read_all(own)  # which says what is missing
    if saved.metadata is None:
        model = "the tutorial's model" if agent == DQN else f"the default networks of {agent}"
        print(f"written by {saved.origin}, without settings: using {model} and {trained.env}")
    require_recipe(trained.recipe)
    _require(parts, saved.metadata, config, what)
    env = parts.make_env(trained, render_mode)
    check_spaces(trained, env, config.weights)
    return Saved(trained, env, parts, config, saved)


def _settings(config: PlayConfig, metadata: dict[str, Any] | None, agent: str, parts: OwnParts) -> AnyConfig:
    trained: Any = from_metadata(metadata, config.weights, agent)
    if "n_step" in vars(trained):  # it has a replay memory, in which nothing will be stored
        trained = dataclasses.replace(trained, memory_limit=trained.window_length + trained.n_step + 2)
    names = ("env", "env_arg", "network", "processor", "recipe")
    given = {name: getattr(config, name) for name in names if getattr(config, name)}
    env = trained.env if config.env is None else environments.full_name(config.env)
    if env != trained.env or parts.env is not None:  # the file's arguments are those of its own environment
        given.setdefault("env_arg", {})
    given |= NOT_PLAYED
    if not config.trust:
        of_file = {**dataclasses.asdict(trained), **({} if parts.env is None else {"env": ""})}  # which is not used
        require_trust(config.weights, {**of_file, **given}, given)
    changed: AnyConfig = dataclasses.replace(trained, **{**given, "env": env})
    return changed


def _require(parts: OwnParts, metadata: dict[str, Any] | None, config: PlayConfig, what: str) -> None:
    is_there = {"callbacks"} if config.env is None else {"callbacks", "env"}
    missing = [name for name in parts.missing(metadata) if name not in is_there]
    if missing:
        given = ", ".join(f"{name}=..." for name in missing)
        by_name = f", or name an environment: {to_type('--env', 'env=...')}" if missing == ["env"] else ""
        raise UserError(
            f"{config.weights} was trained with {', '.join(missing)} given as objects, which no file holds; {what} it "
            f"from Python: {what}({config.weights!r}, {given}){by_name}"
        )
