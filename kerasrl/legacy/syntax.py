"""What only the caller's line can decide: how many values it unpacks from an environment's `step` and `reset`.

gym's `step` returned (observation, reward, done, info) until 0.25 and (observation, reward, terminated, truncated,
info) from 0.26 on, and `reset` an observation, then (observation, info). One environment object serves the agent and
the script's own loops, so the calls in the script are rewritten in its syntax tree to give what they unpack.
"""

import ast
from collections.abc import Iterable, Iterator
from types import CodeType
from typing import Any

from kerasrl.legacy.calls import LIMITED, RENDER, RESET, STEP
from kerasrl.legacy.calls import provide as provide
from kerasrl.legacy.notes import notes

_TF_KERAS = "tensorflow.python.keras"  # TensorFlow's private copy of Keras 2, which it needs itself


# Python 2's functions -> Python 3's.
PYTHON_2 = {"xrange": "range", "raw_input": "input", "unicode": "str", "unichr": "chr"}


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
        _rename_python_2(tree)
        return ast.fix_missing_locations(_Unpacking().visit(tree))  # type: ignore[no-any-return]


def note_kerases(tree: ast.AST) -> None:
    """Remember which Kerases a script imports, which tells for which Keras-RL it was written."""
    notes.keras |= set(kerases(tree))


def _rename_python_2(tree: ast.AST) -> None:
    """Give Python 2's functions their names of today, unless the script defines them itself."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in PYTHON_2]
    own = {node.id for node in found if not isinstance(node.ctx, ast.Load)}
    for node in found:
        if node.id not in own:
            node.id = PYTHON_2[node.id]


class _Unpacking(ast.NodeTransformer):
    """Let calls of `step`, `reset` and `render` give what their lines expect."""

    def __init__(self) -> None:
        self.scopes: list[_Scope] = []

    def visit_scope(self, node: Any) -> ast.AST:
        self.scopes.append(_Scope(node, self.scopes[-1] if self.scopes else None))
        self.generic_visit(node)
        self.scopes.pop()
        return node  # type: ignore[no-any-return]

    visit_Module = visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = visit_scope

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        for target in node.targets:
            node.value = self._fitting(target, node.value)
        node.targets = [self._on_limit(target) for target in node.targets]
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is not None:
            node.value = self._fitting(node.target, node.value)
        return self.generic_visit(node)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> ast.AST:
        node.value = self._fitting(node.target, node.value)
        return self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if _is_first_of_reset(node) and self.scopes[-1].is_of_today:
            node.value = _rewritten(node.value, RESET, 2)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if _is_call(node, "render"):
            return _rewritten(node, RENDER)
        is_step, is_of_today = _is_call(node, "step"), self.scopes[-1].is_of_today
        if is_of_today or not (is_step or _is_call(node, "reset")):
            return node
        return _rewritten(node, STEP, 4) if is_step else _rewritten(node, RESET, 1)

    def _fitting(self, target: ast.expr, value: ast.expr) -> ast.expr:
        """Return a value that gives as many values as its target unpacks."""
        scope = self.scopes[-1]
        parts = _parts(target)
        if parts is not None and isinstance(value, ast.Tuple) and len(value.elts) == len(parts):  # a, b = c, d
            pairs = zip(parts, value.elts, strict=True)
            return ast.copy_location(ast.Tuple([self._fitting(*pair) for pair in pairs], ast.Load()), value)
        if _is_call(value, "step"):
            count = _nb_steps_values(target)
            if isinstance(target, ast.Name):
                count = scope.nb_unpacked.get(target.id)
            return _rewritten(value, STEP, count) if count else value
        if _is_call(value, "reset") and parts is not None and len(parts) == 2:
            if not scope.is_of_today and not _names_info(parts[1]):
                return value  # an observation of two numbers
            return _rewritten(value, RESET, 2)
        return value

    def _on_limit(self, target: ast.expr) -> ast.expr:
        """Let `env._max_episode_steps = 500` reach the wrapper that limits the time."""
        if (
            isinstance(target, ast.Attribute)
            and target.attr == "_max_episode_steps"
            and not (isinstance(target.value, ast.Name) and target.value.id in ("self", "cls"))
        ):
            function = ast.copy_location(ast.Name(LIMITED, ast.Load()), target)
            target.value = ast.copy_location(ast.Call(function, [target.value], []), target)
        return target

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


def kerases(tree: ast.AST) -> Iterator[str]:
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


class _Scope:
    """A function, or the module around all of them.

    `is_of_today` tells whether calls whose result is not unpacked mean five values and two, as since gym 0.26;
    `nb_unpacked` for each name how many values of a step are taken from it.
    """

    def __init__(self, node: ast.AST, outer: "_Scope | None") -> None:
        inside, everything = list(_inside(node)), list(ast.walk(node))
        signs = list(_signs(inside))
        if outer is None:
            signs = signs or list(_signs(everything)) or list(_hints(everything))
        self.is_of_today: bool = any(signs) if signs or outer is None else outer.is_of_today
        self.nb_unpacked: dict[str, int] = {}
        for part in inside:
            if isinstance(part, ast.Assign) and isinstance(part.value, ast.Name):
                count = _nb_steps_values(part.targets[0])
                if count is not None:
                    self.nb_unpacked[part.value.id] = count


def generations(tree: ast.Module) -> dict[int, bool]:
    """Return for each function, by the line of its `def`, 0 for the module, whether its calls are as since gym 0.26."""
    result: dict[int, bool] = {}

    def look_at(node: ast.AST, line: int, outer: _Scope | None) -> None:
        scope = _Scope(node, outer)
        result[line] = scope.is_of_today
        for part in _inside(node):
            if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                look_at(part, part.lineno, scope)

    look_at(tree, 0, None)
    return result


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what is in a function or module, but not in the functions in it."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _inside(child)


def _signs(nodes: Iterable[ast.AST]) -> Iterator[bool]:
    """Tell of each line that unpacks what an environment returns whether it is one of today's: five values, or info."""
    for node in nodes:
        if isinstance(node, ast.Assign) and _is_call(node.value, "step"):
            count = _nb_steps_values(node.targets[0])
            if count is not None:
                yield count == 5
        elif isinstance(node, ast.Assign) and _is_call(node.value, "reset"):
            parts = _parts(node.targets[0])
            if parts is not None and len(parts) == 2 and _names_info(parts[1]):
                yield True


def _hints(nodes: Iterable[ast.AST]) -> Iterator[bool]:
    """Tell of lines that are today's unless others speak against it: `reset(seed=1)` of gym 0.22, `reset()[0]`."""
    for node in nodes:
        if _is_call(node, "reset"):
            yield any(keyword.arg == "seed" for keyword in node.keywords)  # type: ignore[attr-defined]
        elif _is_first_of_reset(node):
            yield True


def _is_first_of_reset(node: ast.AST) -> bool:
    """Return whether a node is `something.reset()[0]`."""
    return (
        isinstance(node, ast.Subscript)
        and _is_call(node.value, "reset")
        and isinstance(node.slice, ast.Constant)
        and node.slice.value == 0
    )


def _names_info(target: ast.expr) -> bool:
    """Return whether a target is called as the second value of a reset is."""
    name = target.id if isinstance(target, ast.Name) else getattr(target, "attr", "")
    return not name.strip("_") or "info" in name.lower()


def _is_call(node: ast.AST | None, method: str) -> bool:
    """Return whether a node is `something.method(...)`."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method


def _rewritten(call: Any, function: str, *count: int) -> ast.Call:
    """Return `function(environment, count, ...)` for `environment.method(...)`."""
    name = ast.copy_location(ast.Name(function, ast.Load()), call)
    arguments = [call.func.value, *map(ast.Constant, count), *call.args]
    return ast.copy_location(ast.Call(name, arguments, call.keywords), call)


def _parts(target: ast.expr) -> list[ast.expr] | None:
    """Return the parts of a target that unpacks, None if it does not."""
    return target.elts if isinstance(target, ast.Tuple | ast.List) else None


def _nb_steps_values(target: ast.expr) -> int | None:
    """Return how many of step's values a target unpacks, None if it does not."""
    parts = _parts(target) or []
    starred = [at for at, part in enumerate(parts) if isinstance(part, ast.Starred)]
    if starred:  # in `observation, reward, done, *rest` the third is done
        return 5 if len(parts) > 4 else 4 if starred == [3] else None
    return len(parts) if len(parts) in (4, 5) else None
