"""Environments: how they are made, seeded, drawn and defined."""

import importlib
import re
from typing import Any

import libcst as cst

from kerasrl.legacy.gym import successors
from kerasrl.legacy.migrating.name_types import MAKERS
from kerasrl.legacy.migrating.rewriting import Rule
from kerasrl.legacy.migrating.script import argument, changed, dotted, method, with_argument, without

# Before gym 0.9.6 these methods' names had an underscore.
_PRIVATE = ("step", "reset", "render", "seed", "close")
_REGISTER = {"gym.envs.registration.register", "gym.register", "gym.envs.register"}
# Wrappers that are left out, and why.
_LEFT_OUT = {
    **dict.fromkeys(
        ("gym.wrappers.Monitor", "gym.wrappers.monitor.Monitor", "gym.wrappers.monitoring.Monitor"),
        "Monitor is left out; kerasrl.callbacks.Film films",
    ),
    **dict.fromkeys(
        (
            "gymnasium.wrappers.StepAPICompatibility",
            "gymnasium.wrappers.step_api_compatibility.StepAPICompatibility",
        ),
        "StepAPICompatibility is left out; agents take the five values that step returns",
    ),
}
# So had those of these wrappers' methods.
_WRAPPERS = {"ObservationWrapper": "observation", "ActionWrapper": "action", "RewardWrapper": "reward"}
_NOTHING = {"gym.undo_logger_setup", "gym.upload", "gym.scoreboard.api.upload"}
# NumPy's generator, which `np_random` is since gym 0.22.
_RANDOM = {"randint": "integers", "random_sample": "random", "rand": "random", "randn": "standard_normal"}


class Environments(Rule):
    """gym.make, register, Monitor, render; classes of environments."""

    def doomed(self) -> set[cst.CSTNode]:
        """Return the calls that do nothing any more."""
        calls = [node for node in self.script.all(cst.Expr) if isinstance(node.value, cst.Call)]
        return {node for node in calls if self.script.name(node.value.func) in _NOTHING}

    def prepare(self) -> None:
        """Find out whether an environment's name may come from anywhere in the file."""
        calls = [call for call in self.script.all(cst.Call) if call.args]
        makers = [call for call in calls if self.script.name(call.func) in MAKERS]
        registers = [call for call in calls if self.script.name(call.func) in _REGISTER]
        self._names_vary = any(self.script.constant(call.args[0].value) is None for call in makers)
        self._known_here = {call.args[0].value for call in (*makers, *registers)}

    def on_simplestring(self, original: cst.SimpleString, updated: Any) -> Any:
        """Rename an environment that is made by a name at run time, such as the default of an argument."""
        if not self._names_vary or original in self._known_here or not isinstance(original.evaluated_value, str):
            return updated
        name = original.evaluated_value
        today = _successor(name)
        if today is None:
            return updated
        self._note_stand_in(original, name, today)
        return updated.with_changes(value=original.value.replace(name, today))

    def _note_stand_in(self, node: cst.CSTNode, name: str, today: str) -> None:
        self.script.note(node, f"{today} stands in for {name}: {successors.changes(name, today)}".rstrip(": "))

    def on_call(self, original: cst.Call, updated: Any) -> Any:
        """Rewrite one of these calls."""
        name = self.script.name(original.func)
        if name in MAKERS:
            return self._make(original, updated)
        if name in _REGISTER:
            return self._register(original, updated)
        if name in _LEFT_OUT and original.args:
            self.script.note(original, _LEFT_OUT[name])
            return updated.args[0].value
        called = method(original)
        if called == "render":
            return self._render(original, updated)
        if called in _RANDOM and dotted(updated.func).endswith(f"np_random.{called}"):
            if called in ("rand", "randn") and len(original.args) > 1:
                self.script.note(original, f"np_random.{called}(...): give the shape as a tuple to random()")
                return updated
            return updated.with_changes(func=updated.func.with_changes(attr=cst.Name(_RANDOM[called])))
        return updated

    def _make(self, original: cst.Call, updated: cst.Call) -> cst.Call:
        """Rename an environment; let kerasrl make those that gym.make cannot."""
        first = argument(original, "id", 0)
        if first is None:
            return updated
        for older in ("new_step_api", "return_info"):
            updated = without(updated, older)
        mode = argument(updated, "render_mode", 1)
        if mode is not None and self.script.code(mode.value).strip("'\"") == "human":
            has_display = f"{self._environments()}.has_display()"
            shown = cst.parse_expression(f"{self.script.code(mode.value)} if {has_display} else None")
            updated = changed(updated, mode, value=shown)
        if self.types.is_made_here(self.module, original):
            return updated.with_changes(func=cst.parse_expression(f"{self._environments()}.make"))
        name = self.script.constant(first.value)
        today = _today(name, (self.script.name(original.func) or "").startswith("gymnasium"))
        if today is None:
            self.script.note(original, f"the environment {name!r} no longer exists")
        elif today != name:
            self._note_stand_in(original, name, today)
            old = first.value
            text = old.value.replace(name, today) if isinstance(old, cst.SimpleString) else f'"{today}"'
            first, *others = updated.args
            updated = updated.with_changes(args=[first.with_changes(value=cst.SimpleString(text)), *others])
            if successors.of_mujoco(name) is not None:  # which gym does not have
                updated = updated.with_changes(func=cst.parse_expression(f"{self._environments()}.make"))
        return updated

    def _environments(self) -> str:
        return self.script.imported("kerasrl", "environments")

    def _register(self, original: cst.Call, updated: cst.Call) -> cst.Call:
        """Rename the arguments of older gym's `register`."""
        limit = argument(updated, "timestep_limit")
        if limit is not None:
            updated = changed(updated, limit, keyword=cst.Name("max_episode_steps"))
        for older in ("trials", "local_only", "tags"):
            arg = argument(updated, older)
            if arg is None:
                continue
            updated = without(updated, older)
            for element in arg.value.elements if isinstance(arg.value, cst.Dict) else ():
                if isinstance(element, cst.DictElement) and "max_episode_steps" in self.script.code(element.key):
                    updated = with_argument(updated, "max_episode_steps", element.value)
        return updated

    def _render(self, original: cst.Call, updated: cst.Call) -> Any:
        """Draw through kerasrl unless `render` is the script's own."""
        owner: Any = original.func
        kind = self.types.of(self.module, owner.value)
        if kind is None or kind.what != "environment" or (kind.is_own and kind.step == 4):
            return updated
        drawn: Any = updated.func
        func = cst.parse_expression(f"{self._environments()}.render")
        return updated.with_changes(func=func, args=[cst.Arg(drawn.value), *updated.args])

    def on_assign(self, original: cst.Assign, updated: Any) -> Any:
        """Drop `env = env`, which remains of a wrapper that is left out."""
        is_left_out = isinstance(original.value, cst.Call) and self.script.name(original.value.func) in _LEFT_OUT
        if is_left_out and self.script.code(updated.targets[0].target) == self.script.code(updated.value):
            return cst.RemoveFromParent()
        return updated

    def on_importfrom(self, original: cst.ImportFrom, updated: Any) -> Any:
        """Drop the imports of wrappers that are left out."""
        if original.module is None or original.relative or isinstance(updated.names, cst.ImportStar):
            return updated
        module = dotted(original.module)
        kept = [alias for alias in updated.names if f"{module}.{alias.evaluated_name}" not in _LEFT_OUT]
        if len(kept) == len(updated.names):
            return updated
        if not kept:
            return cst.RemoveFromParent()
        return updated.with_changes(names=[*kept[:-1], kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)])

    def on_attribute(self, original: cst.Attribute, updated: Any) -> Any:
        """Rewrite `env.action_space.n` of Gymnasium, `env.spec.timestep_limit`, `self._step`."""
        parent = self.script.parents.get(original)
        if original.attr.value == "timestep_limit" and dotted(original.value).endswith("spec"):
            return updated.with_changes(attr=cst.Name("max_episode_steps"))
        space = original.value
        if original.attr.value == "n" and isinstance(space, cst.Attribute) and space.attr.value.endswith("_space"):
            kind = self.types.of(self.module, space.value)
            is_called = isinstance(parent, cst.Call) and parent.func is original
            if kind is None or not kind.numpy_n or is_called or isinstance(parent, cst.AssignTarget | cst.Attribute):
                return updated
            outer = self.script.parents.get(parent) if isinstance(parent, cst.Arg) else None
            is_int = isinstance(outer, cst.Call) and dotted(outer.func) == "int"
            return updated if is_int else cst.Call(cst.Name("int"), [cst.Arg(updated)])  # Keras wants a plain one
        if original.attr.value.startswith("_") and original.attr.value[1:] in _PRIVATE:
            owner = self.script.enclosing(original, cst.ClassDef)
            above = original.value.func if isinstance(original.value, cst.Call) else original.value
            is_self = dotted(above) in ("self", "super") and owner is not None and self._is_environment(owner)
            if is_self or self.what(original.value) == "environment":
                return updated.with_changes(attr=cst.Name(original.attr.value[1:]))
        return updated

    def on_functiondef(self, original: cst.FunctionDef, updated: Any) -> Any:
        """Rename methods with an underscore, as before gym 0.9.6."""
        name, today = original.name.value, original.name.value[1:]
        owner = self.script.enclosing(original, cst.ClassDef, cst.FunctionDef)
        if not isinstance(owner, cst.ClassDef) or not name.startswith("_"):
            return updated
        bases = [(self.script.name(base.value) or "").split(".") for base in owner.bases]
        methods = {part.name.value for part in owner.body.body if isinstance(part, cst.FunctionDef)}
        is_wrappers = any(base[0] in ("gym", "gymnasium") and _WRAPPERS.get(base[-1]) == today for base in bases)
        is_private = today in _PRIVATE and today not in methods and self._is_environment(owner)
        return updated.with_changes(name=cst.Name(today)) if is_wrappers or is_private else updated

    def _is_environment(self, node: cst.ClassDef) -> bool:
        return self.types.is_environment(self.module, node)


def _successor(name: str) -> str | None:
    """Return gym's stand-in for an environment of which gym dropped that version; None for any other name."""
    if not re.fullmatch(r"\w+-v\d+", name) or successors.removed_in(name) is not None:
        return None
    registry = importlib.import_module("kerasrl.compat.gym").gym.envs.registration.registry
    return successors.of_mujoco(name) or (None if name in registry else successors.successor(name, registry))


def _today(name: str, is_gymnasium: bool) -> str | None:
    """Return the name that an environment has today, None if it no longer exists."""
    if successors.removed_in(name) is not None:
        return None
    if successors.of_mujoco(name) is not None:
        return successors.of_mujoco(name)
    try:
        library = importlib.import_module("gymnasium" if is_gymnasium else "kerasrl.compat.gym")
    except ImportError:
        return name
    known = (library if is_gymnasium else library.gym).envs.registration.registry
    return name if name in known or ":" in name else successors.successor(name, known) or name
