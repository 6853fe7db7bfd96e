"""What only the caller's line can decide: how many values it unpacks from an environment's `step` and `reset`.

One environment serves the agent and the script's own loops, so the script's calls are rewritten in its syntax tree to
give what they unpack; see `kerasrl.legacy.source`.
"""

import ast
from types import CodeType
from typing import Any

from kerasrl.legacy import source
from kerasrl.legacy.running.environment_calls import LIMITED, RENDER, RESET, STEP
from kerasrl.legacy.script import script
from kerasrl.legacy.source import PYTHON_2, Scope, is_call, parts

_TF_KERAS = "tensorflow.python.keras"  # TensorFlow's private copy of Keras 2, which it needs itself


def compiled(text: bytes | str, file: str) -> CodeType:
    """Return the code of a source file with its environments' calls translated; raises SyntaxError as Python does."""
    return compile(CellTransformer().visit(ast.parse(text, file)), file, "exec", dont_inherit=True)


class CellTransformer:
    """Translates a whole syntax tree, of a script or of a notebook's cell."""

    def visit(self, tree: ast.Module) -> ast.Module:
        """Return the translated tree."""
        note_kerases(tree)
        _rename_python_2(tree)
        return ast.fix_missing_locations(_Unpacking().visit(tree))  # type: ignore[no-any-return]


def note_kerases(tree: ast.AST) -> None:
    """Remember which Keras a script imports, which shows for which Keras-RL it was written."""
    script.keras |= set(source.kerases(tree))


def _rename_python_2(tree: ast.AST) -> None:
    """Give Python 2's functions today's names, unless the script defines them itself."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in PYTHON_2]
    own = {node.id for node in found if not isinstance(node.ctx, ast.Load)}
    for node in found:
        if node.id not in own:
            node.id = PYTHON_2[node.id]


class _Unpacking(ast.NodeTransformer):
    """Let calls of `step`, `reset` and `render` give what their lines expect."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    def visit_scope(self, node: Any) -> ast.AST:
        self.scopes.append(Scope(node, self.scopes[-1] if self.scopes else None))
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
        if source.is_first_of_reset(node) and self.scopes[-1].is_of_today:
            node.value = _rewritten(node.value, RESET, 2)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if is_call(node, "render"):
            return _rewritten(node, RENDER)
        is_step, is_of_today = is_call(node, "step"), self.scopes[-1].is_of_today
        if is_of_today or not (is_step or is_call(node, "reset")):
            return node
        return _rewritten(node, STEP, 4) if is_step else _rewritten(node, RESET, 1)

    def _fitting(self, target: ast.expr, value: ast.expr) -> ast.expr:
        """Return an expression that gives as many values as its target unpacks."""
        scope = self.scopes[-1]
        unpacked = parts(target)
        if unpacked is not None and isinstance(value, ast.Tuple) and len(value.elts) == len(unpacked):  # a, b = c, d
            pairs = zip(unpacked, value.elts, strict=True)
            return ast.copy_location(ast.Tuple([self._fitting(*pair) for pair in pairs], ast.Load()), value)
        if is_call(value, "step"):
            count = source.nb_step_values(target)
            if isinstance(target, ast.Name):
                count = scope.nb_unpacked.get(target.id)
            return _rewritten(value, STEP, count) if count else value
        if is_call(value, "reset") and unpacked is not None and len(unpacked) == 2:
            is_info = scope.is_of_today or source.names_info(unpacked[1])  # not an observation of two numbers
            return _rewritten(value, RESET, 2) if is_info else value
        return value

    def _on_limit(self, target: Any) -> Any:
        """Let `env._max_episode_steps = 500` reach the wrapper that limits the time."""
        is_limit = isinstance(target, ast.Attribute) and target.attr == "_max_episode_steps"
        if is_limit and getattr(target.value, "id", "") not in ("self", "cls"):
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


def _rewritten(call: Any, function: str, *count: int) -> ast.Call:
    """Return `function(environment, count, ...)` for `environment.method(...)`."""
    name = ast.copy_location(ast.Name(function, ast.Load()), call)
    arguments = [call.func.value, *map(ast.Constant, count), *call.args]
    return ast.copy_location(ast.Call(name, arguments, call.keywords), call)
