"""What only the caller's line can decide: how many values it unpacks from an environment's `step` and `reset`.

gym's `step` returned (observation, reward, done, info) until 0.25 and (observation, reward, terminated, truncated,
info) from 0.26 on, and `reset` an observation, then (observation, info). One environment object serves the agent and
the script's own loops, so the calls in the script are rewritten in its syntax tree to give what they unpack.
"""

import ast
from collections.abc import Iterator
from types import CodeType
from typing import Any

from kerasrl.legacy.notes import notes

_STEP, _RESET = "__kerasrl_step__", "__kerasrl_reset__"
_TF_KERAS = "tensorflow.python.keras"  # TensorFlow's private copy of Keras 2, which it needs itself


def compiled(source: bytes | str, file: str) -> CodeType:
    """Return the code of a source file, its environments' calls translated and its lines numbered as they are.

    Raises:
        SyntaxError: As Python does.
    """
    return compile(CellTransformer().visit(ast.parse(source, file)), file, "exec", dont_inherit=True)


class CellTransformer:
    """Translate a whole syntax tree: that of a script, or of a notebook's cell."""

    def visit(self, tree: ast.Module) -> ast.Module:
        """Return the tree, translated."""
        note_kerases(tree)
        return ast.fix_missing_locations(_Unpacking(_is_of_today(tree)).visit(tree))  # type: ignore[no-any-return]


def note_kerases(tree: ast.AST) -> None:
    """Remember which Kerases a script imports, which tells for which Keras-RL it was written."""
    notes.keras |= set(_kerases(tree))


def provide(names: dict[str, Any]) -> None:
    """Put what the rewritten calls call into a module's names."""
    names[_STEP], names[_RESET] = step, reset


def step(environment: Any, nb_values: int, *args: Any, **kwargs: Any) -> Any:
    """Return what `environment.step` returns as 4 or 5 values; anything else as it is."""
    result = environment.step(*args, **kwargs)
    if not isinstance(result, tuple) or len(result) == nb_values or not _is_environment(environment):
        return result
    if nb_values == 4 and len(result) == 5:
        notes.translated("step() returns five values here -> observation, reward, done, info")
        observation, reward, terminated, truncated, info = result
        if truncated:
            info = {**info, "TimeLimit.truncated": not terminated}
        return observation, reward, bool(terminated or truncated), info
    if nb_values == 5 and len(result) == 4:
        notes.translated("step() returns four values here -> observation, reward, terminated, truncated, info")
        observation, reward, done, info = result
        truncated = bool(done) and bool(info.get("TimeLimit.truncated", False))
        return observation, reward, bool(done) and not truncated, truncated, info
    return result


def reset(environment: Any, nb_values: int, *args: Any, **kwargs: Any) -> Any:
    """Return what `environment.reset` returns as an observation (1) or observation and info (2)."""
    result = environment.reset(*args, **kwargs)
    if not _is_environment(environment):
        return result
    has_info = isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict)
    if has_info and nb_values == 1:
        notes.translated("reset() returns observation and info -> observation")
        return result[0]
    if not has_info and nb_values == 2:
        notes.translated("reset() returns an observation -> observation, info")
        return result, {}
    return result


def _is_environment(thing: Any) -> bool:
    return hasattr(thing, "action_space") or hasattr(thing, "observation_space")


class _Unpacking(ast.NodeTransformer):
    """Let calls of `step` and `reset` give as many values as their line unpacks.

    Args:
        is_of_today: Whether calls whose result is not unpacked mean five values and two, as since gym 0.26.
    """

    def __init__(self, is_of_today: bool) -> None:
        self.is_of_today = is_of_today

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        self._rewrite(node, node.targets[0])
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self._rewrite(node, node.target)
        return self.generic_visit(node)

    def _rewrite(self, node: ast.Assign | ast.AnnAssign, target: ast.expr) -> None:
        """Rewrite a call whose values are unpacked by the same statement."""
        if _is_call(node.value, "step") and (count := _nb_steps_values(target)):
            node.value = _rewritten(node.value, _STEP, count)
        elif _is_call(node.value, "reset") and isinstance(target, ast.Tuple) and len(target.elts) == 2:
            if not self.is_of_today and not _is_of_today(node):
                return  # an observation of two numbers
            node.value = _rewritten(node.value, _RESET, 2)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if self.is_of_today:
            return node
        if _is_call(node, "step"):
            return _rewritten(node, _STEP, 4)
        if _is_call(node, "reset"):
            return _rewritten(node, _RESET, 1)
        return node

    def visit_Import(self, node: ast.Import) -> ast.AST:
        for alias in node.names:
            if alias.asname and (alias.name + ".").startswith(f"{_TF_KERAS}."):
                alias.name = alias.name.replace(_TF_KERAS, "tensorflow.keras", 1)
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        if node.module == "tensorflow.python" and [alias.name for alias in node.names] == ["keras"]:
            node.module = "tensorflow"
        elif node.module and (node.module + ".").startswith(f"{_TF_KERAS}."):
            node.module = node.module.replace(_TF_KERAS, "tensorflow.keras", 1)
        return node


def _kerases(tree: ast.AST) -> Iterator[str]:
    """Name the Kerases that code imports: 'keras', 'tensorflow.keras' or both."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in ("tf.keras", "tensorflow.keras"):
            names = ["tensorflow.keras"]
        for name in names:
            if name.partition(".")[0] == "keras":
                yield "keras"
            elif name.startswith(("tensorflow.keras", "tensorflow.python.keras")):
                yield "tensorflow.keras"


def _is_call(node: ast.AST | None, method: str) -> bool:
    """Return whether a node is `something.method(...)`, but not `super().method(...)`."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == method
        and not (isinstance(node.func.value, ast.Call) and getattr(node.func.value.func, "id", "") == "super")
    )


def _rewritten(call: Any, function: str, count: int) -> ast.Call:
    """Return `function(environment, count, ...)` for `environment.method(...)`."""
    name = ast.copy_location(ast.Name(function, ast.Load()), call)
    return ast.copy_location(ast.Call(name, [call.func.value, ast.Constant(count), *call.args], call.keywords), call)


def _nb_steps_values(target: ast.expr) -> int | None:
    """Return how many of step's values a target unpacks, None if it does not."""
    if not isinstance(target, ast.Tuple | ast.List):
        return None
    if any(isinstance(part, ast.Starred) for part in target.elts):
        return 5 if len(target.elts) > 4 else None
    return len(target.elts) if len(target.elts) in (4, 5) else None


def _is_of_today(tree: ast.AST) -> bool:
    """Return whether code treats environments as since gym 0.26: five values, and a reset with info or a seed."""
    return any(_signs(tree))


def _signs(tree: ast.AST) -> Iterator[bool]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and _is_call(node.value, "step"):
            yield _nb_steps_values(node.targets[0]) == 5
        elif isinstance(node, ast.Assign) and _is_call(node.value, "reset") and isinstance(node.targets[0], ast.Tuple):
            yield getattr(node.targets[0].elts[-1], "id", "") in ("_", "info", "infos", "_info")
        elif isinstance(node, ast.Subscript) and _is_call(node.value, "reset"):
            yield isinstance(node.slice, ast.Constant) and node.slice.value == 0
        elif _is_call(node, "reset"):
            yield any(keyword.arg == "seed" for keyword in node.keywords)  # type: ignore[attr-defined]
