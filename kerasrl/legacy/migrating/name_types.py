"""Which names of a script are environments, with how many values, and which are agents, as far as its source tells."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import libcst as cst

from kerasrl.environments import atari
from kerasrl.legacy.keras_rl import names as keras_rl
from kerasrl.legacy.migrating.script import Script, absolute, argument, below, dotted, keras_name, method

MAKERS = {"gym.make", "gymnasium.make", "gym.envs.make", "gym.envs.registration.make", "gymnasium.envs.make"}
# Full name of an agent's class -> its name.
AGENTS = {
    f"{place}.{name}": name
    for name, homes in keras_rl.AGENTS.items()
    for home in homes
    for place in (home, "kerasrl", *(home.replace("rl", package, 1) for package in keras_rl.PACKAGES))
}
# Attributes of agents that are models.
_MODELS = {
    "model", "target_model", "actor", "critic", "target_actor", "target_critic", "V_model", "L_model", "mu_model",
    "combined_model",
}  # fmt: skip
_ENVIRONMENTS = ("gym.Env", "gym.core.Env", "gymnasium.Env", "gymnasium.core.Env", "rl.core.Env")


@dataclass(frozen=True)
class NameType:
    """What a name holds; `None` means unknown.

    `step` and `reset` are how many values an environment's methods return; `numpy_n` tells whether the `n` of its
    spaces may be a NumPy integer, as Gymnasium's is; `seeds_itself` whether its class defines `seed` itself.
    """

    what: Literal["environment", "agent", "model"]
    step: int | None = None
    reset: int | None = None
    numpy_n: bool = False
    is_own: bool = False
    seeds_itself: bool = False

    def __or__(self, other: "NameType | None") -> "NameType":
        if other is None or self.what != other.what:
            return self
        return replace(
            self,
            step=self.step if self.step == other.step else None,
            reset=self.reset if self.reset == other.reset else None,
            numpy_n=self.numpy_n or other.numpy_n,
            is_own=self.is_own and other.is_own,
            seeds_itself=self.seeds_itself and other.seeds_itself,
        )


AGENT = NameType("agent")
MODEL = NameType("model")
UNKNOWN = NameType("environment")


class NameTypes:
    """The types of the names in several scripts, which import each other.

    A name has one type in a file, whatever the function; `self.x` has one in its class.
    """

    def __init__(self, scripts: dict[str, Script]) -> None:
        self.scripts = scripts
        self._known: dict[tuple[str, str], NameType] = {}
        self._classes: dict[str, tuple[str, cst.ClassDef]] = {}
        self._functions: dict[str, tuple[str, cst.FunctionDef]] = {}
        self._wrapped: dict[str, NameType] = {}  # class -> type of its constructor's argument
        for module, script in scripts.items():
            for statement in script.module.body:
                if isinstance(statement, cst.ClassDef):
                    self._classes[f"{module}.{statement.name.value}"] = module, statement
            for function in script.all(cst.FunctionDef):
                if script.enclosing(function, cst.ClassDef) is None:
                    self._functions[f"{module}.{function.name.value}"] = module, function
        self._handed_on = {  # what a module imports can be imported from it
            f"{module}.{alias.evaluated_alias or alias.evaluated_name}": absolute(
                f"{'.' * len(node.relative)}{dotted(node.module)}", script.package
            )
            + f".{alias.evaluated_name}"
            for module, script in scripts.items()
            for node in script.all(cst.ImportFrom)
            if not isinstance(node.names, cst.ImportStar)
            for alias in node.names
        }
        self._before: dict[tuple[str, str], NameType] = {}
        for _ in range(4):  # a name may come from a name that is understood later
            self._before, self._known = self._known, {}
            for module, script in scripts.items():
                self._look_through(module, script)
        known = {kind for kind in self._known.values() if kind.what == "environment" and kind.step is not None}
        counts = {(kind.step, kind.reset) for kind in known}
        self._only = replace(next(iter(known)), is_own=False) if len(counts) == 1 else None

    def of(self, module: str, node: cst.CSTNode) -> NameType | None:
        """Return the type of an expression, None if it is not known to be an environment, agent or model."""
        script = self.scripts[module]
        if isinstance(node, cst.Name | cst.Attribute):
            key = self._key(module, node)
            if key is not None and (found := self._find(module, key)) is not None:
                return found
            if isinstance(node, cst.Attribute) and node.attr.value in _MODELS:
                owner = self.of(module, node.value)
                if owner is not None and owner.what == "agent":
                    return MODEL
            if isinstance(node, cst.Attribute) and node.attr.value in ("unwrapped", "env"):
                inner = self.of(module, node.value)
                if inner is not None:
                    return inner
            home, _, last = (script.name(node) or "").rpartition(".")
            return self._find(home, last)
        if isinstance(node, cst.IfExp):
            first, second = self.of(module, node.body), self.of(module, node.orelse)
            return first | second if first is not None else second
        return self._of_call(module, script, node) if isinstance(node, cst.Call) else None

    def environment(self, module: str, node: cst.CSTNode) -> NameType:
        """Return the type of an expression that is used as an environment; that of all others, if it is unknown."""
        kind = self.of(module, node)
        if kind is None or kind.what != "environment" or kind.step is None:
            return self._only or kind or UNKNOWN
        return kind

    def of_base(self, module: str, call: cst.Call) -> NameType | None:
        """Return the type of what `super()` calls in a wrapper: that of the wrapped environment."""
        owner = self.scripts[module].enclosing(call, cst.ClassDef)
        return self._find(module, f"{owner.name.value}.self.env") if owner is not None else None

    def is_environment(self, module: str, node: cst.ClassDef) -> bool:
        """Return whether a class is that of an environment or wrapper."""
        return self._of_class(f"{module}.{node.name.value}") is not None

    def registered(self) -> set[str]:
        """Return the names of the environments that the scripts register."""
        return {
            name
            for script in self.scripts.values()
            for call in script.all(cst.Call)
            if dotted(call.func).rpartition(".")[2] == "register"
            and (arg := argument(call, "id", 0)) is not None
            and (name := script.constant(arg.value)) is not None
        }

    def _key(self, module: str, node: cst.CSTNode) -> str | None:
        name = dotted(node)
        if name.startswith("self."):
            owner = self.scripts[module].enclosing(node, cst.ClassDef)
            return f"{owner.name.value}.{name}" if owner is not None else name
        return name or None

    def _qualified(self, module: str, node: cst.CSTNode) -> str:
        script = self.scripts[module]
        name = absolute(script.name(node) or f"{module}.{dotted(node)}", script.package)
        for _ in range(5):
            name = self._handed_on.get(name, name)
        return name

    def _of_call(self, module: str, script: Script, call: cst.Call) -> NameType | None:
        name = self._qualified(module, call.func)
        if name in MAKERS or name.endswith("environments.make"):
            is_gymnasiums = name.startswith("gymnasium.") and not self.is_made_here(module, call)
            return NameType("environment", 5, 2, numpy_n=is_gymnasiums)
        if name in AGENTS:
            return AGENT
        if (keras_name(name) or "").rpartition(".")[2] in ("Sequential", "Model", "load_model", "model_from_json"):
            return MODEL
        if name in self._classes:
            if call.args:
                given = self.of(module, call.args[0].value)
                if given is not None and given.what == "environment":
                    self._wrapped[name] = given | self._wrapped.get(name)
            return self._of_class(name)
        if name in self._functions:
            self._pass(module, call, self._functions[name])
            home, function = self._functions[name]
            return union(self.of(home, node.value) for node in returns(function) if node.value is not None)
        if name.partition(".")[0] in ("gym", "gymnasium", "stable_baselines3") and call.args:
            return self.of(module, call.args[0].value)  # a wrapper
        return None

    def is_made_here(self, module: str, call: cst.Call) -> bool:
        """Return whether kerasrl has to make an environment: an Atari game, the script's own, or one unknown."""
        first = argument(call, "id", 0)
        name = self.scripts[module].constant(first.value) if first is not None else None
        if not isinstance(name, str):
            return True
        is_elsewhere = name.startswith(("ALE/", "MinAtar/")) or ":" in name or atari.options(name) is not None
        return is_elsewhere or name in self.registered()

    def _pass(self, module: str, call: cst.Call, function: tuple[str, cst.FunctionDef]) -> None:
        """Give the parameters of a function the types of a call's arguments."""
        home, node = function
        parameters = [parameter.name.value for parameter in (*node.params.posonly_params, *node.params.params)]
        for index, name in enumerate(parameters[parameters[:1] == ["self"] :]):
            arg = argument(call, name, index)
            self._set(home, name, self.of(module, arg.value) if arg is not None else None)

    def _find(self, module: str, key: str) -> NameType | None:
        return self._known.get((module, key), self._before.get((module, key)))

    def _set(self, module: str, key: str, kind: NameType | None) -> None:
        if kind is not None:
            self._known[module, key] = kind | self._known.get((module, key))

    def _of_class(self, name: str) -> NameType | None:
        """Return the type of a class's instances."""
        if name not in self._classes:
            return None
        module, node = self._classes[name]
        bases = [self._qualified(module, base.value) for base in node.bases]
        if any(base in AGENTS for base in bases):
            return AGENT
        above = union(self._of_class(base) for base in bases if base in self._classes and base != name)
        methods = {part.name.value: part for part in node.body.body if isinstance(part, cst.FunctionDef)}
        is_wrapper = any("Wrapper" in base for base in bases)
        if not ({"step", "_step"} & set(methods) or is_wrapper or above or any(b in _ENVIRONMENTS for b in bases)):
            return None
        if is_wrapper and above is None:
            above = self._wrapped.get(name, NameType("environment", 5, 2, numpy_n=True))
            self._set(module, f"{node.name.value}.self.env", above)
        above = above or NameType("environment")
        step, reset = above.step, above.reset
        step_method = methods.get("step", methods.get("_step"))
        if step_method is not None:
            step = _only(self._nb_values(module, value) for value in returned(step_method))
        reset_method = methods.get("reset", methods.get("_reset"))
        if reset_method is not None:
            reset = _only(
                2 if isinstance(value, cst.Tuple) and len(value.elements) == 2 and _is_info(value) else 1
                for value in returned(reset_method)
            )
        seeds_itself = above.seeds_itself or bool({"seed", "_seed"} & set(methods))
        return NameType("environment", step, reset, above.numpy_n, is_own=True, seeds_itself=seeds_itself)

    def _nb_values(self, module: str, value: Any) -> int | None:
        """Return how many values a `step` that returns this expression gives."""
        if isinstance(value, cst.Tuple):
            return len(value.elements)
        kind = self.of(module, value.func.value) if method(value) == "step" else None
        return kind.step if kind is not None else None

    def _look_through(self, module: str, script: Script) -> None:
        for node in script.all(cst.CSTNode):
            if isinstance(node, cst.Call):
                self._of_call(module, script, node)  # for what it passes on
                if method(node):
                    self._look_at_method(module, script, node)
            elif isinstance(node, cst.AnnAssign) or (isinstance(node, cst.Assign) and len(node.targets) == 1):
                target = node.target if isinstance(node, cst.AnnAssign) else node.targets[0].target
                for name, value in _pairs(target, node.value):
                    if (key := self._key(module, name)) is not None:
                        self._set(module, key, self.of(module, value))

    def _look_at_method(self, module: str, script: Script, call: Any) -> None:
        """Learn from `agent.fit(env, ...)`, and from calls of a class's own methods."""
        owner, called = call.func.value, method(call)
        key = self._key(module, owner)
        if key is None:
            return
        if called in ("fit", "test") and self.of(module, owner) is None:
            is_asked = any(argument(call, name) for name in ("nb_steps", "nb_episodes", "nb_max_episode_steps"))
            first = argument(call, "env", 0)
            if is_asked or (first is not None and self.of(module, first.value) is not None):
                self._set(module, key, AGENT)
        node = script.enclosing(call, cst.ClassDef) if dotted(owner) == "self" else None
        for part in node.body.body if node is not None else ():
            if isinstance(part, cst.FunctionDef) and part.name.value == called:
                self._pass(module, call, (module, part))


def _pairs(target: Any, value: Any) -> list[tuple[Any, Any]]:
    """Return which expression each name is assigned: two for `a, b = c, d`."""
    if isinstance(target, cst.Tuple) and isinstance(value, cst.Tuple) and len(target.elements) == len(value.elements):
        return [(a.value, b.value) for a, b in zip(target.elements, value.elements, strict=True)]
    return [(target, value)] if value is not None else []


def returns(function: cst.FunctionDef) -> Iterator[cst.Return]:
    """Yield the returns of a function, not those of functions in it."""
    for node in below(function.body, lambda node: isinstance(node, cst.FunctionDef | cst.ClassDef | cst.Lambda)):
        if isinstance(node, cst.Return):
            yield node


def returned(function: cst.FunctionDef) -> Iterator[cst.BaseExpression]:
    """Yield what a function returns; for a name what it was assigned last, for an inner function what that returns."""
    assigned: dict[str, cst.BaseExpression] = {}
    inner: dict[str, cst.FunctionDef] = {}
    for part in below(function.body):
        if isinstance(part, cst.Assign) and isinstance(part.targets[0].target, cst.Name):
            assigned[part.targets[0].target.value] = part.value
        if isinstance(part, cst.FunctionDef):
            inner[part.name.value] = part
    for node in returns(function):
        value = assigned.get(node.value.value, node.value) if isinstance(node.value, cst.Name) else node.value
        name = value.func.value if isinstance(value, cst.Call) and isinstance(value.func, cst.Name) else None
        if name in inner and inner[name] is not function:
            yield from (other for other in returned(inner[name]) if not isinstance(other, cst.Call))
        elif value is not None:
            yield value


def _is_info(value: cst.Tuple) -> bool:
    last = value.elements[1].value
    text = getattr(last, "value", "")
    return isinstance(last, cst.Dict) or "info" in text or text == "_"


def _only(counts: Iterable[int | None]) -> int | None:
    """Return the count if all agree, else None."""
    found = set(counts)
    return found.pop() if len(found) == 1 else None


def union(kinds: Iterable[NameType | None]) -> NameType | None:
    """Return what is known of a name that may have any of several types."""
    result: NameType | None = None
    for kind in kinds:
        if kind is not None:
            result = kind | result
    return result
