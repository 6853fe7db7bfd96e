"""One walk over a script's tree, in which the rules change what belongs to them."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import libcst as cst

from kerasrl.legacy.migrating.name_types import NameTypes
from kerasrl.legacy.migrating.script import HEAVY, Script, below, dotted, method, names_outside

_LIGHT = ("environments", "WeightsError")
_GONE = cst.Expr(cst.Name("__gone__"))


class Rule:
    """What changes one library's names: methods named after the nodes they take, such as `on_call` or `on_importfrom`.

    Each is given the original node, which the script knows, and the node with all changes so far, and returns a node
    with its own changes. `module` is the file's name for `import`, `types` are those of all files' names, `options`
    is how to understand the script.
    """

    def __init__(self, script: Script, module: str, types: NameTypes, options: Any) -> None:
        self.script, self.module, self.options = script, module, options
        self.types: NameTypes = types

    def doomed(self) -> set[cst.CSTNode]:
        """Return the simple statements that have to go."""
        return set()

    def prepare(self) -> None:
        """Decide what other rules have to know; `script.used` is known by then."""

    def what(self, node: cst.CSTNode) -> str | None:
        """Return whether an expression is an 'environment', 'agent' or 'model'; None if that is unknown."""
        kind = self.types.of(self.module, node)
        return kind.what if kind is not None else None

    def is_of(self, call: Any, what: str, *methods: str) -> bool:
        """Return whether a node calls one of the methods of an environment, agent or model."""
        return method(call) in methods and self.what(call.func.value) == what


class Rewriter(cst.CSTTransformer):
    """Lets the rules change a script; `rewritten` is the result.

    `local` are the modules beside it; `needs_engine` tells whether it has to import kerasrl's engine before Keras-RL.
    """

    def __init__(self, script: Script, rules: Sequence[Rule], local: set[str], needs_engine: bool) -> None:
        super().__init__()
        self.script, self.rules, self.local, self.needs_engine = script, rules, local, needs_engine
        self._doomed = set().union(*(rule.doomed() for rule in rules))
        script.used = names_outside(script.module, self._doomed, cst.Import, cst.ImportFrom)
        for rule in rules:
            rule.prepare()

    def rewritten(self) -> cst.Module:
        """Return the tree as it should be today."""
        return self.script.wrapper.visit(self)

    def on_leave(self, original_node: Any, updated_node: Any) -> Any:
        """Ask each rule that has something to say about a node."""
        if original_node in self._doomed:
            return cst.RemoveFromParent()
        updated: Any = super().on_leave(original_node, updated_node)
        name = f"on_{type(original_node).__name__.lower()}"
        for rule in self.rules:
            change: Callable[[Any, Any], Any] | None = getattr(rule, name, None)
            if change is not None and isinstance(updated, cst.CSTNode):
                updated = change(original_node, updated)
        return updated

    def leave_SimpleStatementLine(self, original_node: Any, updated_node: Any) -> Any:
        """Put each of the statements that one became on its own line."""
        if not updated_node.body:
            return updated_node.with_changes(body=[_GONE])  # libcst would drop its comments too
        if len(original_node.body) != 1 or len(updated_node.body) < 2:
            return updated_node
        first, *rest = updated_node.body
        lines = [cst.SimpleStatementLine([statement]) for statement in rest]
        return cst.FlattenSentinel([updated_node.with_changes(body=[first]), *lines])

    def leave_IndentedBlock(self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock) -> Any:
        """Keep the comments of statements that are gone."""
        body, rest = _without_empty(updated_node.body)
        return updated_node.with_changes(body=body, footer=[*rest, *updated_node.footer])

    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:
        """Add the imports that the rest needs."""
        body, rest = _without_empty(updated_node.body)
        lines = _grouped(self.script.imports)
        if self.needs_engine and not any(map(_repairs, self.script.imports)):
            lines.insert(0, "import kerasrl.compat.keras_rl  # first: it repairs Keras-RL")
        if lines:
            body = _inserted(body, min(self._first_heavy(body), self._first_use(body)), lines)
        if self.script.late:
            place = min(_after_imports(body), self._first_use(body))
            body = _inserted(body, place, list(self.script.late), is_last=True)
        return updated_node.with_changes(body=body, footer=[*rest, *updated_node.footer])

    def _first_heavy(self, body: list[Any]) -> int:
        """Return the place before the first library that has to be repaired, after what is set for TensorFlow."""
        heavy = [index for index, statement in enumerate(body) if _libraries(statement) & (HEAVY | self.local)]
        tensorflow = [i for i in heavy if _libraries(body[i]) & (HEAVY - {"gym", "gymnasium"} | self.local)]
        place = heavy[0] if heavy else _after_head(body)
        # What is set in the environment between gym and TensorFlow takes effect.
        for index in range(place, tensorflow[0] if tensorflow else place):
            if re.search(r"\bos\.(environ|putenv)\b", self.script.code(body[index])):
                place = index + 1
        return place

    def _first_use(self, body: list[Any]) -> int:
        """Return the place of the first statement that uses what is imported late."""
        names = [line.rpartition(" ")[2] for line in self.script.late if line.startswith("import ")]
        pattern = "|".join(rf"\b{re.escape(name)}\.[a-z]" for name in names)
        found = (
            index
            for index, statement in enumerate(body)
            if not (isinstance(statement, cst.SimpleStatementLine) and _libraries(statement))
            and re.search(pattern, self.script.code(statement))
        )
        return next(found, len(body)) if names else len(body)


def _after_head(body: list[Any]) -> int:
    """Return the place after the docstring and imports from __future__."""
    for index, statement in enumerate(body):
        first = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) else None
        is_docstring = isinstance(first, cst.Expr) and isinstance(first.value, cst.SimpleString)
        if not (is_docstring or (isinstance(first, cst.ImportFrom) and dotted(first.module) == "__future__")):
            return index
    return len(body)


def _after_imports(body: list[Any]) -> int:
    """Return the place after the last import of the file's head."""
    place = _after_head(body)
    for index, statement in enumerate(body):
        if not isinstance(statement, cst.SimpleStatementLine):
            break
        if isinstance(statement.body[0], cst.Import | cst.ImportFrom):
            place = index + 1
    return place


def _libraries(statement: cst.CSTNode) -> set[str]:
    """Return the libraries that a statement imports."""
    names: list[Any] = []
    for node in below(statement):
        if isinstance(node, cst.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, cst.ImportFrom) and node.module is not None:
            names.append(node.module)
    return {dotted(name).partition(".")[0] for name in names}


def _without_empty(body: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Return the remaining statements, and the comments that belong to none of them."""
    result: list[Any] = []
    carried: list[Any] = []
    for statement in body:
        if isinstance(statement, cst.SimpleStatementLine) and statement.body[0] is _GONE:
            comments = [line for line in statement.leading_lines if line.comment is not None]
            blank = [line for line in statement.leading_lines if line.comment is None]
            carried += [*blank[: not carried], *comments] if comments or not carried else []
            comment = statement.trailing_whitespace.comment
            if comment is not None and not comment.value.startswith(("# noqa", "# type:", "# pylint:")):
                carried.append(cst.EmptyLine(comment=comment))
            continue
        if carried:
            lines = list(statement.leading_lines)
            if any(line.comment is not None for line in carried):
                lines = carried + lines
            elif not lines:
                lines = carried
            statement = statement.with_changes(leading_lines=lines)
        carried = []
        result.append(statement)
    return result, [line for line in carried if line.comment is not None]


def _grouped(imports: dict[str, None]) -> list[str]:
    """Return import lines, one for each module."""
    names: dict[str, set[str]] = {}
    for line in imports:
        home, _, name = line.removeprefix("from ").partition(" import ")
        if name:
            names.setdefault(home, set()).add(name)
    return [f"from {home} import {', '.join(sorted(names[home]))}" for home in sorted(names)]


def _repairs(line: str) -> bool:
    """Return whether an import is of kerasrl's engine, which repairs Keras-RL."""
    home, _, names = line.removeprefix("from ").partition(" import ")
    return home == "kerasrl.callbacks" or (home == "kerasrl" and names.partition(" ")[0].rstrip(",") not in _LIGHT)


def _inserted(body: list[Any], place: int, lines: list[str], is_last: bool = False) -> list[Any]:
    """Return a body with lines put before a place; comments and blank lines above that place stay above them."""
    new: list[Any] = [cst.parse_statement(line) for line in lines]
    if place < len(body) and not is_last:
        new[0] = new[0].with_changes(leading_lines=body[place].leading_lines)
        body = [*body[:place], body[place].with_changes(leading_lines=[]), *body[place + 1 :]]
    return [*body[:place], *new, *body[place:]]
