"""What a script's source shows of its time: Python 2 or 3, which Keras, four values or five from an environment's step.

gym's `step` returned (observation, reward, done, info) until 0.25 and returns (observation, reward, terminated,
truncated, info) since 0.26; `reset` returned an observation, and returns (observation, info). What a line unpacks shows
which it means.
"""

import ast
from collections.abc import Iterable, Iterator

# Python 2's functions -> Python 3's.
PYTHON_2 = {"xrange": "range", "raw_input": "input", "unicode": "str", "unichr": "chr"}


def kerases(tree: ast.AST) -> Iterator[str]:
    """Yield 'keras' and 'tensorflow.keras' for what code imports."""
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
            elif name.startswith(("tensorflow.keras", "tensorflow.python.keras", "tf_keras")):
                yield "tensorflow.keras"


class Scope:
    """A function, or the module around all of them.

    `is_of_today` tells whether calls whose result is not unpacked mean five values and two, as since gym 0.26;
    `nb_unpacked` how many values of a step the script takes from each name.
    """

    def __init__(self, node: ast.AST, outer: "Scope | None") -> None:
        inside, everything = list(_inside(node)), list(ast.walk(node))
        signs = list(_signs(inside))
        if outer is None:
            signs = signs or list(_signs(everything)) or list(_hints(everything))
        self.is_of_today: bool = any(signs) if signs or outer is None else outer.is_of_today
        self.nb_unpacked: dict[str, int] = {}
        for part in inside:
            if isinstance(part, ast.Assign) and isinstance(part.value, ast.Name):
                count = nb_step_values(part.targets[0])
                if count is not None:
                    self.nb_unpacked[part.value.id] = count


def generations(tree: ast.Module) -> dict[int, bool]:
    """Return for each function's first line, and 0 for the module, whether its calls are as since gym 0.26."""
    result: dict[int, bool] = {}

    def look_at(node: ast.AST, line: int, outer: Scope | None) -> None:
        scope = Scope(node, outer)
        result[line] = scope.is_of_today
        for part in _inside(node):
            if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                look_at(part, part.lineno, scope)

    look_at(tree, 0, None)
    return result


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what is in a function or module, but not what is in its inner functions."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _inside(child)


def _signs(nodes: Iterable[ast.AST]) -> Iterator[bool]:
    """Yield, for each line that unpacks what an environment returns, whether that is today's: five values, or info."""
    for node in nodes:
        if isinstance(node, ast.Assign) and is_call(node.value, "step"):
            count = nb_step_values(node.targets[0])
            if count is not None:
                yield count == 5
        elif isinstance(node, ast.Assign) and is_call(node.value, "reset"):
            unpacked = parts(node.targets[0])
            if unpacked is not None and len(unpacked) == 2 and names_info(unpacked[1]):
                yield True


def _hints(nodes: Iterable[ast.AST]) -> Iterator[bool]:
    """Yield weaker signs of today's values: `reset(seed=1)`, which gym 0.22 had too, and `reset()[0]`."""
    for node in nodes:
        if is_call(node, "reset"):
            yield any(keyword.arg == "seed" for keyword in node.keywords)  # type: ignore[attr-defined]
        elif is_first_of_reset(node):
            yield True


def is_first_of_reset(node: ast.AST) -> bool:
    """Return whether a node is `something.reset()[0]`."""
    return (
        isinstance(node, ast.Subscript)
        and is_call(node.value, "reset")
        and isinstance(node.slice, ast.Constant)
        and node.slice.value == 0
    )


def names_info(target: ast.expr) -> bool:
    """Return whether a target is named like the second value of a reset."""
    name = target.id if isinstance(target, ast.Name) else getattr(target, "attr", "")
    return not name.strip("_") or "info" in name.lower()


def is_call(node: ast.AST | None, method: str) -> bool:
    """Return whether a node is `something.method(...)`."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method


def parts(target: ast.expr) -> list[ast.expr] | None:
    """Return the parts of a target that unpacks, None if it does not."""
    return target.elts if isinstance(target, ast.Tuple | ast.List) else None


def nb_step_values(target: ast.expr) -> int | None:
    """Return how many of step's values a target unpacks, None if it does not."""
    unpacked = parts(target) or []
    starred = [at for at, part in enumerate(unpacked) if isinstance(part, ast.Starred)]
    if starred:  # in `observation, reward, done, *rest` the third is done
        return 5 if len(unpacked) > 4 else 4 if starred == [3] else None
    return len(unpacked) if len(unpacked) in (4, 5) else None
