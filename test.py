"""Play with saved weights.

python test.py --weights checkpoints/dqn_CartPole-v0_weights.h5f --visualize
python test.py --weights checkpoints/dqn_CartPole-v0_best.h5f --record film.gif
python test.py --help
"""

from kerasrl import signals

if __name__ == "__main__":
    signals.leave_quietly()  # the imports below take a moment

# isort: split

import dataclasses
import sys
from collections.abc import Sequence
from typing import Any

from command_line import command_line, parse
from config import Config, TestConfig
from kerasrl.errors import UserError, WeightsError, to_type
from objects import Objects
from trust import require_trust


def test(config: TestConfig, objects: Objects = Objects()) -> list[float]:
    """Play as `config` says, print the result, and return the episodes' rewards.

    Args:
        config: What to play.
        objects: What the weights were trained with, if that was given as objects.

    Raises:
        UserError: The weights, the environment or the film cannot be used.
    """
    with objects.unchanged() as given:
        return _test(config, given)


def _test(config: TestConfig, objects: Objects) -> list[float]:
    """Follow the tutorial: weights, environment, model, agent, test."""
    from kerasrl import environments  # here, so that --help does not wait for gym and TensorFlow
    from kerasrl.storage import video, weights

    saved = weights.read(config.weights)
    trained = _settings(config, saved.metadata)
    if saved.metadata is None:
        print(f"written by {saved.origin}, without settings: using the tutorial's model and {trained.env}")
    if config.record:
        video.check_path(config.record)
    _require(objects, saved.metadata, config)
    env = objects.make_env(trained, _render_mode(config))
    environments.check_spaces(env)

    import numpy as np

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
    callbacks = []
    if config.record:
        from kerasrl.callbacks import Film

        callbacks.append(Film(config.record, env, config.episodes))
    history = dqn.test(
        env,
        nb_episodes=config.episodes,
        action_repetition=trained.action_repetition,
        callbacks=callbacks,
        visualize=config.visualize,
        nb_max_episode_steps=trained.nb_max_episode_steps or None,
        seed=config.seed,
    )
    environments.close(env)

    rewards: list[float] = history.history.get("episode_reward", [])
    if rewards:
        digits = 1 if max(map(abs, rewards)) >= 10 else 2
        print(
            f"mean {np.mean(rewards):.{digits}f}, standard deviation {np.std(rewards):.{digits}f}, "
            f"minimum {min(rewards):.{digits}f}, episodes {len(rewards)}"
        )
    else:
        print("no episode was finished")
    if config.record:
        print(f"film {config.record}")
    return rewards


def _settings(config: TestConfig, metadata: dict[str, Any] | None) -> Config:
    """Return the settings of the weights, or those that are given instead."""
    from kerasrl import environments

    trained = Config.from_metadata(metadata, config.weights)
    trained = dataclasses.replace(trained, memory_limit=trained.window_length + 3)  # a test stores nothing
    given = {name: getattr(config, name) for name in ("env", "network", "processor") if getattr(config, name)}
    if not config.trust:
        require_trust(config.weights, {**dataclasses.asdict(trained), "callback": (), **given}, given)
    if config.env is not None:
        given["env"] = environments.full_name(config.env)
    return dataclasses.replace(trained, **given)


def _render_mode(config: TestConfig) -> str | None:
    return "human" if config.visualize else "rgb_array" if config.record else None


def _require(objects: Objects, metadata: dict[str, Any] | None, config: TestConfig) -> None:
    """Raise `UserError` if the weights were trained with objects that are not there."""
    is_there = {"callbacks"} if config.env is None else {"callbacks", "env"}
    missing = [name for name in objects.missing(metadata) if name not in is_there]
    if missing:
        given = ", ".join(f"{name}=..." for name in missing)
        by_name = f", or name an environment: {to_type('--env', 'env=...')}" if missing == ["env"] else ""
        raise UserError(
            f"{config.weights} was trained with {', '.join(missing)} given as objects, which no file holds; play it "
            f"from Python: play({config.weights!r}, {given}){by_name}"
        )


def _play(config: TestConfig) -> int:
    test(config)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    return command_line(lambda words: parse(TestConfig, words), _play, argv)


if __name__ == "__main__":
    sys.exit(main())
