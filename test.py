"""Play with saved weights.

python test.py --weights checkpoints/dqn_CartPole-v0_weights.h5f --visualize
python test.py --help
"""

import dataclasses
import sys
from collections.abc import Sequence

from command_line import command_line
from config import Config, TestConfig
from kerasrl.errors import WeightsError


def test(config: TestConfig) -> int:
    """Play as `config` says, print what came of it, and return the exit status of the command line."""
    from kerasrl import environment, weights  # here, so that --help does not wait for gym and TensorFlow

    saved = weights.read(config.weights)
    trained = Config.from_metadata(saved.metadata)
    if config.env is not None:
        trained = dataclasses.replace(trained, env=config.env)
    if saved.metadata is None:
        print(f"written by {saved.origin}, without settings: taking the tutorial's model and {trained.env}")
    env = environment.make(trained.env, render_mode="human" if config.visualize else None)
    state_size, num_actions = environment.check_spaces(env)

    import numpy as np

    from kerasrl import device
    from model import build_agent, build_model

    device.configure(state_size)
    model = build_model(state_size, num_actions, trained.hidden_layers, trained.window_length)
    try:
        weights.assign(model, saved)
    except WeightsError as error:
        raise WeightsError(f"{config.weights} does not fit {trained.env}: {error}") from None
    dqn = build_agent(model, num_actions, trained)
    history = dqn.test(env, nb_episodes=config.episodes, visualize=config.visualize, seed=config.seed)
    env.close()

    rewards = history.history["episode_reward"]
    print(
        f"mean {np.mean(rewards):.1f}, standard deviation {np.std(rewards):.1f}, minimum {np.min(rewards):.1f}, "
        f"episodes {len(rewards)}"
    )
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    return command_line(TestConfig, test, argv)


if __name__ == "__main__":
    sys.exit(main())
