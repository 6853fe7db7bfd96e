"""A source file of an old script: its syntax tree, what its names stand for, and what its migration needs."""

# Methods whose names say it all.
# ruff: noqa: D102

import ast
import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import libcst as cst
from libcst.metadata import MetadataWrapper, ParentNodeProvider, PositionProvider, QualifiedNameProvider

from kerasrl.errors import UserError
from kerasrl.legacy.migrating import keras3

# Homes of Keras, all of them one library today.
_KERASES = ("tensorflow.compat.v1.keras", "tensorflow.python.keras", "tensorflow.keras", "tf_keras")
# Libraries that kerasrl repairs, so that it has to be imported before them.
HEAVY = {"gym", "gymnasium", "keras", "tensorflow", "rl", "keras_rl2", "ale_py"}


def keras_name(name: str | None) -> str | None:
    """Return `keras.layers.Dense` for a full name in any Keras, None for other libraries' names."""
    for home in _KERASES:
        if f"{name}.".startswith(f"{home}."):
            return f"keras{str(name)[len(home) :]}"
    return name if name is not None and name.partition(".")[0] == "keras" else None


@dataclass
class Script:
    """One file as it was read, and what its rewriting asks for.

    `imports` are lines to add before the first library that kerasrl repairs, `late` lines to add after all imports.
    """

    path: Path
    source: bytes
    package: str = ""
    imports: dict[str, None] = field(default_factory=dict)
    late: dict[str, None] = field(default_factory=dict)
    notes: list[tuple[int, str]] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    renamed: dict[str, str] = field(default_factory=dict)
    needs_backend: bool = False

    def __post_init__(self) -> None:
        try:
            self.wrapper = MetadataWrapper(cst.parse_module(self.source), unsafe_skip_copy=True)
        except (cst.ParserSyntaxError, UnicodeDecodeError, SyntaxError) as error:
            line = getattr(error, "raw_line", 1)
            raise UserError(f"{self.path}, line {line}: this is not Python 3; 2to3 may help") from None
        self.module = self.wrapper.module
        self._names = self.wrapper.resolve(QualifiedNameProvider)
        self._positions = self.wrapper.resolve(PositionProvider)
        self.parents = self.wrapper.resolve(ParentNodeProvider)
        self.tree = ast.parse(self.source)
        self._nodes: dict[Any, list[Any]] = {cst.CSTNode: list(below(self.module))}
        self._stars = [
            dotted(node.module)
            for node in self.all(cst.ImportFrom)
            if isinstance(node.names, cst.ImportStar) and node.module is not None
        ]
        self.bound = {
            *(str(node.evaluated_alias or node.evaluated_name).partition(".")[0] for node in self.all(cst.ImportAlias)),
            *(node.value for node in self.all(cst.Name) if self.is_variable(node)),
        }

    def all(self, kind: Any) -> list[Any]:
        """Return all nodes of a class, in the order of the source."""
        if kind not in self._nodes:
            self._nodes[kind] = [node for node in self._nodes[cst.CSTNode] if isinstance(node, kind)]
        return self._nodes[kind]

    def is_variable(self, node: cst.Name) -> bool:
        """Return whether a name is not that of an attribute, argument or module."""
        parent = self.parents.get(node)
        is_attribute = isinstance(parent, cst.Attribute) and parent.attr is node
        is_keyword = isinstance(parent, cst.Arg) and parent.keyword is node
        return not (is_attribute or is_keyword or self.is_in_import(node))

    def is_in_import(self, node: cst.CSTNode) -> bool:
        return self.enclosing(node, cst.Import, cst.ImportFrom) is not None

    def _meanings(self, node: cst.CSTNode) -> Any:
        found = self._names.get(node)
        return (found() if callable(found) else found) or ()

    def name(self, node: cst.CSTNode) -> str | None:
        """Return the full name of what an expression names, if that was imported: `keras.layers.Dense`."""
        found = self._meanings(node)
        names = sorted(name.name for name in found if name.source.name == "IMPORT")
        if names:
            return str(names[-1])
        if not found and isinstance(node, cst.Name):
            for star in self._stars:
                if keras3.exists(star, node.value):
                    return f"{star}.{node.value}"
        if not found and isinstance(node, cst.Attribute):
            home = self.name(node.value)
            return f"{home}.{node.attr.value}" if home else None
        return None

    def is_assigned(self, node: cst.CSTNode) -> bool:
        """Return whether a name is defined or imported in the file, not one of Python's own."""
        return any(name.source.name != "BUILTIN" for name in self._meanings(node))

    def keras_name(self, node: cst.CSTNode) -> str | None:
        """Return `keras.layers.Dense` for an expression that names that class of any Keras."""
        return keras_name(self.name(node))

    def line(self, node: cst.CSTNode) -> int:
        return int(self._positions[node].start.line)

    def note(self, node: cst.CSTNode | None, what: str) -> None:
        """Note what is left for a person to do."""
        self.notes.append((self.line(node) if node is not None else 0, what))

    def code(self, node: cst.CSTNode) -> str:
        return self.module.code_for_node(node)

    def enclosing(self, node: cst.CSTNode, *kinds: type[cst.CSTNode]) -> Any:
        """Return the innermost node of some kinds around a node, or None."""
        parent = self.parents.get(node)
        while parent is not None and not isinstance(parent, kinds):
            parent = self.parents.get(parent)
        return parent

    def free(self, wanted: str) -> str:
        """Return a name that the script does not use yet, and reserve it."""
        while wanted in self.bound:
            wanted += "_"
        self.bound.add(wanted)
        return wanted

    @functools.cached_property
    def ends(self) -> list[str]:
        """Names for an episode's two ends, `terminated` and `truncated` unless the script uses them."""
        return [self.free("terminated"), self.free("truncated")]

    def constant(self, node: cst.BaseExpression | None) -> Any:
        """Return the text or number that an expression or a name assigned only once stands for, else None."""
        if isinstance(node, cst.Name):
            given = [other for other in self.assigned(node.value) if other is not node]
            return self.constant(given[0]) if len(given) == 1 and not isinstance(given[0], cst.Name) else None
        if isinstance(node, cst.SimpleString | cst.Integer | cst.Float):
            return node.evaluated_value
        return None

    def assigned(self, name: str) -> list[cst.BaseExpression]:
        return [node.value for node in self.all(cst.Assign) if dotted(node.targets[0].target) == name]

    def whole(self, value: cst.BaseExpression) -> cst.BaseExpression:
        """Return an expression made an integer, where it may be a float: Keras-RL accepted `1e5`."""
        return cst.Call(cst.Name("int"), [cst.Arg(value)]) if self._is_float(value) else value

    def _is_float(self, value: cst.BaseExpression) -> bool:
        if isinstance(value, cst.Float):
            return True
        if isinstance(value, cst.BinaryOperation):
            return isinstance(value.operator, cst.Divide) or self._is_float(value.left) or self._is_float(value.right)
        if isinstance(value, cst.Name):
            return any(self._is_float(other) for other in self.assigned(value.value) if dotted(other) != value.value)
        if isinstance(value, cst.Attribute):  # of the command line's arguments, where it may still be a string
            made = self.assigned(dotted(value.value))
            return any(isinstance(other, cst.Call) and dotted(other.func).endswith(".parse_args") for other in made)
        return False

    def imported(self, home: str, name: str) -> str:
        """Return how to call kerasrl's `home.name`, and import it unless the script does."""
        key = f"{home}.{name}"
        for line in self.imports:
            if line.startswith(f"from {home} import {name}"):
                return str(line.rpartition(" ")[2])
        taken = name in self.bound and not any(self.name(node) == key for node in self.all(cst.Name))
        own = self.free(f"kerasrl_{name}") if taken else name
        self.imports[f"from {home} import {name}" + (f" as {own}" if own != name else "")] = None
        return own

    def keras(self, at: cst.CSTNode) -> str:
        """Return how the script calls Keras at a place, and import it unless the script does so before."""
        for node in (*self.all(cst.Import), *self.all(cst.ImportFrom)):
            is_later = self.line(node) > self.line(at) and self.enclosing(at, cst.FunctionDef) is None
            if is_later or self.enclosing(node, cst.FunctionDef) is not None or isinstance(node.names, cst.ImportStar):
                continue
            home = f"{dotted(node.module)}." if isinstance(node, cst.ImportFrom) and node.module is not None else ""
            for alias in node.names:
                name = home + dotted(alias.name)
                own = str(alias.evaluated_alias or (dotted(alias.name).partition(".")[0]))
                is_whole = home or alias.evaluated_alias or "." not in name
                if (is_whole and keras_name(name) == "keras") or own == name.partition(".")[0] == "keras":
                    return own
                if is_whole and name == "tensorflow":
                    return f"{own}.keras"
        self.late["import keras"] = None
        return "keras"


def below(node: cst.CSTNode, skip: Callable[[cst.CSTNode], bool] = lambda node: False) -> Iterator[cst.CSTNode]:
    """Yield a node and all nodes in it, in the order of the source, without those to skip and what is in them."""
    stack = [node]
    while stack:
        node = stack.pop()
        if not skip(node):
            yield node
            stack.extend(reversed(node.children))


def names_outside(module: cst.Module, doomed: set[cst.CSTNode], *kinds: type[cst.CSTNode]) -> set[str]:
    """Return the names outside some statements, and outside nodes of some kinds."""
    nodes = below(module, lambda node: node in doomed or isinstance(node, kinds))
    return {node.value for node in nodes if isinstance(node, cst.Name)}


def dotted(node: Any) -> str:
    """Return `a.b.c` for the nodes of a dotted name."""
    if isinstance(node, cst.Attribute):
        return f"{dotted(node.value)}.{node.attr.value}"
    return str(getattr(node, "value", ""))


def method(call: Any) -> str:
    """Return the method's name for a call `something.method(...)`, '' for any other node."""
    return str(call.func.attr.value) if isinstance(call, cst.Call) and isinstance(call.func, cst.Attribute) else ""


def argument(call: cst.Call, name: str, position: int | None = None) -> cst.Arg | None:
    """Return the argument of a call with a name, or at a position."""
    for index, arg in enumerate(call.args):
        is_wanted = index == position if arg.keyword is None else arg.keyword.value == name
        if is_wanted and not arg.star:
            return arg
    return None


def named(arg: cst.Arg, name: str) -> cst.Arg:
    """Return an argument that was given by its position, given by name."""
    nothing = cst.SimpleWhitespace("")
    return arg.with_changes(keyword=cst.Name(name), equal=cst.AssignEqual(nothing, nothing))


def with_argument(call: cst.Call, name: str, value: str | cst.BaseExpression) -> cst.Call:
    """Return a call with one more argument at its end."""
    new = named(cst.Arg(cst.parse_expression(value) if isinstance(value, str) else value), name)
    if not call.args:
        return call.with_changes(args=[new])
    *before, last = call.args
    new = new.with_changes(comma=last.comma, whitespace_after_arg=last.whitespace_after_arg)
    comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    last = last.with_changes(comma=comma, whitespace_after_arg=cst.SimpleWhitespace(""))
    return call.with_changes(args=[*before, last, new])


def changed(call: cst.Call, arg: cst.Arg, **changes: Any) -> cst.Call:
    """Return a call with one of its arguments changed; the others remain the same objects."""
    return call.with_changes(args=[other.with_changes(**changes) if other is arg else other for other in call.args])


def without(call: cst.Call, name: str) -> cst.Call:
    """Return a call without the argument of that name, if it has one."""
    args = [arg for arg in call.args if arg.keyword is None or arg.keyword.value != name]
    if args and args[-1] is not call.args[-1]:
        last = call.args[-1]
        args[-1] = args[-1].with_changes(comma=last.comma, whitespace_after_arg=last.whitespace_after_arg)
    return call.with_changes(args=args)


def quoted(text: Any, like: cst.BaseExpression) -> str:
    """Return a text as source, quoted as another one is; any other constant as Python writes it."""
    quote = like.quote if isinstance(like, cst.SimpleString) else "'"
    return f"{quote}{text}{quote}" if isinstance(text, str) else repr(text)


def absolute(name: str, package: str) -> str:
    """Return the full name of what is imported as `.module` or `..module` in a package."""
    level = len(name) - len(name.lstrip("."))
    above = package.split(".")[: len(package.split(".")) - level + 1] if level else []
    return ".".join(part for part in [*above, name.lstrip(".")] if part)


def imported_modules(tree: ast.AST, package: str = "") -> list[str]:
    """Return all modules that a source in a `package` may import, with the packages that they are in."""
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            home = absolute("." * node.level + (node.module or ""), package)
            found += [home, *(f"{home}.{alias.name}".strip(".") for alias in node.names)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += re.findall(r"^([\w.]+):[\w.-]+$", node.value)  # "module:Name-v0", "module:Class"
    with_packages = [name.rsplit(".", count)[0] for name in found for count in range(name.count("."), -1, -1)]
    return [name for name in dict.fromkeys(with_packages) if name]
