"""Seeds: one call seeds Python, NumPy and TensorFlow, and `fit` is given the last seed, as in the translation."""

from typing import Any

import libcst as cst

from kerasrl.legacy.migration.rewriting import Room
from kerasrl.legacy.migration.script import argument, keras_name

# What the translation takes for the script's seed: `others` and `tensorflow` there.
SEEDS = {
    "numpy.random.seed",
    *(
        f"tensorflow.{home}{name}"
        for home in ("", "compat.v1.", "random.", "compat.v1.random.")
        for name in ("set_random_seed",)
    ),
    "tensorflow.random.set_seed",
    "tensorflow.compat.v2.random.set_seed",
}
_OF_KERAS = "keras.utils.set_random_seed"


class Seeds(Room):
    """np.random.seed(n), tf.set_random_seed(n) -> keras.utils.set_random_seed(n); env.seed(n); fit(seed=n)."""

    def on_call(self, original: cst.Call, updated: Any) -> Any:
        """Rewrite what seeds."""
        seed = seed_of(self, original)
        if seed is not None:
            if is_environment(self, original):
                environments = self.script.today("kerasrl", "environments")
                func = cst.parse_expression(f"{environments}.seed")
                return updated.with_changes(func=func, args=[cst.Arg(updated.func.value), *updated.args])
            if self.script.keras_name(original.func) == _OF_KERAS:
                return updated
            func = cst.parse_expression(f"{self.script.keras(original)}.utils.set_random_seed")
            return updated.with_changes(func=func)
        return updated


def is_environment(room: Room, call: cst.Call) -> bool:
    """Return whether a call is `env.seed(...)`."""
    func = call.func
    if not isinstance(func, cst.Attribute) or func.attr.value != "seed":
        return False
    kind = room.kinds.of(room.module, func.value)
    return kind is not None and kind.what == "environment" and not kind.seeds_itself


def seed_of(room: Room, call: cst.Call) -> cst.BaseExpression | None:
    """Return the seed that a call gives to something that the translation takes seeds from."""
    name = room.script.name(call.func) or ""
    arg = argument(call, "seed", 0)
    if arg is None or not (name in SEEDS or keras_name(name) == _OF_KERAS or is_environment(room, call)):
        return None
    return None if room.script.code(arg.value) == "None" and name else arg.value


def last(room: Room, fit: cst.Call) -> str | None:
    """Return the seed that the translation would have by a call of `fit`: the last that the script gave to anything.

    None where it gave none, or where its source does not tell which.
    """
    own = [(call, seed) for call in room.script.all(cst.Call) if (seed := seed_of(room, call)) is not None]
    elsewhere = [
        seed
        for module, script in room.kinds.scripts.items()
        if script is not room.script
        for call in script.all(cst.Call)
        if (seed := seed_of(type(room)(script, module, room.kinds, room.options), call)) is not None
    ]
    everything = {room.script.code(seed) for _, seed in own} | {room.script.code(seed) for seed in elsewhere}
    if not everything:
        return None
    if len(everything) == 1 and (text := everything.pop()) and _is_literal(text):
        return None if text == "None" else text
    function = room.script.enclosing(fit, cst.FunctionDef)
    line = room.script.line(fit)
    before = [(call, seed) for call, seed in own if room.script.line(call) <= line]
    here = [pair for pair in before if room.script.enclosing(pair[0], cst.FunctionDef) is function]
    top = [pair for pair in own if room.script.enclosing(pair[0], cst.FunctionDef) is None]
    chosen = here or (before if function is None else []) or top
    if elsewhere or not chosen or (not here and function is not None and len(top) > 1):
        room.script.note(fit, "fit(seed=...): give it the seed that was set last")
        return None
    text = room.script.code(chosen[-1][1])
    is_visible = _is_literal(text) or here or room.script.enclosing(chosen[-1][0], cst.FunctionDef) is None
    if text == "None" or not is_visible:
        return None
    return text


def _is_literal(text: str) -> bool:
    return text.isdigit() or text == "None"
