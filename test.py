"""Play with saved weights.

python test.py --weights checkpoints/dqn_CartPole-v0_weights.h5f --visualize
python test.py --weights checkpoints/dqn_CartPole-v0_best.h5f --record film.gif
python test.py --help
"""

import sys

import kerasrl

if __name__ == "__main__":
    kerasrl.answer("test")  # handles --help and mistyped options at once, before the slow imports below

from train import build  # first: it keeps the imports below from printing notices

# isort: split

from keras.callbacks import History


def test(run: kerasrl.PlayRun) -> History:
    """Play; `run` holds the settings that the weights were trained with, and the environment to play in."""
    dqn = build(run)
    dqn.load_weights(run.weights)
    return dqn.test(run.env, nb_episodes=run.episodes, callbacks=run.callbacks, visualize=run.visualize, **run.options)


if __name__ == "__main__":
    sys.exit(kerasrl.command("test", build, test))
