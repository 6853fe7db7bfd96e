"""Train Keras-RL's DQN agent; by default on CartPole-v0 as in the tutorial.

python train.py
python train.py --env CartPole-v1 --seed 3
python train.py --resume
python train.py --help
"""

import dataclasses
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from command_line import command_line, command_to_type
from config import Config

if TYPE_CHECKING:
    from kerasrl.state import TrainingState


def train(config: Config) -> int:
    """Train as `config` says, save the weights, and return the exit status of the command line."""
    from kerasrl import environment, files, state  # here, so that --help does not wait for gym and TensorFlow

    env = environment.make(config.env, render_mode="human" if config.visualize else None)
    environment.check_spaces(env)
    folder = Path(config.checkpoint_dir)
    with files.exclusive(folder, config.log_dir):
        training_state = state.TrainingState(
            folder / f"dqn_{_file_name(config)}_state", config.state_interval, config.save_memory
        )
        saved = training_state.load() if config.resume else None
        if saved is not None:
            config = config.resumed(saved["metadata"])
        elif config.seed is None:
            config = dataclasses.replace(config, seed=secrets.randbelow(2**32))
        if config.verbose:
            _print_settings(config)
            if saved is not None:
                without = "" if saved["memory"] else ", without its replay memory: the result will be another"
                print(f"resume at step {saved['agent']['step']} of {config.nb_steps}{without}")
            elif training_state.path.exists():
                print(f"replaces the run in {folder}, with which --resume would have gone on")
        return _train(config, env, training_state, resume=saved is not None)


def _file_name(config: Config) -> str:
    return config.env.replace("/", "-").replace(":", "-")


def _print_settings(config: Config) -> None:
    print(f"seed {config.seed}")
    for name, value in config.changes().items():
        if name != "seed":
            print(f"{name} {value}")


def _train(config: Config, env: Any, training_state: "TrainingState", resume: bool) -> int:
    """Follow the tutorial: environment, model, agent, callbacks, fit, weights."""
    from callbacks import build_callbacks
    from kerasrl import device, environment, signals
    from model import build_agent, build_model, set_random_seed

    state_size, num_actions = environment.check_spaces(env)
    choice = device.configure(state_size, config.threads, config.device)
    if config.verbose:
        print(f"device {choice}")
    set_random_seed(config.seed)
    model = build_model(state_size, num_actions, config.hidden_layers, config.window_length)
    dqn = build_agent(model, num_actions, config)
    callbacks = build_callbacks(
        _file_name(config), config.checkpoint_dir, config.log_dir, config.checkpoint_interval, config.log_interval
    )
    weights = Path(config.checkpoint_dir) / f"dqn_{_file_name(config)}_weights.h5f"
    with signals.StopOnSignal(dqn) as stop:
        history = dqn.fit(
            env,
            nb_steps=config.nb_steps,
            callbacks=callbacks,
            visualize=config.visualize,
            verbose=config.verbose,
            seed=config.seed,
            state=training_state,
            resume=resume,
        )
        dqn.save_weights(weights, overwrite=True)
    env.close()

    if config.verbose:
        rewards = history.history.get("episode_reward", [])[-100:]
        if rewards:
            print(f"mean reward of the last {len(rewards)} episodes {sum(rewards) / len(rewards):.1f}")
        print(f"weights {weights}")
        print("play them, with --visualize in a window:")
        print(command_to_type("test.py", "--weights", str(weights)))
    if stop.signal is not None:
        print(
            f"stopped at step {dqn.step} of {config.nb_steps}; the same command with --resume goes on from step "
            f"{training_state.saved_step}",
            file=sys.stderr,
        )
        return 128 + stop.signal
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    return command_line(Config, train, argv)


if __name__ == "__main__":
    sys.exit(main())
