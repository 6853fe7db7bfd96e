"""Files of models and weights, and Keras's callbacks that an agent does not take."""

import re
from typing import Any

import libcst as cst

from kerasrl.legacy.migration.rewriting import Room
from kerasrl.legacy.migration.script import argument, dotted


class Saving(Room):
    """model.save('name'), model.save_weights('name'), ModelCheckpoint, TensorBoard."""

    def prepare(self) -> None:
        """Find out whether Keras's callbacks are for an agent: no model is fitted on its own."""
        fits = [
            self.kinds.of(self.module, call.func.value)
            for script in [self.script]
            for call in script.all(cst.Call)
            if isinstance(call.func, cst.Attribute) and call.func.attr.value == "fit"
        ]
        self.is_for_agent = any(kind is not None and kind.what == "agent" for kind in fits) and not any(
            kind is None or kind.what == "model" for kind in fits
        )
        if self.is_for_agent:
            for call in self.script.all(cst.Call):
                if self._callback(call) and isinstance(call.func, cst.Name):
                    self.script.gone.add(call.func.value)

    def on_call(self, original: cst.Call, updated: Any) -> Any:
        """Rewrite one of them."""
        callback = self._callback(original)
        if callback and self.is_for_agent:
            return self._for_agent(callback, original, updated)
        name = (self.script.keras_name(original.func) or "").rpartition(".")[2]
        if name == "load_model":
            return self._model(updated, None, argument(updated, "filepath", 0))
        if name == "save_model" and (model := argument(updated, "model", 0)) is not None:
            return self._model(updated, model.value, argument(updated, "filepath", 1))
        func = original.func
        if not isinstance(func, cst.Attribute) or func.attr.value not in ("save", "save_weights", "load_weights"):
            return updated
        kind = self.kinds.of(self.module, func.value)
        if kind is None or kind.what != "model":
            return updated
        path = argument(updated, "filepath", 0)
        if func.attr.value == "save" or path is None:
            return self._model(updated, updated.func.value, path)
        return self._weights(original, updated, path)

    def _callback(self, call: cst.Call) -> str | None:
        """Return which of Keras's callbacks a call makes, if an agent does not take it."""
        name = self.script.keras_name(call.func) or ""
        home, _, name = name.rpartition(".")
        only_weights = argument(call, "save_weights_only", 3)
        if only_weights is not None and dotted(only_weights.value) == "True":
            return None
        return name if home == "keras.callbacks" and name in ("ModelCheckpoint", "TensorBoard") else None

    def _for_agent(self, name: str, original: cst.Call, updated: cst.Call) -> cst.Call:
        """Give an agent the callback that does for it what Keras's does for a model."""
        if name == "TensorBoard":
            folder = argument(updated, "log_dir", 0)
            value = folder.value if folder is not None else cst.SimpleString("'logs'")
            ours = self.script.today("kerasrl.callbacks", "TensorBoardLogger")
            return updated.with_changes(func=cst.Name(ours), args=[cst.Arg(value)])
        path = argument(updated, "filepath", 0)
        if path is None:
            return updated
        self.script.note(original, "ModelCheckpoint saved whole models after episodes; now weights, every 1000 steps")
        ours = self.script.today("kerasrl.callbacks", "ModelIntervalCheckpoint")
        text = re.sub(r"\{(epoch|val_loss|val_acc|loss|acc)(:[^}]*)?\}", "{step}", self.script.code(path.value))
        args = [cst.Arg(cst.parse_expression(text)), cst.parse_expression("f(interval=1000)").args[0]]  # type: ignore[attr-defined]
        return updated.with_changes(func=cst.Name(ours), args=args)

    def _model(self, updated: cst.Call, model: cst.BaseExpression | None, path: cst.Arg | None) -> Any:
        """Write or read a model under the name that the script gives it."""
        if path is None or str(self.script.constant(path.value)).endswith(".keras"):
            return updated
        models = self.script.today("kerasrl.storage", "models")
        given = [
            arg.with_changes(keyword=None, equal=cst.MaybeSentinel.DEFAULT) if arg is path else arg
            for arg in updated.args
            if arg.keyword is None or arg.keyword.value != "save_format"
        ]
        if model is None:
            return updated.with_changes(func=cst.parse_expression(f"{models}.read"), args=given)
        rest = [
            arg
            for arg in given
            if self.script.code(arg.value) != self.script.code(path.value) and arg.value is not model
        ]
        first = [cst.Arg(path.value), cst.Arg(model)]
        return updated.with_changes(func=cst.parse_expression(f"{models}.write"), args=[*first, *rest])

    def _weights(self, original: cst.Call, updated: cst.Call, path: cst.Arg) -> Any:
        """Write and read weights under the name that the script gives them."""
        constant = self.script.constant(path.value)
        if isinstance(constant, str) and constant.endswith(".weights.h5"):
            return updated
        assert isinstance(updated.func, cst.Attribute)
        weights = self.script.today("kerasrl.storage", "weights")
        model, file = self.script.code(updated.func.value), self.script.code(path.value)
        if updated.func.attr.value == "save_weights":
            return cst.parse_expression(f"{weights}.write({file}, {model}, None)")
        return cst.parse_expression(f"{weights}.assign({model}, {weights}.read({file}))")
