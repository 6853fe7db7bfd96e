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
from typing import Any

from command_line import command_line, parse_config
from config import Config
from objects import Objects
from result import Trained, finished
from run import Prepared, prepared, rehearse


def train(
    config: Config,
    *,
    env: Any = None,
    model: Any = None,
    processor: Any = None,
    callbacks: Sequence[Any] | None = None,
    observers: Sequence[Any] = (),
) -> Trained:
    """Train as `config` says; weights, log, curve and configuration are written to its folders.

    Objects take the place of what `config` names; they are trained with themselves, but evaluations have copies.

    Args:
        config: Settings.
        env: Environment, or a function that makes one, from `render_mode` if it takes it.
        model: Keras model from states [B, window_length, *observation] to Q-values [B, num_actions], or a function of
            state_size, num_actions and, optionally, config that builds one.
        processor: rl.core.Processor between environment and agent.
        callbacks: Callbacks beside those of the settings.
        observers: Callbacks that only look on, or end the training: no file names them, and a resume does without them.

    Raises:
        UserError: The configuration or an object cannot be used.
    """
    with prepared(config, Objects(env, model, processor, callbacks, observers)) as run:
        return _train(run)


def _train(run: Prepared) -> Trained:
    """Follow the tutorial: environment, model, agent, callbacks, fit, weights."""
    from callbacks import build_callbacks, build_evaluation, build_tensorboard, own_callbacks  # late: --help is quick
    from kerasrl.dqn import device
    from model import build_agent, build_network, observed, set_random_seed, warn_of

    config, env, files = run.config, run.env, run.files
    state_size, num_actions, processor = observed(env, config, run.objects.processor)
    choice = device.configure(state_size, config.threads, config.device)
    if config.verbose:
        print(f"device {choice}")
    warn_of(config, state_size, run.objects.model)
    set_random_seed(config.seed)
    model = build_network(state_size, num_actions, config, run.objects.model)
    dqn = build_agent(model, num_actions, config, processor)
    dqn.metadata |= run.objects.metadata()
    callbacks = build_callbacks(
        config.env, config.checkpoint_dir, config.log_dir, config.checkpoint_interval, config.log_interval
    )
    evaluation = build_evaluation(config, files, run.threshold, run.objects) if config.eval_interval else None
    if evaluation is not None:
        callbacks.insert(0, evaluation)  # first, so that the others can log what it finds
    if config.tensorboard:
        callbacks.append(build_tensorboard(config, files))
    callbacks += [*own_callbacks(config, run.objects.callbacks), *run.objects.observers]
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
    return command_line(parse_config, lambda config: train(config).status, argv)


if __name__ == "__main__":
    sys.exit(main())
