"""Which names of a script are environments, of how many values, and which are agents; as far as its source tells."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import libcst as cst

from kerasrl.environments import atari
from kerasrl.legacy.keras_rl import HOMES
from kerasrl.legacy.migration.script import Script, absolute, argument, dotted, keras_name

MAKERS = {"gym.make", "gymnasium.make", "gym.envs.make", "gym.envs.registration.make", "gymnasium.envs.make"}
AGENTS = {f"{home}.DQNAgent" for home in (*HOMES["DQNAgent"], "kerasrl", "keras_rl2.agents", "keras_rl2.agents.dqn")}
_ENVIRONMENTS = ("gym.Env", "gym.core.Env", "gymnasium.Env", "gymnasium.core.Env", "rl.core.Env")


@dataclass(frozen=True)
class Kind:
    """What a name holds; `None` values are unknown.

    `step` and `reset` are how many values an environment's methods return; `numpy_n` is whether the `n` of its spaces
    may be a NumPy integer, as Gymnasium's is; `seeds_itself` is whether its class has a method `seed` of its own.
    """

    what: Literal["environment", "agent", "model"]
    step: int | None = None
    reset: int | None = None
    numpy_n: bool = False
    is_own: bool = False
    seeds_itself: bool = False

    def __or__(self, other: "Kind | None") -> "Kind":
        if other is None or self == other:
            return self
        if self.what != other.what:
            return self
        return replace(
            self,
            step=self.step if self.step == other.step else None,
            reset=self.reset if self.reset == other.reset else None,
            numpy_n=self.numpy_n or other.numpy_n,
            is_own=self.is_own and other.is_own,
            seeds_itself=self.seeds_itself and other.seeds_itself,
        )


AGENT = Kind("agent")
MODEL = Kind("model")
UNKNOWN = Kind("environment")


class Kinds:
    """The kinds of the names of several scripts, which import each other.

    A name has one kind in a file, whatever the function; `self.x` has one in its class.
    """

    def __init__(self, scripts: dict[str, Script]) -> None:
        self.scripts = scripts
        self._known: dict[tuple[str, str], Kind] = {}
        self._classes: dict[str, tuple[str, cst.ClassDef]] = {}
        self._functions: dict[str, tuple[str, cst.FunctionDef]] = {}
        self._wrapped: dict[str, Kind] = {}  # class -> kind of what its constructor is given
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
        self._before: dict[tuple[str, str], Kind] = {}
        for _ in range(4):  # a name may come from a name that is understood later
            self._before, self._known = self._known, {}
            for module, script in scripts.items():
                self._look_through(module, script)
        known = {kind for kind in self._known.values() if kind.what == "environment" and kind.step is not None}
        counts = {(kind.step, kind.reset) for kind in known}
        self._only = replace(next(iter(known)), is_own=False) if len(counts) == 1 else None

    def of(self, module: str, node: cst.CSTNode) -> Kind | None:
        """Return the kind of an expression, None if it is neither environment nor agent, as far as is known."""
        script = self.scripts[module]
        if isinstance(node, cst.Name | cst.Attribute):
            key = self._key(module, node)
            if key is not None and (found := self._find(module, key)) is not None:
                return found
            if isinstance(node, cst.Attribute) and node.attr.value in ("model", "target_model"):
                owner = self.of(module, node.value)
                if owner is not None and owner.what == "agent":
                    return MODEL
            if isinstance(node, cst.Attribute) and node.attr.value in ("unwrapped", "env"):
                inner = self.of(module, node.value)
                if inner is not None:
                    return inner
            name = script.name(node)
            home, _, last = (name or "").rpartition(".")
            return self._find(home, last)
        if isinstance(node, cst.IfExp):
            first, second = self.of(module, node.body), self.of(module, node.orelse)
            return first | second if first is not None else second
        return self._of_call(module, script, node) if isinstance(node, cst.Call) else None

    def environment(self, module: str, node: cst.CSTNode) -> Kind:
        """Return the kind of an expression that is used as an environment.

        Where it is not known and all of the scripts' environments are of one kind, it is that.
        """
        kind = self.of(module, node)
        if kind is None or kind.what != "environment" or kind.step is None:
            return self._only or kind or UNKNOWN
        return kind

    def of_base(self, module: str, call: cst.Call) -> Kind | None:
        """Return the kind of what `super()` calls in a wrapper: that of the environment in it."""
        owner = self.scripts[module].enclosing(call, cst.ClassDef)
        return self._find(module, f"{owner.name.value}.self.env") if owner is not None else None

    def is_environment(self, module: str, node: cst.ClassDef) -> bool:
        """Return whether a class is an environment's, or a wrapper's."""
        return self._of_class(f"{module}.{node.name.value}") is not None

    def registered(self) -> set[str]:
        """Return the names of the environments that the scripts register themselves."""
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

    def _of_call(self, module: str, script: Script, call: cst.Call) -> Kind | None:
        name = self._qualified(module, call.func)
        if name in MAKERS or name.endswith("environments.make"):
            return Kind(
                "environment", 5, 2, numpy_n=name.startswith("gymnasium.") and not self.is_made_here(module, call)
            )
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
            return union(self.of(home, node.value) for node in _returns(function) if node.value is not None)
        if name.partition(".")[0] in ("gym", "gymnasium", "stable_baselines3") and call.args:
            return self.of(module, call.args[0].value)  # a wrapper
        return None

    def is_made_here(self, module: str, call: cst.Call) -> bool:
        """Return whether kerasrl has to make an environment: an Atari game, one of the script's own, or unknown."""
        first = argument(call, "id", 0)
        name = self.scripts[module].constant(first.value) if first is not None else None
        if not isinstance(name, str):
            return True
        is_elsewhere = name.startswith(("ALE/", "MinAtar/")) or ":" in name or atari.options(name) is not None
        return is_elsewhere or name in self.registered()

    def _pass(self, module: str, call: cst.Call, function: tuple[str, cst.FunctionDef]) -> None:
        """Let the parameters of a function have the kinds of what a call gives it."""
        home, node = function
        parameters = [parameter.name.value for parameter in (*node.params.posonly_params, *node.params.params)]
        if parameters[:1] == ["self"]:
            parameters = parameters[1:]
        for index, name in enumerate(parameters):
            arg = argument(call, name, index)
            kind = self.of(module, arg.value) if arg is not None else None
            if kind is not None:
                self._set(home, name, kind)

    def _find(self, module: str, key: str) -> Kind | None:
        return self._known.get((module, key), self._before.get((module, key)))

    def _set(self, module: str, key: str, kind: Kind) -> None:
        self._known[module, key] = kind | self._known.get((module, key))

    def _of_class(self, name: str) -> Kind | None:
        """Return the kind of a class's instances."""
        if name not in self._classes:
            return None
        module, node = self._classes[name]
        script = self.scripts[module]
        bases = [self._qualified(module, base.value) for base in node.bases]
        if any(base in AGENTS for base in bases):
            return AGENT
        above = union(self._of_class(base) for base in bases if base in self._classes and base != name)
        methods = {part.name.value: part for part in node.body.body if isinstance(part, cst.FunctionDef)}
        is_wrapper = any("Wrapper" in base for base in bases)
        if not ({"step", "_step"} & set(methods) or is_wrapper or above or any(b in _ENVIRONMENTS for b in bases)):
            return None
        if is_wrapper and above is None:
            above = self._wrapped.get(name, Kind("environment", 5, 2, numpy_n=True))
            self._set(module, f"{node.name.value}.self.env", above)
        step, reset = above.step if above else None, above.reset if above else None
        step_method = methods.get("step", methods.get("_step"))
        if step_method is not None:
            step = _only(self._nb_values(script, module, step_method, value) for value in _values(step_method))
        reset_method = methods.get("reset", methods.get("_reset"))
        if reset_method is not None:
            reset = _only(
                2 if isinstance(value, cst.Tuple) and len(value.elements) == 2 and _is_info(value) else 1
                for value in _values(reset_method)
            )
        seeds_itself = bool({"seed", "_seed"} & set(methods)) or bool(above and above.seeds_itself)
        return Kind("environment", step, reset, bool(above and above.numpy_n), is_own=True, seeds_itself=seeds_itself)

    def _nb_values(self, script: Script, module: str, method: cst.FunctionDef, value: cst.BaseExpression) -> int | None:
        """Return how many values a `step` returns by one of its returns."""
        if isinstance(value, cst.Tuple):
            return len(value.elements)
        if isinstance(value, cst.Call) and isinstance(value.func, cst.Attribute) and value.func.attr.value == "step":
            kind = self.of(module, value.func.value)
            return kind.step if kind is not None else None
        return None

    def _look_through(self, module: str, script: Script) -> None:
        for node in script.all(cst.CSTNode):
            if isinstance(node, cst.Assign) and len(node.targets) == 1:
                pairs = [(node.targets[0].target, node.value)]
            elif isinstance(node, cst.AnnAssign) and node.value is not None:
                pairs = [(node.target, node.value)]
            elif isinstance(node, cst.Call):
                self._of_call(module, script, node)  # for what it passes on
                self._look_at_method(module, script, node)
                continue
            else:
                continue
            for target, value in pairs:
                kind, key = self.of(module, value), self._key(module, target)
                if kind is not None and key is not None:
                    self._set(module, key, kind)

    def _look_at_method(self, module: str, script: Script, call: cst.Call) -> None:
        """Learn from `agent.fit(env, ...)`, and from calls of a class's own methods."""
        if not isinstance(call.func, cst.Attribute):
            return
        method, owner = call.func.attr.value, call.func.value
        key = self._key(module, owner)
        if key is None:
            return
        if method in ("fit", "test") and self.of(module, owner) is None:
            is_asked = any(argument(call, name) for name in ("nb_steps", "nb_episodes", "nb_max_episode_steps"))
            first = argument(call, "env", 0)
            if is_asked or (first is not None and self.of(module, first.value) is not None):
                self._set(module, key, AGENT)
        if dotted(owner) == "self":
            node = script.enclosing(call, cst.ClassDef)
            methods = [part for part in node.body.body if isinstance(part, cst.FunctionDef)] if node else []
            for part in methods:
                if part.name.value == method:
                    self._pass(module, call, (module, part))


def _returns(function: cst.FunctionDef) -> Iterator[cst.Return]:
    """Yield the returns of a function, not those of functions in it."""
    stack: list[cst.CSTNode] = [function.body]
    while stack:
        node = stack.pop()
        if isinstance(node, cst.Return):
            yield node
        if not isinstance(node, cst.FunctionDef | cst.ClassDef | cst.Lambda):
            stack.extend(node.children)


def _values(function: cst.FunctionDef) -> Iterator[cst.BaseExpression]:
    """Yield what a function returns; of a name, what was assigned to it last, of a function in it what that returns."""
    assigned: dict[str, cst.BaseExpression] = {}
    inner: dict[str, cst.FunctionDef] = {}
    stack: list[cst.CSTNode] = [function.body]
    while stack:
        node = stack.pop(0)
        if isinstance(node, cst.Assign) and isinstance(node.targets[0].target, cst.Name):
            assigned[node.targets[0].target.value] = node.value
        if isinstance(node, cst.FunctionDef):
            inner[node.name.value] = node
        stack.extend(node.children)
    for node in _returns(function):
        value = node.value
        if isinstance(value, cst.Name) and value.value in assigned:
            value = assigned[value.value]
        name = value.func.value if isinstance(value, cst.Call) and isinstance(value.func, cst.Name) else None
        if name in inner and inner[name] is not function:
            yield from (other for other in _values(inner[name]) if not isinstance(other, cst.Call))
        elif value is not None:
            yield value


def _is_info(value: cst.Tuple) -> bool:
    last = value.elements[1].value
    return isinstance(last, cst.Dict) or "info" in getattr(last, "value", "") or getattr(last, "value", "") == "_"


def _only(counts: Iterable[int | None]) -> int | None:
    """Return the one value of all, None if they differ or there are none."""
    found = set(counts)
    return found.pop() if len(found) == 1 else None


def union(kinds: Iterable[Kind | None]) -> Kind | None:
    """Return what is known of a name that may be any of several kinds."""
    result: Kind | None = None
    for kind in kinds:
        if kind is not None:
            result = kind | result
    return result
