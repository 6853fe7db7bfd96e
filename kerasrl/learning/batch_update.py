"""An update on batches of transitions, in one compiled TensorFlow call for each training step.

The call also returns what the next action is chosen by, so that learning and acting together cost one call.
"""

import functools
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from kerasrl.learning.batches import Batch, unpacked
from kerasrl.learning.trainable import Trainable
from kerasrl.learning.updates import Metrics, note_if_slow, several_updates
from kerasrl.replay.packed import PackedLayout


class Transitions(NamedTuple):
    """A batch of B transitions, while their update is being compiled."""

    states0: list[tf.Tensor]
    """States [B, W, *part], a tensor for each input."""
    states1: list[tf.Tensor]
    """Those after them, `n_step` later."""
    actions: tf.Tensor
    rewards: tf.Tensor
    """The sums of the rewards between them, discounted [B]."""
    discounts: tf.Tensor
    """What the value of a state in `states1` is multiplied by [B], 0 after an end."""
    weights: Sequence[tf.Tensor]
    """Factors of their losses [B], if they have any."""
    others: Sequence[tf.Tensor]
    """What else an agent's memory keeps of each."""


class BatchUpdate:
    """Trains networks on batches of transitions; how, a subclass says in `_update_once`.

    Args:
        networks: The networks that are trained; an action is chosen by the output of the first one.
        metrics: Metrics of the targets and outputs of whatever is learned.
        delta_clip: Size of the temporal-difference error above which the Huber loss is linear.
        tau: Mixing rate of the soft target update after each update, None for hard updates on demand.
        gradient_steps: Updates in each call.
        weighted: Whether transitions have weights, which multiply their losses (not the metrics); then the
            transitions' errors are returned, too.
    """

    def __init__(
        self,
        networks: Sequence[Trainable],
        metrics: Metrics,
        *,
        delta_clip: float,
        tau: float | None,
        gradient_steps: int = 1,
        weighted: bool = False,
    ) -> None:
        self._networks, self._metrics = networks, metrics
        self._delta_clip, self._tau = delta_clip, tau
        self._gradient_steps, self._weighted = gradient_steps, weighted
        self._has_convolutions = any(network.has_convolutions for network in networks)
        if networks[0].calls.jit_compile:
            note_if_slow(gradient_steps, self._has_convolutions, stacklevel=4)

    def __call__(
        self, batch: Batch, following: list[np.ndarray], phase: Hashable = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Train on `gradient_steps` batches.

        Args:
            batch: Their n = gradient_steps * batch_size transitions, with weights if `weighted`.
            following: The state to act on next, an array [1, W, *part] for each input.
            phase: What `_update_once` is told; each phase is compiled for itself.

        Returns:
            The mean metrics, the output for `following` and, if `weighted`, the transitions' temporal-difference errors
            [n], each from before the update it was used in.
        """
        for network in self._networks:
            network.take_over()
        update = functools.partial(self._update, batch.kind, phase)
        result = self._networks[0].calls(
            ("update", batch.kind, phase), update, [*following, *batch.states, *batch.rest]
        )
        for network in self._networks:
            network.have_changed()
        nb_metrics = 1 + len(self._metrics)
        nb_known = nb_metrics + (len(batch.states[0]) if self._weighted else 0)
        return result[:nb_metrics], result[nb_known:], result[nb_metrics:nb_known]

    def _update(self, kind: str | PackedLayout, phase: Hashable, *tensors: tf.Tensor) -> tf.Tensor:
        acting = self._networks[0]
        nb_inputs = acting.nb_inputs
        following, transitions = tensors[:nb_inputs], tensors[nb_inputs:]
        states0, states1, (actions, *rest) = unpacked(kind, transitions, nb_inputs, following[0].shape[1])

        def update(*batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            states0, states1, others = batch[:nb_inputs], batch[nb_inputs : 2 * nb_inputs], batch[2 * nb_inputs :]
            (actions, rewards, discounts), others = others[:3], others[3:]
            weights, others = others[: int(self._weighted)], others[int(self._weighted) :]
            transitions = Transitions([*states0], [*states1], actions, rewards, discounts, weights, others)
            metrics, errors = self._update_once(phase, transitions)
            return tf.stack(metrics), errors if self._weighted else errors[:0]

        known = several_updates(
            update,
            [*states0, *states1, self._as_actions(actions), *rest],
            self._gradient_steps,
            nb_metrics=1 + len(self._metrics),
            nb_errors=actions.shape[0] // self._gradient_steps if self._weighted else 0,
            has_convolutions=self._has_convolutions,
        )
        output = acting.forward(list(following))[0]
        return tf.concat([*known, tf.cast(tf.reshape(output, [-1]), tf.float32)], 0)

    def _as_actions(self, actions: tf.Tensor) -> tf.Tensor:
        """Return actions [n, *action] as `_update_once` takes them."""
        return actions

    def _update_once(self, phase: Hashable, batch: Transitions) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Train on one batch of B transitions and move the targets; return loss and metrics, and the errors [B]."""
        raise NotImplementedError
