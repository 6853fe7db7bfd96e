"""Environments: how they are made, seeded, drawn and defined."""

import importlib
import re
from typing import Any

import libcst as cst

from kerasrl.legacy import gym_names
from kerasrl.legacy.migration.kinds import MAKERS
from kerasrl.legacy.migration.rewriting import Room
from kerasrl.legacy.migration.script import argument, changed, dotted, with_argument, without

# gym before 0.9.6 called these methods by names with an underscore.
_PRIVATE = ("step", "reset", "render", "seed", "close")
_REGISTER = {"gym.envs.registration.register", "gym.register", "gym.envs.register"}
_MONITORS = {"gym.wrappers.Monitor", "gym.wrappers.monitor.Monitor", "gym.wrappers.monitoring.Monitor"}
# The one method of these wrappers, which had an underscore, too.
_WRAPPERS = {"ObservationWrapper": "observation", "ActionWrapper": "action", "RewardWrapper": "reward"}
_NOTHING = {"gym.undo_logger_setup", "gym.upload", "gym.scoreboard.api.upload"}
# NumPy's generator, which `np_random` is since gym 0.22.
_RANDOM = {"randint": "integers", "random_sample": "random", "rand": "random", "randn": "standard_normal"}


class Environments(Room):
    """gym.make, register, Monitor, render; classes of environments."""

    def doomed(self) -> set[cst.CSTNode]:
        """Return the calls that did something in their time only."""
        return {
            node
            for node in self.script.all(cst.Expr)
            if isinstance(node.value, cst.Call) and self.script.name(node.value.func) in _NOTHING
        }

    def prepare(self) -> None:
        """Find out whether a name of an environment may come from anywhere in the file."""
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
        self.script.note(original, f"{today} stands in for {name}: {gym_names.changes(name, today)}".rstrip(": "))
        return updated.with_changes(value=original.value.replace(name, today))

    def on_call(self, original: cst.Call, updated: Any) -> Any:
        """Rewrite one of them."""
        name = self.script.name(original.func)
        if name in MAKERS:
            return self._make(original, updated)
        if name in _REGISTER:
            return self._register(original, updated)
        if name in _MONITORS and original.args:
            self.script.note(original, "Monitor is left out; kerasrl.callbacks.Film films")
            return updated.args[0].value
        func = original.func
        if not isinstance(func, cst.Attribute):
            return updated
        if func.attr.value == "render":
            return self._render(original, updated)
        if func.attr.value in _RANDOM and dotted(func.value).endswith("np_random"):
            if func.attr.value in ("rand", "randn") and len(original.args) > 1:
                self.script.note(original, f"np_random.{func.attr.value}(...): give the shape as a tuple to random()")
                return updated
            attr = cst.Name(_RANDOM[func.attr.value])
            return updated.with_changes(func=cst.Attribute(updated.func.value, attr))
        return updated

    def _make(self, original: cst.Call, updated: cst.Call) -> cst.Call:
        """Rename an environment; let kerasrl make those that gym.make does not."""
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
        name = self.script.constant(first.value)
        is_gymnasium = (self.script.name(original.func) or "").startswith("gymnasium")
        if not self.kinds.is_made_here(self.module, original):
            today = _today(name, is_gymnasium)
            if today is None:
                self.script.note(original, f"there is no environment {name!r} any more")
            elif today != name:
                self.script.note(
                    original, f"{today} stands in for {name}: {gym_names.changes(name, today)}".rstrip(": ")
                )
                literal = cst.SimpleString(f'"{today}"')
                if isinstance(first.value, cst.SimpleString):
                    literal = cst.SimpleString(first.value.value.replace(name, today))
                updated = updated.with_changes(args=[updated.args[0].with_changes(value=literal), *updated.args[1:]])
            return updated
        return updated.with_changes(func=cst.parse_expression(f"{self._environments()}.make"))

    def _environments(self) -> str:
        return self.script.today("kerasrl", "environments")

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
        """Draw through kerasrl where `render` is not the script's own."""
        assert isinstance(original.func, cst.Attribute)
        owner = original.func.value
        kind = self.kinds.of(self.module, owner)
        if kind is None or kind.what != "environment" or (kind.is_own and kind.step == 4):
            return updated
        func = cst.parse_expression(f"{self._environments()}.render")
        drawn: Any = updated.func
        return updated.with_changes(func=func, args=[cst.Arg(drawn.value), *updated.args])

    def on_assign(self, original: cst.Assign, updated: Any) -> Any:
        """Drop `env = env`, which is left of a Monitor."""
        is_monitor = isinstance(original.value, cst.Call) and self.script.name(original.value.func) in _MONITORS
        if is_monitor and self.script.code(updated.targets[0].target) == self.script.code(updated.value):
            return cst.RemoveFromParent()
        return updated

    # What Gymnasium's spaces count in, which Keras does not take

    def on_attribute(self, original: cst.Attribute, updated: Any) -> Any:
        """Rewrite `env.action_space.n` of Gymnasium, `env.spec.timestep_limit`, `self._step`."""
        parent = self.script.parents.get(original)
        if original.attr.value == "timestep_limit" and dotted(original.value).endswith("spec"):
            return updated.with_changes(attr=cst.Name("max_episode_steps"))
        space = original.value
        if original.attr.value == "n" and isinstance(space, cst.Attribute) and space.attr.value.endswith("_space"):
            kind = self.kinds.of(self.module, space.value)
            is_number = isinstance(parent, cst.Call) and parent.func is original
            if kind is None or not kind.numpy_n or is_number or isinstance(parent, cst.AssignTarget | cst.Attribute):
                return updated
            outer = self.script.parents.get(parent) if isinstance(parent, cst.Arg) else None
            if isinstance(outer, cst.Call) and dotted(outer.func) == "int":
                return updated
            return cst.Call(cst.Name("int"), [cst.Arg(updated)])
        if original.attr.value.startswith("_") and original.attr.value[1:] in _PRIVATE:
            kind = self.kinds.of(self.module, original.value)
            owner = self.script.enclosing(original, cst.ClassDef)
            above = original.value.func if isinstance(original.value, cst.Call) else original.value
            is_self = dotted(above) in ("self", "super") and owner is not None and self._is_environment(owner)
            if is_self or (kind is not None and kind.what == "environment"):
                return updated.with_changes(attr=cst.Name(original.attr.value[1:]))
        return updated

    def on_functiondef(self, original: cst.FunctionDef, updated: Any) -> Any:
        """Rename `_step` and the like, as gym before 0.9.6 called them."""
        name = original.name.value
        owner = self.script.enclosing(original, cst.ClassDef, cst.FunctionDef)
        if isinstance(owner, cst.ClassDef):
            bases = [(self.script.name(base.value) or "").split(".") for base in owner.bases]
            if any(base[0] in ("gym", "gymnasium") and name == f"_{_WRAPPERS.get(base[-1])}" for base in bases):
                return updated.with_changes(name=cst.Name(name[1:]))
            if name.startswith("_") and name[1:] in _PRIVATE and self._is_environment(owner):
                methods = {part.name.value for part in owner.body.body if isinstance(part, cst.FunctionDef)}
                if name[1:] not in methods:
                    return updated.with_changes(name=cst.Name(name[1:]))
        return updated

    def _is_environment(self, node: cst.ClassDef) -> bool:
        return self.kinds.is_environment(self.module, node)


def _successor(name: str) -> str | None:
    """Return which environment of gym stands in for one that gym dropped, None if it is none of those."""
    if not re.fullmatch(r"\w+-v\d+", name) or gym_names.removed_in(name) is not None:
        return None
    registry = importlib.import_module("kerasrl.compat.gym").gym.envs.registration.registry
    return None if name in registry else gym_names.successor(name, registry)


def _today(name: str, is_gymnasium: bool) -> str | None:
    """Return the name that an environment has today, None if there is none like it."""
    if gym_names.removed_in(name) is not None:
        return None
    try:
        library = importlib.import_module("gymnasium" if is_gymnasium else "kerasrl.compat.gym")
    except ImportError:
        return name
    known = (library if is_gymnasium else library.gym).envs.registration.registry
    return name if name in known or ":" in name else gym_names.successor(name, known) or name
