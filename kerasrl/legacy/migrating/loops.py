"""A script's own loops: `step` gives five values and `reset` two where it took four and one."""

from typing import Any

import libcst as cst

from kerasrl.legacy.migrating.name_types import NameType
from kerasrl.legacy.migrating.rewriting import Rule
from kerasrl.legacy.migrating.script import dotted, method
from kerasrl.legacy.source import generations


class Loops(Rule):
    """`obs, reward, done, info = env.step(a)` and `obs = env.reset()`, where the environment gives more."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._generations = generations(self.script.tree)

    def on_assign(self, original: cst.Assign, updated: Any) -> Any:
        """Rewrite what a call's values are assigned to."""
        if len(original.targets) != 1:
            return updated
        called, target = self._method(original.value), original.targets[0].target
        unpacked = target.elements if isinstance(target, cst.Tuple | cst.List) else None
        is_four = called == "step" and unpacked is not None and len(unpacked) == 4
        is_one = called == "reset" and unpacked is None and not self._is_of_today(original)
        kind = self._kind(original.value) if is_four or is_one else None
        if kind is None:
            return updated
        if is_four and kind.step is None:
            self.script.note(original, "step() may give four values or five: look at this")
        elif is_four and kind.step == 5:
            return self._five(updated)
        elif is_one and kind.reset is None:
            self.script.note(original, "reset() may give one value or two: look at this")
        elif is_one and kind.reset == 2:
            both = cst.Tuple([cst.Element(updated.targets[0].target), cst.Element(cst.Name("_"))], lpar=[], rpar=[])
            return updated.with_changes(targets=[updated.targets[0].with_changes(target=both)])
        return updated

    def _five(self, updated: cst.Assign) -> Any:
        """Let an assignment take five values, and assign `done` after it."""
        target = updated.targets[0].target
        assert isinstance(target, cst.Tuple | cst.List)
        observation, reward, done, info = target.elements
        is_wanted = dotted(done.value) != "_"
        names = self.script.ends if is_wanted else ["_", "_"]
        middle = [done.with_changes(value=cst.Name(name)) for name in names]
        new = target.with_changes(elements=[observation, reward, *middle, info])
        assign = updated.with_changes(targets=[updated.targets[0].with_changes(target=new)])
        targets, ends = [updated.targets[0].with_changes(target=done.value)], cst.parse_expression(" or ".join(names))
        return cst.FlattenSentinel([assign, cst.Assign(targets, ends)]) if is_wanted else assign

    def on_call(self, original: cst.Call, updated: Any) -> Any:
        """Rewrite `env.reset()` within an expression."""
        is_whole = isinstance(self.script.parents.get(original), cst.Assign | cst.Expr | cst.AnnAssign)
        if is_whole or self._is_of_today(original) or self._method(original) != "reset":
            return updated
        kind = self._kind(original)
        return cst.Subscript(updated, [_index("0")]) if kind is not None and kind.reset == 2 else updated

    def on_subscript(self, original: cst.Subscript, updated: Any) -> Any:
        """Rewrite `env.step(action)[2]`."""
        if self._is_of_today(original) or self._method(original.value) != "step":
            return updated
        kind = self._kind(original.value)
        index = self.script.code(original.slice[0].slice)
        if kind is None or kind.step == 4 or index in ("0", "1", "-1"):
            return updated
        if index == "3":
            return updated.with_changes(slice=[_index("4")])
        self.script.note(original, f"step(...)[{index}] no longer gives the whole `done` of four values: look at this")
        return updated

    def _is_of_today(self, node: cst.CSTNode) -> bool:
        """Return whether calls in the function around a node mean five values and two."""
        function = self.script.enclosing(node, cst.FunctionDef)
        return self._generations.get(self.script.line(function.name) if function is not None else 0, False)

    def _method(self, call: Any) -> str | None:
        """Return 'step' or 'reset' for a call that is like those of an environment's method."""
        called = method(call)
        if called not in ("step", "reset") or len(call.args) != (called == "step"):
            return None
        if self.script.name(call.func) is not None and self.types.of(self.module, call.func.value) is None:
            return None  # a module's function
        return called

    def _kind(self, call: Any) -> NameType | None:
        """Return what is known of the environment whose method is called; None if it is not an environment."""
        owner = call.func.value
        if dotted(owner) == "self":
            return None
        if isinstance(owner, cst.Call) and dotted(owner.func) == "super":
            return self.types.of_base(self.module, call)
        what = self.what(owner)
        if what is None and method(call) == "reset":
            return None  # anything may have a reset
        return self.types.environment(self.module, owner) if what in (None, "environment") else None


def _index(text: str) -> cst.SubscriptElement:
    return cst.SubscriptElement(cst.Index(cst.Integer(text)))
