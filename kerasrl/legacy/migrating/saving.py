"""Files of models and weights, and Keras's callbacks that an agent does not accept."""

import re
from typing import Any

import libcst as cst

from kerasrl.legacy.migrating.rewriting import Rule
from kerasrl.legacy.migrating.script import argument, dotted, method


class Saving(Rule):
    """model.save('name'), model.save_weights('name'), ModelCheckpoint, TensorBoard."""

    def prepare(self) -> None:
        """Find out whether Keras's callbacks are for an agent: no model is fitted on its own."""
        fitted = {self.what(call.func.value) for call in self.script.all(cst.Call) if method(call) == "fit"}
        self.is_for_agent = "agent" in fitted and not fitted & {"model", None}
        if self.is_for_agent:
            for call in self.script.all(cst.Call):
                if self._callback(call) and isinstance(call.func, cst.Name):
                    self.script.gone.add(call.func.value)

    def on_call(self, original: cst.Call, updated: Any) -> Any:
        """Rewrite such a call."""
        callback = self._callback(original)
        if callback and self.is_for_agent:
            return self._for_agent(callback, original, updated)
        name = (self.script.keras_name(original.func) or "").rpartition(".")[2]
        if name == "load_model":
            return self._model(updated, None, argument(updated, "filepath", 0))
        if name == "save_model" and (model := argument(updated, "model", 0)) is not None:
            return self._model(updated, model.value, argument(updated, "filepath", 1))
        if not self.is_of(original, "model", "save", "save_weights", "load_weights"):
            return updated
        path = argument(updated, "filepath", 0)
        if method(original) == "save" or path is None:
            return self._model(updated, updated.func.value, path)
        return self._weights(updated, path)

    def _callback(self, call: cst.Call) -> str | None:
        """Return which of Keras's callbacks a call makes, if an agent does not accept it."""
        home, _, name = (self.script.keras_name(call.func) or "").rpartition(".")
        only_weights = argument(call, "save_weights_only", 3)
        if only_weights is not None and dotted(only_weights.value) == "True":
            return None
        return name if home == "keras.callbacks" and name in ("ModelCheckpoint", "TensorBoard") else None

    def _for_agent(self, name: str, original: cst.Call, updated: cst.Call) -> cst.Call:
        """Give an agent the callback that does for it what Keras's does for a model."""
        if name == "TensorBoard":
            folder = argument(updated, "log_dir", 0)
            text = self.script.code(folder.value) if folder is not None else "'logs'"
            ours = self.script.imported("kerasrl.callbacks", "TensorBoardLogger")
            return cst.ensure_type(cst.parse_expression(f"{ours}({text})"), cst.Call)
        path = argument(updated, "filepath", 0)
        if path is None:
            return updated
        self.script.note(
            original, "ModelCheckpoint saved models after episodes; now weights are saved every 1000 steps"
        )
        ours = self.script.imported("kerasrl.callbacks", "ModelIntervalCheckpoint")
        text = re.sub(r"\{(epoch|val_loss|val_acc|loss|acc)(:[^}]*)?\}", "{step}", self.script.code(path.value))
        return cst.ensure_type(cst.parse_expression(f"{ours}({text}, interval=1000)"), cst.Call)

    def _model(self, updated: cst.Call, model: cst.BaseExpression | None, path: cst.Arg | None) -> Any:
        """Write or read a model's file under the script's name for it."""
        if path is None or str(self.script.constant(path.value)).endswith(".keras"):
            return updated
        models = self.script.imported("kerasrl.storage", "models")
        given = [
            arg.with_changes(keyword=None, equal=cst.MaybeSentinel.DEFAULT) if arg is path else arg
            for arg in updated.args
            if arg.keyword is None or arg.keyword.value != "save_format"
        ]
        if model is None:
            return updated.with_changes(func=cst.parse_expression(f"{models}.read"), args=given)
        own = self.script.code(path.value)
        rest = [arg for arg in given if self.script.code(arg.value) != own and arg.value is not model]
        first = [cst.Arg(path.value), cst.Arg(model)]
        return updated.with_changes(func=cst.parse_expression(f"{models}.write"), args=[*first, *rest])

    def _weights(self, updated: cst.Call, path: cst.Arg) -> Any:
        """Write or read a file of weights under the script's name for it."""
        constant = self.script.constant(path.value)
        if isinstance(constant, str) and constant.endswith(".weights.h5"):
            return updated
        assert isinstance(updated.func, cst.Attribute)
        weights = self.script.imported("kerasrl.storage", "weights")
        model, file = self.script.code(updated.func.value), self.script.code(path.value)
        if updated.func.attr.value == "save_weights":
            return cst.parse_expression(f"{weights}.write({file}, {model}, None)")
        return cst.parse_expression(f"{weights}.assign({model}, {weights}.read({file}))")
