"""Seeds: one call seeds Python, NumPy and TensorFlow, and the first `fit` after it, as when the script is run."""

from typing import Any

import libcst as cst

from kerasrl.legacy.migrating.rewriting import Rule
from kerasrl.legacy.migrating.script import argument, keras_name, method

# What counts as the script's seed when it is run: see `others` and `tensorflow.names`.
SEEDS = {
    "numpy.random.seed", "tensorflow.random.set_seed", "tensorflow.compat.v2.random.set_seed",
    *(f"tensorflow.{home}set_random_seed" for home in ("", "compat.v1.", "random.", "compat.v1.random.")),
}  # fmt: skip


class Seeds(Rule):
    """np.random.seed(n), tf.set_random_seed(n) -> kerasrl's seed(n); env.seed(n) -> seed(n, env)."""

    def on_call(self, original: cst.Call, updated: Any) -> Any:
        """Rewrite such a call."""
        name, seed = self.script.name(original.func) or "", argument(original, "seed", 0)
        if seed is None:
            return updated
        if self._is_environments(original):
            args = [seed.with_changes(keyword=None, comma=cst.MaybeSentinel.DEFAULT), cst.Arg(updated.func.value)]
            return updated.with_changes(func=cst.Name(self.script.imported("kerasrl", "seed")), args=args)
        if name not in SEEDS and keras_name(name) != "keras.utils.set_random_seed":
            return updated
        if self.script.code(seed.value) == "None":
            return updated
        return updated.with_changes(
            func=cst.Name(self.script.imported("kerasrl", "seed")), args=[updated.args[0].with_changes(keyword=None)]
        )

    def _is_environments(self, call: Any) -> bool:
        """Return whether a call is `env.seed(...)`."""
        kind = self.types.of(self.module, call.func.value) if method(call) == "seed" else None
        return kind is not None and kind.what == "environment" and not kind.seeds_itself
