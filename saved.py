"""What a weights file was trained with, made again from it: settings, environment, model, agent with the weights."""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from config import Config, TestConfig
from kerasrl.errors import UserError, WeightsError, to_type
from objects import Objects
from trust import require_trust

if TYPE_CHECKING:
    from kerasrl import DQNAgent


@dataclass(frozen=True)
class Saved:
    """An agent with saved weights, and what it acts in."""

    config: Config
    """The settings that it was trained with, or those that are given instead."""
    env: Any
    state_size: Any
    """What the network sees of an observation, as `model.build_model` takes it."""
    agent: "DQNAgent"


def load(config: TestConfig, objects: Objects, what: str, render_mode: str | None = None) -> Saved:
    """Read weights, and make the environment, the model and the agent that they are for.

    Args:
        config: The weights, and settings that are given instead of theirs.
        objects: What they were trained with, if that was given as objects; they become part of the result.
        what: Name of the function that is called for this, for messages.
        render_mode: The environment's.

    Raises:
        UserError: The weights or the environment cannot be used.
    """
    from kerasrl import environments  # here, so that --help does not wait for gym and TensorFlow
    from kerasrl.storage import weights

    saved = weights.read(config.weights)
    trained = _settings(config, saved.metadata)
    if saved.metadata is None:
        print(f"written by {saved.origin}, without settings: using the tutorial's model and {trained.env}")
    _require(objects, saved.metadata, config, what)
    env = objects.make_env(trained, render_mode)
    environments.check_spaces(env)

    from kerasrl.dqn import device
    from model import build_agent, build_network, nb_weights, observed

    state_size, num_actions, processor = observed(env, trained, objects.processor)
    device.configure(state_size)
    try:
        if not trained.network and objects.model is None:
            weights.require_size(saved, nb_weights(state_size, num_actions, trained))
        model = build_network(state_size, num_actions, trained, objects.model)
        dqn = build_agent(model, num_actions, trained, processor)
        weights.assign(dqn.model, saved)
    except WeightsError as error:
        raise WeightsError(f"{config.weights} does not fit {trained.env}: {error}") from None
    return Saved(trained, env, state_size, dqn)


def _settings(config: TestConfig, metadata: dict[str, Any] | None) -> Config:
    """Return the settings of the weights, or those that are given instead."""
    from kerasrl import environments

    trained = Config.from_metadata(metadata, config.weights)
    # Nothing is stored.
    trained = dataclasses.replace(trained, memory_limit=trained.window_length + trained.n_step + 2)
    given = {name: getattr(config, name) for name in ("env", "network", "processor") if getattr(config, name)}
    if not config.trust:
        require_trust(config.weights, {**dataclasses.asdict(trained), "callback": (), **given}, given)
    if config.env is not None:
        given["env"] = environments.full_name(config.env)
    return dataclasses.replace(trained, **given)


def _require(objects: Objects, metadata: dict[str, Any] | None, config: TestConfig, what: str) -> None:
    """Raise `UserError` if the weights were trained with objects that are not there."""
    is_there = {"callbacks"} if config.env is None else {"callbacks", "env"}
    missing = [name for name in objects.missing(metadata) if name not in is_there]
    if missing:
        given = ", ".join(f"{name}=..." for name in missing)
        by_name = f", or name an environment: {to_type('--env', 'env=...')}" if missing == ["env"] else ""
        raise UserError(
            f"{config.weights} was trained with {', '.join(missing)} given as objects, which no file holds; {what} it "
            f"from Python: {what}({config.weights!r}, {given}){by_name}"
        )
