"""Arguments of Keras's layers, models, optimizers and callbacks."""

from typing import Any

import libcst as cst

from kerasrl.legacy.keras import arguments as tables
from kerasrl.legacy.keras import names, optimizers
from kerasrl.legacy.migrating import keras3
from kerasrl.legacy.migrating.rewriting import Rule
from kerasrl.legacy.migrating.script import (
    Script,
    argument,
    changed,
    dotted,
    method,
    named,
    quoted,
    with_argument,
    without,
)


class Layers(Rule):
    """Calls of Keras's classes, translated by the tables that translate them at run time."""

    def on_call(self, original: cst.Call, updated: Any) -> Any:
        """Rewrite such a call."""
        function = merging(self.script, original)
        if function is not None:
            return self._merge(function, original, updated)
        kind = keras3.class_name(self.script.keras_name(original.func))
        if kind in optimizers.OPTIMIZERS:
            return self._optimizer(kind, original, updated)
        if kind is not None:
            updated = self._arguments(kind, updated)
            return self._input(kind, original, updated) if keras3.is_layer(kind) else updated
        if self.is_of(original, "model", "predict") and argument(original, "verbose", 2) is None:
            return with_argument(updated, "verbose", "0")  # it showed progress only when asked to
        func: Any = original.func
        is_model = method(original) == "fit" and self.what(func.value) != "agent"
        return self._arguments("fit", updated) if is_model else updated

    def _merge(self, function: str, original: cst.Call, call: cst.Call) -> cst.Call:
        """Rewrite Keras 1's merge(inputs, mode='concat')."""
        for old, new, of in (("concat_axis", "axis", "concatenate"), ("dot_axes", "axes", "dot")):
            arg = argument(call, old)
            if arg is not None:
                call = changed(call, arg, keyword=cst.Name(new)) if of == function else without(call, old)
        kept = [arg for i, arg in enumerate(without(call, "mode").args) if i == 0 or arg.keyword is not None]
        kept[-1] = kept[-1].with_changes(comma=call.args[-1].comma)
        func = cst.parse_expression(f"{self.script.keras(original)}.layers.{function}")
        return call.with_changes(func=func, args=kept)

    def _arguments(self, kind: str, call: cst.Call) -> cst.Call:
        """Rename, drop and change arguments as the tables say."""
        if kind in tables.KERNELS:
            call = self._kernel(kind, call)
        table = {**tables.ARGUMENTS.get("Layer" if keras3.is_layer(kind) else "", {}), **tables.ARGUMENTS.get(kind, {})}
        for old in [arg.keyword.value for arg in call.args if arg.keyword is not None]:
            arg = argument(call, old)
            assert arg is not None
            if old in tables.DROPPED.get(kind, ()) and old != "input_length":
                call = without(call, old)
                continue
            new = table.get(old, old)
            value: Any = arg.value
            constant = self.script.constant(value)
            if new in tables.VALUES and isinstance(constant, str) and constant in tables.VALUES[new]:
                value = cst.parse_expression(quoted(tables.VALUES[new][constant], value))
            if new in tables.WHOLE:
                value = self.script.whole(value)
            if new != old or value is not arg.value:
                call = changed(call, arg, keyword=cst.Name(new), value=value)
        if call.args and kind in ("Dense", "LSTM", "GRU", "Conv2D") and call.args[0].keyword is None:
            first = call.args[0]
            call = call.with_changes(args=[first.with_changes(value=self.script.whole(first.value)), *call.args[1:]])
        return call

    def _input(self, kind: str, original: cst.Call, call: cst.Call) -> cst.Call:
        """Write the shape of a layer's input as `input_shape`."""
        batch = argument(call, "batch_input_shape")
        if batch is not None and kind != "InputLayer":
            value: Any = batch.value
            if isinstance(value, cst.Tuple | cst.List) and len(value.elements) > 1:
                rest = [element.with_changes(comma=cst.MaybeSentinel.DEFAULT) for element in value.elements[1:]]
                value = cst.Tuple(rest)
            else:
                value = cst.parse_expression(f"tuple({self.script.code(value)})[1:]")
            return changed(call, batch, keyword=cst.Name("input_shape"), value=value)
        shape = argument(call, "input_shape")
        if shape is not None and isinstance(shape.value, cst.Integer):
            return changed(call, shape, value=cst.Tuple([cst.Element(shape.value)]))
        given = argument(call, "input_length"), argument(call, "input_dim")
        length, size = (self.script.code(arg.value) if arg is not None else None for arg in given)
        if kind == "Embedding":
            parent = self.script.parents.get(original)
            is_called = isinstance(parent, cst.Call) and parent.func is original
            if shape is not None or is_called:
                return call
            text = length if length is not None and length.startswith(("(", "[")) else f"({length},)"
            return with_argument(without(call, "input_length"), "input_shape", text)
        if length is not None or (size is not None and kind in ("LSTM", "GRU", "SimpleRNN")):
            text = f"({length}, {size})" if size is not None else f"({length},)"
            return with_argument(without(without(call, "input_length"), "input_dim"), "input_shape", text)
        return call

    def _kernel(self, kind: str, call: cst.Call) -> cst.Call:
        """Write Convolution2D(32, 8, 8) and nb_row=, nb_col= as a kernel's size."""
        names = tables.KERNELS[kind]
        count = 1 + len(names)
        given = [arg for arg in call.args if arg.keyword is None]
        by_name = [arg for arg in call.args if arg.keyword is not None]
        is_old = self.options.is_plain or any(dotted(arg.keyword) in tables.ARGUMENTS[kind] for arg in by_name)
        is_size = not any(isinstance(arg.value, cst.Tuple | cst.List) for arg in given[:count])
        if is_old and is_size and len(given) >= count:
            size = cst.Tuple([cst.Element(arg.value) for arg in given[1:count]])
            others = zip(given[count:], tables.AFTER_KERNEL, strict=False)
            args = [given[0], given[count - 1].with_changes(value=size), *(named(arg, name) for arg, name in others)]
            return call.with_changes(args=[*args, *by_name])
        parts = [arg for name in names if (arg := argument(call, name)) is not None]
        if not parts:
            return call
        size = cst.Tuple([cst.Element(arg.value) for arg in [*given[1:], *parts]])
        call = changed(call, parts[0], keyword=cst.Name("kernel_size"), value=size)
        call = call.with_changes(args=[arg for arg in call.args if arg not in given[1:]])
        for name in names:
            call = without(call, name)
        return call

    def _optimizer(self, kind: str, original: cst.Call, call: cst.Call) -> cst.Call:
        """Give a learning rate by today's name, and its decay as a schedule."""
        if sum(arg.keyword is None for arg in call.args) > 2 and kind in optimizers.ORDER and self.options.is_plain:
            names = (*optimizers.ORDER[kind], *[""] * len(call.args))
            pairs = zip(call.args, names, strict=False)
            call = call.with_changes(args=[arg if arg.keyword or arg.star else named(arg, name) for arg, name in pairs])
        for name in optimizers.DROPPED:
            call = without(call, name)
        epsilon = argument(call, "epsilon")
        if epsilon is not None and self.script.code(epsilon.value) == "None":
            call = without(call, "epsilon")
        norm = argument(call, "clipnorm")
        if norm is not None and argument(call, "clipvalue") is not None:
            self.script.note(original, f"{kind}(clipnorm=..., clipvalue=...): Keras 3 has one or the other: choose")
        if norm is not None and self.options.is_plain:
            call = changed(call, norm, keyword=cst.Name("global_clipnorm"))
        rate = argument(call, "lr")
        if rate is not None:
            call = changed(call, rate, keyword=cst.Name("learning_rate"))
        rate = argument(call, "learning_rate", 0)
        if rate is None and self.options.is_plain and kind in optimizers.LEARNING_RATES:
            call = with_argument(call, "learning_rate", str(optimizers.LEARNING_RATES[kind]))
            rate = argument(call, "learning_rate")
        decay = argument(call, "decay")
        if decay is None:
            return call
        call = without(call, "decay")
        if self.script.constant(decay.value) == 0 or self.script.code(decay.value) == "None":
            return call
        start = self.script.code(rate.value) if rate is not None else str(keras3.learning_rate(kind))
        schedule = cst.parse_expression(
            f"{self.script.keras(original)}.optimizers.schedules.InverseTimeDecay("
            f"{start}, decay_steps=1, decay_rate={self.script.code(decay.value)})"
        )
        rate = argument(call, "learning_rate", 0)
        return with_argument(call, "learning_rate", schedule) if rate is None else changed(call, rate, value=schedule)


def merging(script: Script, call: cst.Call) -> str | None:
    """Return today's function for a call of Keras 1's `merge` whose mode is known, None for any other call."""
    if script.keras_name(call.func) != "keras.layers.merge":
        return None
    mode = argument(call, "mode", 1)
    return names.MERGE.get(script.constant(mode.value)) if mode is not None else names.MERGE["sum"]
