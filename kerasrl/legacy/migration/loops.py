"""A script's own loops: `step` gives five values and `reset` two where it took four and one."""

from typing import Any

import libcst as cst

from kerasrl.legacy.migration.kinds import Kind
from kerasrl.legacy.migration.rewriting import Room
from kerasrl.legacy.migration.script import dotted
from kerasrl.legacy.syntax import generations


class Loops(Room):
    """`obs, reward, done, info = env.step(a)` and `obs = env.reset()`, where the environment gives more."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._generations = generations(self.script.tree)

    def on_assign(self, original: cst.Assign, updated: Any) -> Any:
        """Rewrite what a call's values are given to."""
        if len(original.targets) != 1 or not isinstance(original.value, cst.Call):
            return updated
        call, target = original.value, original.targets[0].target
        if self._method(call) == "step" and isinstance(target, cst.Tuple | cst.List) and len(target.elements) == 4:
            kind = self._kind(call)
            if kind is None:
                return updated
            if kind.step is None:
                self.script.note(original, "step() may give four values or five: look at this")
            elif kind.step == 5:
                return self._five(updated)
        elif (
            not self._is_of_today(call)
            and self._method(call) == "reset"
            and not isinstance(target, cst.Tuple | cst.List)
        ):
            kind = self._kind(call)
            if kind is not None and kind.reset == 2:
                both: Any = cst.Tuple(
                    [cst.Element(updated.targets[0].target), cst.Element(cst.Name("_"))], lpar=[], rpar=[]
                )
                return updated.with_changes(targets=[updated.targets[0].with_changes(target=both)])
            if kind is not None and kind.reset is None:
                self.script.note(original, "reset() may give one value or two: look at this")
        return updated

    def _five(self, updated: cst.Assign) -> Any:
        """Let an assignment take five values, and say after it what `done` is."""
        target = updated.targets[0].target
        assert isinstance(target, cst.Tuple | cst.List)
        observation, reward, done, info = target.elements
        is_wanted = dotted(done.value) != "_"
        names = self.script.ends() if is_wanted else ["_", "_"]
        middle = [done.with_changes(value=cst.Name(name)) for name in names]
        new = target.with_changes(elements=[observation, reward, *middle, info])
        assign = updated.with_changes(targets=[updated.targets[0].with_changes(target=new)])
        if not is_wanted:
            return assign
        is_done = cst.Assign(
            [updated.targets[0].with_changes(target=done.value)], cst.parse_expression(" or ".join(names))
        )
        return cst.FlattenSentinel([assign, is_done])

    def on_call(self, original: cst.Call, updated: Any) -> Any:
        """Rewrite `env.reset()` within an expression."""
        if self._is_of_today(original) or self._method(original) != "reset":
            return updated
        parent = self.script.parents.get(original)
        if isinstance(parent, cst.Assign | cst.Expr | cst.AnnAssign):
            return updated
        kind = self._kind(original)
        if kind is not None and kind.reset == 2:
            return cst.Subscript(updated, [cst.SubscriptElement(cst.Index(cst.Integer("0")))])
        return updated

    def on_subscript(self, original: cst.Subscript, updated: Any) -> Any:
        """Rewrite `env.step(action)[2]`."""
        if (
            self._is_of_today(original)
            or not isinstance(original.value, cst.Call)
            or self._method(original.value) != "step"
        ):
            return updated
        kind = self._kind(original.value)
        index = self.script.code(original.slice[0].slice)
        if kind is None or kind.step == 4 or index in ("0", "1", "-1"):
            return updated
        if index == "3":
            four = cst.SubscriptElement(cst.Index(cst.Integer("4")))
            return updated.with_changes(slice=[four])
        self.script.note(original, f"step(...)[{index}] gives the whole `done` of four values no more: look at this")
        return updated

    def _is_of_today(self, node: cst.CSTNode) -> bool:
        """Return whether calls around a node mean five values and two."""
        function = self.script.enclosing(node, cst.FunctionDef)
        return self._generations.get(self.script.line(function.name) if function is not None else 0, False)

    def _method(self, call: cst.Call) -> str | None:
        """Return 'step' or 'reset' for calls of an environment's method; not for `super().step(...)` of today."""
        func = call.func
        if not isinstance(func, cst.Attribute) or func.attr.value not in ("step", "reset"):
            return None
        if self.script.name(func) is not None and self.kinds.of(self.module, func.value) is None:
            return None  # of a module
        if func.attr.value == "step" and len(call.args) != 1:
            return None
        if func.attr.value == "reset" and call.args:
            return None
        return func.attr.value

    def _kind(self, call: cst.Call) -> Kind | None:
        """Return what is known of the environment of a call; None if it is none."""
        func = call.func
        assert isinstance(func, cst.Attribute)
        owner = func.value
        if dotted(owner) == "self":
            return None
        if isinstance(owner, cst.Call) and dotted(owner.func) == "super":
            return self.kinds.of_base(self.module, call)
        kind = self.kinds.of(self.module, owner)
        if kind is None and func.attr.value == "reset":
            return None  # a reset may be of anything
        if kind is not None and kind.what != "environment":
            return None
        return self.kinds.environment(self.module, owner)
