"""keras.backend's functions, and TensorFlow 1's calls that only configured what is automatic today."""

import re
from typing import Any

import libcst as cst

from kerasrl.legacy.keras import backend as keras_backend
from kerasrl.legacy.migrating import keras3
from kerasrl.legacy.migrating.rewriting import Rule
from kerasrl.legacy.migrating.script import argument, dotted, keras_name, names_outside, quoted
from kerasrl.legacy.tensorflow import names as tensorflow

_ORDERING = "keras.backend.image_dim_ordering"
_CONFIGURED = {"ConfigProto", "GPUOptions", "Session", "InteractiveSession", "get_session"}
PREPARED = {*tensorflow.SWITCHES, *tensorflow.PREPARED, *keras_backend.SETTINGS} - {"set_image_dim_ordering"}


def _chooses_keras_2(code: str) -> bool:
    """Return whether a statement lets tensorflow.keras be tf_keras."""
    return bool(re.match(r"""(os\.)?(environ(\[|\.setdefault\()|putenv\()['"]TF_USE_LEGACY_KERAS""", code))


class Backend(Rule):
    """K.image_dim_ordering(), K.set_session(tf.Session(config=config)), tf.disable_eager_execution()."""

    def prepare(self) -> None:
        """Find out whether only TensorFlow's Keras has some function of the backend."""
        for node in self.script.all(cst.Attribute):
            home, _, name = (self.script.keras_name(node) or "").rpartition(".")
            if home == "keras.backend" and name not in keras_backend.SETTINGS:
                self.script.needs_backend |= keras3.is_only_in_tensorflows_backend(name)

    def doomed(self) -> set[cst.CSTNode]:
        """Return the statements that only configure, if nothing else uses what they make."""
        expressions, assigns = self.script.all(cst.Expr), self.script.all(cst.Assign)
        prepared = {node for node in expressions if self._only_prepares(node.value)}
        prepared |= {node for node in (*expressions, *assigns) if _chooses_keras_2(self.script.code(node))}
        owners: dict[str, set[cst.CSTNode]] = {}  # name of a configuration or session -> what only serves it
        for node in assigns:
            target = node.targets[0].target
            if isinstance(target, cst.Name) and self._called(node.value).rpartition(".")[2] in _CONFIGURED:
                owners.setdefault(target.value, set()).add(node)
        for name, nodes in owners.items():
            nodes |= {node for node in assigns if dotted(node.targets[0].target).startswith(f"{name}.")}
            nodes |= {node for node in expressions if dotted(node.value).startswith(f"{name}.")}
            nodes |= {node for node in expressions if self._runs_nothing(node.value, name)}
        doomed = prepared.union(*owners.values())
        used = names_outside(self.script.module, doomed)
        return doomed.difference(*(nodes for name, nodes in owners.items() if name in used))

    def _called(self, node: cst.CSTNode) -> str:
        """Return the full name of a function of TensorFlow or Keras that a node calls, '' for any other node."""
        full = (self.script.name(node.func) if isinstance(node, cst.Call) else None) or ""
        return full if full.startswith("tensorflow.") or keras_name(full) is not None else ""

    def _only_prepares(self, value: cst.BaseExpression) -> bool:
        home, _, name = self._called(value).rpartition(".")
        is_prepared = name in PREPARED and (name not in keras_backend.SETTINGS or home.endswith("backend"))
        return is_prepared or name in ("InteractiveSession", "Session")

    def _runs_nothing(self, value: cst.BaseExpression, session: str) -> bool:
        """Return whether a session is closed, or runs what only prepared a graph."""
        if not isinstance(value, cst.Call):
            return False
        if dotted(value.func) == f"{session}.close":
            return True
        first = argument(value, "fetches", 0)
        return dotted(value.func) == f"{session}.run" and first is not None and self._only_prepares(first.value)

    def on_comparison(self, original: cst.Comparison, updated: Any) -> Any:
        """Rewrite K.image_dim_ordering() == 'tf'."""
        if not isinstance(original.left, cst.Call) or self.script.keras_name(original.left.func) != _ORDERING:
            return updated
        target = updated.comparisons[0]
        value = target.comparator
        if not isinstance(value, cst.SimpleString) or value.raw_value not in keras_backend.ORDERINGS:
            return updated
        text = value.with_changes(value=quoted(keras_backend.ORDERINGS[value.raw_value], value))
        return updated.with_changes(
            left=self._format(original.left), comparisons=[target.with_changes(comparator=text)]
        )

    def _format(self, call: cst.Call) -> cst.BaseExpression:
        if isinstance(call.func, cst.Attribute):
            return call.with_changes(func=call.func.with_changes(attr=cst.Name("image_data_format")))
        return call.with_changes(func=cst.parse_expression(f"{self.script.keras(call)}.config.image_data_format"))

    def on_call(self, original: cst.Call, updated: Any) -> Any:
        """Rewrite K.image_dim_ordering() elsewhere, and K.set_image_dim_ordering('th')."""
        full = self.script.keras_name(original.func)
        if full == _ORDERING and not isinstance(self.script.parents.get(original), cst.Comparison):
            text = self.script.code(self._format(original))
            return cst.parse_expression(f"{{'channels_first': 'th'}}.get({text}, 'tf')")
        if full == "keras.backend.set_image_dim_ordering" and isinstance(updated.func, cst.Attribute):
            func = updated.func.with_changes(attr=cst.Name("set_image_data_format"))
            value = updated.args[0].value
            if isinstance(value, cst.SimpleString):
                ordering = keras_backend.ORDERINGS.get(value.raw_value, value.raw_value)
                value = value.with_changes(value=quoted(ordering, value))
            return updated.with_changes(func=func, args=[updated.args[0].with_changes(value=value)])
        return updated

    def on_attribute(self, original: cst.Attribute, updated: Any) -> Any:
        """Rewrite what TensorFlow only has under compat.v1; note what is gone."""
        is_part = isinstance(self.script.parents.get(original), cst.Attribute) or self.script.is_in_import(original)
        full = self.script.name(original) or ""
        path = full.removeprefix("tensorflow.")
        if is_part or path == full or keras3.path(full) is not None or keras3.is_in_tensorflow(path):
            return updated
        if path.partition(".")[0] in tensorflow.GRAPHS or not keras3.is_in_tensorflow(f"compat.v1.{path}"):
            self.script.note(original, f"tf.{path} of TensorFlow 1 is missing")
            return updated
        code = self.script.code(original)
        return cst.parse_expression(f"{code.removesuffix(path)}compat.v1.{path}") if code.endswith(path) else updated
