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

from command_line import command_line, command_to_type
from config import Config


def train(config: Config) -> int:
    """Train as `config` says, save the weights, and return the exit status of the command line."""
    from kerasrl import environment, files, signals, state  # here, so that --help does not wait for gym and TensorFlow

    env = environment.make(config.env, render_mode="human" if config.visualize else None)
    state_size, num_actions = environment.check_spaces(env)
    env_name = config.env.replace("/", "-")
    checkpoints, logs = Path(config.checkpoint_dir), Path(config.log_dir)
    locks = [files.take_folder(folder) for folder in {checkpoints.resolve(), logs.resolve()}]

    training_state = state.TrainingState(
        checkpoints / f"dqn_{env_name}_state", config.state_interval, config.save_memory
    )
    resume = config.resume
    if resume:
        saved = training_state.load()
        config = config.resumed(saved["metadata"])
    elif config.seed is None:
        config = dataclasses.replace(config, seed=secrets.randbelow(2**32))

    from callbacks import build_callbacks
    from kerasrl import device
    from model import build_agent, build_model, set_random_seed

    choice = device.configure(state_size, config.threads, config.device)
    if config.verbose:
        print(f"seed {config.seed}")
        for name, value in config.changes().items():
            if name != "seed":
                print(f"{name} {value}")
        print(f"device {choice}")
        if resume:
            without = "" if saved["memory"] else ", without its replay memory: the result will be another"
            print(f"resume at step {saved['agent']['step']}{without}")

    set_random_seed(config.seed)
    model = build_model(state_size, num_actions, config.hidden_layers, config.window_length)
    dqn = build_agent(model, num_actions, config)
    callbacks = build_callbacks(
        env_name, config.checkpoint_dir, config.log_dir, config.checkpoint_interval, config.log_interval
    )
    with signals.StopOnSignal(dqn) as stop:
        dqn.fit(
            env,
            nb_steps=config.nb_steps,
            callbacks=callbacks,
            visualize=config.visualize,
            verbose=config.verbose,
            seed=config.seed,
            state=training_state,
            resume=resume,
        )
    weights = checkpoints / f"dqn_{env_name}_weights.h5f"
    dqn.save_weights(weights, overwrite=True)
    env.close()
    for lock in locks:
        lock.release()

    if config.verbose:
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
