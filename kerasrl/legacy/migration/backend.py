"""keras.backend's functions, and TensorFlow 1's calls that only configured what is decided by itself today."""

from typing import Any

import libcst as cst

from kerasrl.legacy import keras_backend, tensorflow
from kerasrl.legacy.migration import today
from kerasrl.legacy.migration.rewriting import Room
from kerasrl.legacy.migration.script import argument, dotted, keras_name

_ORDERING = "keras.backend.image_dim_ordering"
_CONFIGURED = {"ConfigProto", "GPUOptions", "Session", "InteractiveSession", "get_session"}
PREPARED = {*tensorflow.SWITCHES, *tensorflow.PREPARED, *keras_backend.SETTINGS} - {"set_image_dim_ordering"}


class Backend(Room):
    """K.image_dim_ordering(), K.set_session(tf.Session(config=config)), tf.disable_eager_execution()."""

    def prepare(self) -> None:
        """Find out whether a function of the backend is only in TensorFlow's Keras."""
        for node in self.script.all(cst.Attribute):
            full = self.script.keras_name(node) or ""
            home, _, name = full.rpartition(".")
            if home == "keras.backend" and not today.is_in_backend(name) and name not in keras_backend.SETTINGS:
                self.script.needs_backend = self.script.needs_backend or today.is_in_tensorflows_backend(name)

    def doomed(self) -> set[cst.CSTNode]:
        """Return the statements that only configure, if nothing else uses what they make."""
        doomed: set[cst.CSTNode] = set()
        owners: dict[str, list[cst.CSTNode]] = {}
        for node in (*self.script.all(cst.Expr), *self.script.all(cst.Assign)):
            name = self._configures(node)
            if name is None and isinstance(node, cst.Expr) and self._only_prepares(node.value):
                name = ""
            if name is not None:
                doomed.add(node)
                owners.setdefault(name, []).append(node)
        for name in [name for name in owners if name]:
            for node in (*self.script.all(cst.Expr), *self.script.all(cst.Assign)):
                target = node.targets[0].target if isinstance(node, cst.Assign) else node.value
                runs_nothing = isinstance(node, cst.Expr) and self._runs_nothing(node.value, name)
                if dotted(target).startswith(f"{name}.") or runs_nothing:
                    doomed.add(node)
                    owners[name].append(node)
        used = _names_outside(self.script.module, doomed)
        for name in [name for name in owners if name in used]:
            doomed -= set(owners[name])
        return doomed

    def _configures(self, node: cst.CSTNode) -> str | None:
        """Return the name that is given to a configuration or session."""
        if not isinstance(node, cst.Assign) or not isinstance(node.value, cst.Call):
            return None
        full = self.script.name(node.value.func) or ""
        is_theirs = full.startswith("tensorflow.") or keras_name(full) is not None
        target = node.targets[0].target
        is_plain = isinstance(target, cst.Name)
        return dotted(target) if is_theirs and is_plain and full.rpartition(".")[2] in _CONFIGURED else None

    def _only_prepares(self, value: cst.BaseExpression) -> bool:
        if not isinstance(value, cst.Call):
            return False
        full = self.script.name(value.func) or ""
        home, _, name = full.rpartition(".")
        return (full.startswith("tensorflow.") or keras_name(full) is not None) and (
            (
                name in PREPARED
                and (name not in keras_backend.SETTINGS or home.endswith(("backend", "tensorflow_backend")))
            )
            or name in ("InteractiveSession", "Session")
        )

    def _runs_nothing(self, value: cst.BaseExpression, session: str) -> bool:
        """Return whether a session runs what only prepared a graph, or is closed."""
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
        ordering = keras_backend.ORDERINGS[value.raw_value]
        text = value.with_changes(value=f"{value.quote}{ordering}{value.quote}")
        return updated.with_changes(
            left=self._format(original.left), comparisons=[target.with_changes(comparator=text)]
        )

    def _format(self, call: cst.Call) -> cst.BaseExpression:
        func = (
            cst.Attribute(call.func.value, cst.Name("image_data_format"))
            if isinstance(call.func, cst.Attribute)
            else cst.parse_expression(f"{self.script.keras(call)}.config.image_data_format")
        )
        return call.with_changes(func=func)

    def on_call(self, original: cst.Call, updated: Any) -> Any:
        """Rewrite K.image_dim_ordering() elsewhere, and K.set_image_dim_ordering('th')."""
        full = self.script.keras_name(original.func)
        if full == _ORDERING and not isinstance(self.script.parents.get(original), cst.Comparison):
            text = self.script.module.code_for_node(self._format(original))
            return cst.parse_expression(f"{{'channels_first': 'th'}}.get({text}, 'tf')")
        if full == "keras.backend.set_image_dim_ordering" and isinstance(updated.func, cst.Attribute):
            func = cst.Attribute(updated.func.value, cst.Name("set_image_data_format"))
            value = updated.args[0].value
            if isinstance(value, cst.SimpleString):
                ordering = keras_backend.ORDERINGS.get(value.raw_value, value.raw_value)
                value = value.with_changes(value=f"{value.quote}{ordering}{value.quote}")
            return updated.with_changes(func=func, args=[updated.args[0].with_changes(value=value)])
        return updated

    def on_attribute(self, original: cst.Attribute, updated: Any) -> Any:
        """Rewrite what TensorFlow has under compat.v1 only; tell what is gone."""
        parent = self.script.parents.get(original)
        full = self.script.name(original) or ""
        if isinstance(parent, cst.Attribute) or not full.startswith("tensorflow.") or today.path(full) is not None:
            return updated
        if self.script.enclosing(original, cst.Import, cst.ImportFrom) is not None:
            return updated
        path = full.removeprefix("tensorflow.")
        if today.is_in_tensorflow(path):
            return updated
        if path.partition(".")[0] in tensorflow.GRAPHS or not today.is_in_tensorflow(f"compat.v1.{path}"):
            self.script.note(original, f"tf.{path} of TensorFlow 1 is missing")
            return updated
        code = self.script.code(original)
        return cst.parse_expression(f"{code.removesuffix(path)}compat.v1.{path}") if code.endswith(path) else updated


def _names_outside(module: cst.Module, doomed: set[cst.CSTNode]) -> set[str]:
    """Return the names that are read outside some statements."""
    found: set[str] = set()
    stack: list[cst.CSTNode] = [module]
    while stack:
        node = stack.pop()
        if node in doomed:
            continue
        if isinstance(node, cst.Name):
            found.add(node.value)
        stack.extend(node.children)
    return found
