"""Seeds: one call seeds Python, NumPy and TensorFlow, and `fit` gets the last seed, as when the script is run."""

from typing import Any

import libcst as cst

from kerasrl.legacy.migrating.rewriting import Rule
from kerasrl.legacy.migrating.script import argument, keras_name, method

# What counts as the script's seed when it is run: see `others` and `tensorflow.names`.
SEEDS = {
    "numpy.random.seed", "tensorflow.random.set_seed", "tensorflow.compat.v2.random.set_seed",
    *(f"tensorflow.{home}set_random_seed" for home in ("", "compat.v1.", "random.", "compat.v1.random.")),
}  # fmt: skip
_OF_KERAS = "keras.utils.set_random_seed"


class Seeds(Rule):
    """np.random.seed(n), tf.set_random_seed(n) -> keras.utils.set_random_seed(n); env.seed(n); fit(seed=n)."""

    def on_call(self, original: cst.Call, updated: Any) -> Any:
        """Rewrite such a call."""
        seed = _seed_of(self, original)
        if seed is None or self.script.keras_name(original.func) == _OF_KERAS:
            return updated
        if _is_environments(self, original):
            func = cst.parse_expression(f"{self.script.imported('kerasrl', 'environments')}.seed")
            return updated.with_changes(func=func, args=[cst.Arg(updated.func.value), *updated.args])
        return updated.with_changes(func=cst.parse_expression(f"{self.script.keras(original)}.utils.set_random_seed"))


def _is_environments(rule: Rule, call: Any) -> bool:
    """Return whether a call is `env.seed(...)`."""
    kind = rule.types.of(rule.module, call.func.value) if method(call) == "seed" else None
    return kind is not None and kind.what == "environment" and not kind.seeds_itself


def _seed_of(rule: Rule, call: cst.Call) -> cst.BaseExpression | None:
    """Return the seed that a call sets."""
    name = rule.script.name(call.func) or ""
    arg = argument(call, "seed", 0)
    if arg is None or not (name in SEEDS or keras_name(name) == _OF_KERAS or _is_environments(rule, call)):
        return None
    return None if rule.script.code(arg.value) == "None" and name else arg.value


def last(rule: Rule, fit: cst.Call) -> str | None:
    """Return the seed that the script set last before it calls `fit`, None if the source does not show one."""
    script = rule.script
    own = [(call, seed) for call in script.all(cst.Call) if (seed := _seed_of(rule, call)) is not None]
    elsewhere = [
        seed
        for module, other in rule.types.scripts.items()
        if other is not script
        for call in other.all(cst.Call)
        if (seed := _seed_of(type(rule)(other, module, rule.types, rule.options), call)) is not None
    ]
    everything = {script.code(seed) for seed in (*(seed for _, seed in own), *elsewhere)}
    if not everything:
        return None
    if len(everything) == 1 and (text := everything.pop()) and _is_literal(text):
        return None if text == "None" else text
    function = script.enclosing(fit, cst.FunctionDef)
    before = [(call, seed) for call, seed in own if script.line(call) <= script.line(fit)]
    here = [pair for pair in before if script.enclosing(pair[0], cst.FunctionDef) is function]
    top = [pair for pair in own if script.enclosing(pair[0], cst.FunctionDef) is None]
    chosen = here or (before if function is None else []) or top
    if elsewhere or not chosen or (not here and function is not None and len(top) > 1):
        script.note(fit, "fit(seed=...): give it the seed that was set last")
        return None
    call, seed = chosen[-1]
    text = script.code(seed)
    is_visible = _is_literal(text) or here or script.enclosing(call, cst.FunctionDef) is None
    return text if text != "None" and is_visible else None


def _is_literal(text: str) -> bool:
    return text.isdigit() or text == "None"
