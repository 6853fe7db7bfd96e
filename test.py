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

from command_line import command_line, parse
from config import Config, TestConfig
from kerasrl.errors import WeightsError


def test(config: TestConfig) -> list[float]:
    """Play as `config` says, print the result, and return the episodes' rewards.

    Raises:
        UserError: The weights, the environment or the film cannot be used.
    """
    from kerasrl import environments  # here, so that --help does not wait for gym and TensorFlow
    from kerasrl.storage import video, weights

    saved = weights.read(config.weights)
    trained = Config.from_metadata(saved.metadata, config.weights)
    trained = dataclasses.replace(trained, memory_limit=trained.window_length + 2)  # a test stores nothing
    if config.env is not None:
        trained = dataclasses.replace(trained, env=config.env)
    if saved.metadata is None:
        print(f"written by {saved.origin}, without settings: using the tutorial's model and {trained.env}")
    if config.record:
        video.check_path(config.record)
    env = environments.make(trained.env, render_mode=_render_mode(config))
    environments.check_spaces(env)

    import numpy as np

    from kerasrl.dqn import device
    from model import build_agent, build_network, nb_weights, observed

    state_size, num_actions, processor = observed(env, trained)
    device.configure(state_size)
    try:
        if not trained.network:
            weights.require_size(saved, nb_weights(state_size, num_actions, trained))
        model = build_network(state_size, num_actions, trained)
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
    env.close()

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


def _render_mode(config: TestConfig) -> str | None:
    return "human" if config.visualize else "rgb_array" if config.record else None


def _play(config: TestConfig) -> int:
    test(config)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    return command_line(lambda: parse(TestConfig, argv), _play)


if __name__ == "__main__":
    sys.exit(main())
