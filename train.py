"""Train Keras-RL's DQN agent; by default on CartPole-v0 as in the tutorial.

python train.py
python train.py --env CartPole-v1 --seed 3
python train.py --preset acrobot
python train.py --resume
python train.py --help
"""

import sys

import kerasrl

if __name__ == "__main__":
    kerasrl.answer("train")  # handles --help and mistyped options at once, before the slow imports below

from callbacks import build_callbacks
from model import build_agent, build_model


def build(run: kerasrl.Run) -> kerasrl.Agent:
    """Return the agent that train.py trains, test.py plays and `python -m kerasrl export` writes to a file."""
    config = run.config
    if config.agent != "dqn":
        return run.build_other()  # DDPG, NAF, SARSA, CEM: kerasrl/agents/NAME/recipe.py
    model = run.own_network()  # your own, if you brought one
    if model is None:
        model = build_model(
            run.state_size,
            run.num_actions,
            config.hidden_layers,
            config.window_length,
            config.activation,
            config.layer_normalization,
        )
    return build_agent(model, run.num_actions, config, run.processor)


def train(run: kerasrl.TrainingRun) -> None:
    """Train the agent; `run` holds the settings, the environment from `gym.make`, and the names of all files."""
    config, env = run.config, run.env
    dqn = build(run)
    callbacks = build_callbacks(
        config.env,
        config.checkpoint_dir,
        config.log_dir,
        config.checkpoint_interval,
        config.log_interval,
        config.agent,
    )
    callbacks = run.callbacks(callbacks)  # adds your own, and the evaluations that keep the best weights
    with run.training(dqn):  # a short trial first; Ctrl-C ends `fit` cleanly, --resume continues it
        dqn.fit(
            env,
            nb_steps=config.nb_steps,
            callbacks=callbacks,
            visualize=config.visualize,
            verbose=config.verbose,
            **run.options,  # seed, time limit, where a resumed run continues
        )
        dqn.save_weights(run.files.weights, overwrite=True)


if __name__ == "__main__":
    sys.exit(kerasrl.command("train", build, train))
