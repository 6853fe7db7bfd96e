"""Lengths of time as people write them."""

import math
import re

from kerasrl.errors import UserError

WRITTEN = "a time such as 2h30m, 90m, 45s or 1d, or a number of seconds"
_NUMBER = r"\d+(?:\.\d+)?"
_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_TIME = re.compile("".join(f"(?:({_NUMBER}){unit})?" for unit in _UNITS))


def seconds(name: str, time: str | float) -> float:
    """Return how many seconds a time has: `2h30m`, `90m`, `45s`, `1d`, or their number.

    Raises:
        UserError: It is no time, or not above 0; the message begins with `name`.
    """
    text = str(time).replace(" ", "")
    if re.fullmatch(rf"{_NUMBER}(?:e\+?\d{{1,2}})?", text):
        found = float(text)
    else:
        parts = _TIME.fullmatch(text)
        values = (None,) * len(_UNITS) if parts is None else parts.groups()
        found = sum(float(value or 0) * unit for value, unit in zip(values, _UNITS.values(), strict=True))
    if not 0 < found < math.inf:
        raise UserError(f"{name} must be {WRITTEN}, not {time!r:.60}")
    return found
