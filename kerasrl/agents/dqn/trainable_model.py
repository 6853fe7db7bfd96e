"""What Keras-RL calls an agent's `trainable_model`, for code that was written against it."""

from typing import Any

import numpy as np

from kerasrl.agents.dqn.update import Update
from kerasrl.learning import Trainable


class TrainableModel:
    """Trains a Q-network on targets for its outputs.

    Attributes:
        optimizer: The Keras optimizer; `lr` is another name of its `learning_rate`. What is set takes effect.
        metrics_names: Names of what `train_on_batch` returns.
    """

    def __init__(self, network: Trainable, update: Update, names: list[str]) -> None:
        self.optimizer = _WithOldName(network.optimizer)
        self.metrics_names = [names[0], "loss_loss", "q_values_loss", *names[1:]]
        self._network, self._update = network, update

    def train_on_batch(self, inputs: list[Any], targets: Any = None) -> list[float]:
        """Train on one batch; return the loss, Keras-RL's two partial losses, and the metrics.

        Args:
            inputs: An array [B, W, *part] for each input of the model, then targets and masks [B, nb_actions]: the loss
                is the Huber loss between Q-values and targets, times the mask, summed over actions.
            targets: Ignored, as by Keras-RL's loss.
        """
        *states, wanted, masks = [np.asarray(array) for array in inputs]
        states = [array.astype(np.float32) if array.dtype == object else array for array in states]
        loss, *metrics = self._update.train_on_targets(states, wanted.astype(np.float32), masks.astype(np.float32))
        return [loss, loss, 0.0, *metrics]

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"trainable_model has no {name}, only optimizer and train_on_batch; use the agent's model")


class _WithOldName:
    """A Keras optimizer whose learning rate is also called `lr`, as it was until Keras 2.3."""

    def __init__(self, optimizer: Any) -> None:
        vars(self)["optimizer"] = optimizer

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["optimizer"], "learning_rate" if name == "lr" else name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(vars(self)["optimizer"], "learning_rate" if name == "lr" else name, value)
