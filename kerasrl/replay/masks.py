"""What a memory keeps of action masks, once there are any."""

from typing import Any

import numpy as np

from kerasrl.errors import UserError
from kerasrl.replay.columns import zeros


class MaskedSteps:
    """Which actions are legal in the observations of a memory's steps.

    Attributes:
        action_mask: Which are legal in that of the next step to be stored [nb_actions] bool; None: all.
    """

    action_mask: np.ndarray | None = None
    _masks: np.ndarray | None = None  # [limit, nb_actions] bool, once they are kept
    limit: int
    nb_entries: Any

    @property
    def nb_masked(self) -> int:
        """Number of actions in the masks that it keeps, 0 if it keeps none."""
        return 0 if self._masks is None else self._masks.shape[1]

    def keep_masks(self, nb_actions: int) -> None:
        """Keep masks from now on; in steps that are stored already, all actions count as legal.

        Raises:
            UserError: It keeps masks of another number of actions.
        """
        if self.nb_masked not in (0, nb_actions):
            raise UserError(f"the replay memory has masks of {self.nb_masked} actions, not of {nb_actions}")
        if self._masks is None:
            self._masks = zeros((self.limit, nb_actions), np.dtype(np.bool_))
            self._masks[: self.nb_entries] = True

    def _masks_of(self, rows: np.ndarray) -> np.ndarray | None:
        return None if self._masks is None else self._masks.take(rows, 0, mode="wrap")
