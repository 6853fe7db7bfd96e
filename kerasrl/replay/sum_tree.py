"""Numbers whose places are drawn in proportion to them."""

from typing import Any

import numpy as np

from kerasrl.replay.columns import resized, zeros

_SHIFT = 5
_WIDTH = 1 << _SHIFT  # numbers in a block
_MOST_AT_THE_TOP = 2_048  # sums that are searched without another level above them
_BELOW_ONE = 1 - 2**-50


class SumTree:
    """`size` numbers of at least 0, and draws of their places in proportion to them.

    The tree has few levels of wide nodes instead of two branches at each: a draw follows the paths of a whole batch at
    once, with a handful of NumPy calls for each level, whose cost hardly depends on the width. Sums are always added up
    from scratch, so they depend on the present numbers alone.
    """

    BYTES = 8 * (1 + 3 / _WIDTH)  # that each number takes, with its part of the sums and of what is outdated

    def __init__(self, size: int) -> None:
        nb_blocks = -(-size // _WIDTH)
        self._levels = [zeros((nb_blocks, _WIDTH), np.dtype(np.float64))]  # each has the sums of the blocks below
        while nb_blocks > _MOST_AT_THE_TOP:
            nb_blocks = -(-nb_blocks // _WIDTH)
            self._levels.append(np.zeros((nb_blocks, _WIDTH)))
        self._top = np.zeros(nb_blocks)
        self._starts = np.zeros(nb_blocks + 1)  # for each sum at the top, that of all before it; then the total
        self._flat = [level.reshape(-1) for level in self._levels]
        self.numbers = self._flat[0][:size]  # to read; `put` changes them
        self._stale = np.zeros(len(self._levels[0]), np.int64)  # first, `_nb_stale` places with outdated sums
        self._nb_stale = 0

    def __getstate__(self) -> dict[str, Any]:
        return {"size": len(self.numbers), "numbers": np.trim_zeros(self.numbers, "b")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["size"])  # type: ignore[misc]  # the rest follows from the numbers
        self.put_all(resized(state["numbers"], state["size"]))

    def put(self, places: np.ndarray, numbers: np.ndarray) -> None:
        """Put numbers in their places; if there are several for one place, the last."""
        self.numbers[places] = numbers
        before = self._nb_stale
        self._nb_stale += len(places)
        if self._nb_stale <= len(self._stale):
            self._stale[before : self._nb_stale] = places

    def put_one(self, place: int, number: float) -> None:
        """Put one number in its place, faster than `put`."""
        self.numbers[place] = number
        if self._nb_stale < len(self._stale):
            self._stale[self._nb_stale] = place
        self._nb_stale += 1

    def put_all(self, numbers: np.ndarray) -> None:
        """Put a number in each place."""
        self.numbers[:] = numbers
        self._nb_stale = len(self._stale) + 1

    def draw(self, rng: np.random.Generator, batch_size: int, nb_batches: int = 1) -> np.ndarray | None:
        """Return places [nb_batches * batch_size], drawn in proportion to their numbers; None if all numbers are 0.

        The sum of all numbers is divided into `batch_size` equal ranges; each batch has one draw from each range.
        """
        self._add_up()
        total = float(self._starts[-1])
        if not total > 0:
            return None
        points = rng.random(batch_size) if nb_batches == 1 else rng.random((nb_batches, batch_size))
        points += np.arange(batch_size)
        points *= total / batch_size * _BELOW_ONE
        points = points.reshape(-1)
        places = self._starts[1:].searchsorted(points, "right")
        points -= self._starts.take(places)
        for level in reversed(self._levels):
            # The blocks that were found, end to end; each point is counted from the start of its own block.
            blocks = level.take(places, axis=0).reshape(-1)
            ends = blocks.cumsum()
            points[1:] += ends[_WIDTH - 1 : -1 : _WIDTH]
            if points[-1] >= ends[-1]:  # by rounding
                points[-1] = np.nextafter(ends[-1], 0)
            # The first end beyond a point belongs to a number above 0.
            found = ends.searchsorted(points, "right")
            if level is not self._levels[0]:
                points -= ends.take(found) - blocks.take(found)
                np.maximum(points, 0.0, out=points)  # rounding, too
            places = (places.take(found >> _SHIFT) << _SHIFT) + (found & (_WIDTH - 1))
        return places

    def _add_up(self) -> None:
        if not self._nb_stale:
            return
        places = self._stale[: self._nb_stale]
        if self._nb_stale > len(self._stale):  # so many that all blocks may as well be added up again
            places = np.arange(0, len(self.numbers), _WIDTH)
        for level, sums in zip(self._levels, [*self._flat[1:], self._top], strict=True):
            places = places >> _SHIFT
            sums[places] = np.add.reduce(level.take(places, axis=0), axis=1)
        np.cumsum(self._top, out=self._starts[1:])
        self._nb_stale = 0
