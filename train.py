"""Train Keras-RL's DQN agent; by default on CartPole-v0 as in the tutorial.

python train.py
python train.py --env CartPole-v1 --seed 3
python train.py --preset acrobot
python train.py --resume
python train.py --help
"""

from kerasrl import signals

if __name__ == "__main__":
    signals.leave_quietly()  # the imports below take a moment

# isort: split

import sys
from collections.abc import Sequence

from command_line import command_line, parse_config
from config import Config
from result import Trained, finished
from run import Prepared, prepared, rehearse


def train(config: Config) -> Trained:
    """Train as `config` says; weights, log, curve and configuration are written to its folders.

    Raises:
        UserError: The configuration cannot be used.
    """
    with prepared(config) as run:
        return _train(run)


def _train(run: Prepared) -> Trained:
    """Follow the tutorial: environment, model, agent, callbacks, fit, weights."""
    from callbacks import build_callbacks, build_evaluation, build_tensorboard  # here, so that --help is quick
    from kerasrl.dqn import device
    from model import build_agent, build_network, observed, set_random_seed

    config, env, files = run.config, run.env, run.files
    state_size, num_actions, processor = observed(env, config)
    choice = device.configure(state_size, config.threads, config.device)
    if config.verbose:
        print(f"device {choice}")
    set_random_seed(config.seed)
    model = build_network(state_size, num_actions, config)
    dqn = build_agent(model, num_actions, config, processor)
    callbacks = build_callbacks(
        config.env, config.checkpoint_dir, config.log_dir, config.checkpoint_interval, config.log_interval
    )
    evaluation = build_evaluation(config, files, run.threshold) if config.eval_interval else None
    if evaluation is not None:
        callbacks.insert(0, evaluation)  # first, so that the others can log what it finds
    if config.tensorboard:
        callbacks.append(build_tensorboard(config, files))
    if not run.resume:
        rehearse(run)
    with signals.StopOnSignal(dqn) as stop:
        run.begin()
        history = dqn.fit(
            env,
            nb_steps=config.nb_steps,
            action_repetition=config.action_repetition,
            callbacks=callbacks,
            visualize=config.visualize,
            verbose=config.verbose,
            nb_max_start_steps=config.nb_max_start_steps,
            nb_max_episode_steps=config.nb_max_episode_steps or None,
            seed=config.seed,
            state=run.state,
            resume=run.resume,
        ).history
        dqn.save_weights(files.weights, overwrite=True)
    return finished(run, dqn, history, evaluation, stop.signal)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    return command_line(lambda: parse_config(argv), lambda config: train(config).status)


if __name__ == "__main__":
    sys.exit(main())
