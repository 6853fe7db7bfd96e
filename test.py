"""Play with saved weights.

python test.py --weights checkpoints/dqn_CartPole-v0_weights.h5f --visualize
python test.py --weights checkpoints/dqn_CartPole-v0_best.h5f --record film.gif
python test.py --help
"""

from kerasrl import signals

if __name__ == "__main__":
    signals.leave_quietly()  # the imports below take a moment

# isort: split

import sys
from collections.abc import Sequence

from command_line import command_line, parse
from config import TestConfig
from objects import Objects
from saved import load


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
    from kerasrl.storage import video

    if config.record:
        video.check_path(config.record)
    saved = load(config, objects, "play", "human" if config.visualize else "rgb_array" if config.record else None)
    trained, env, dqn = saved.config, saved.env, saved.agent

    import numpy as np

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


def _play(config: TestConfig) -> int:
    test(config)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    return command_line(lambda words: parse(TestConfig, words), _play, argv)


if __name__ == "__main__":
    sys.exit(main())
