"""One walk over a script's tree, in which the rooms change what belongs to them."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import libcst as cst

from kerasrl.legacy.migration.kinds import Kinds
from kerasrl.legacy.migration.script import HEAVY, Script, dotted

_LIGHT = ("environments", "WeightsError")
_ANYTHING: set[str] = set()
_GONE = cst.Expr(cst.Name("__gone__"))


class Room:
    """What changes one library's names: methods called like the nodes they take, as `on_call` or `on_importfrom`.

    Each is given the node as it was, about which the script knows everything, and the node with the changes that have
    been made so far, of which it returns another one.

    Args:
        script: The file.
        module: Its name for `import`.
        kinds: What is known about the names of all files.
        options: How the script is to be understood.
    """

    def __init__(self, script: Script, module: str, kinds: Kinds, options: Any) -> None:
        self.script, self.module, self.options = script, module, options
        self.kinds: Kinds = kinds

    def doomed(self) -> set[cst.CSTNode]:
        """Return the small statements that have to go."""
        return set()

    def prepare(self) -> None:
        """Decide what other rooms have to know; `script.used` is known by then."""

    def finish(self) -> None:
        """Ask for what only the whole file tells."""


class Rewriter(cst.CSTTransformer):
    """Let the rooms change a script; `rewritten` is the result.

    Args:
        script: The file.
        rooms: The rooms.
        local: Modules beside the script.
        needs_engine: Whether this file is what has to import kerasrl's engine before Keras-RL.
    """

    def __init__(self, script: Script, rooms: Sequence[Room], local: set[str], needs_engine: bool) -> None:
        super().__init__()
        self.script, self.rooms, self.local, self.needs_engine = script, rooms, local, needs_engine
        self._doomed = set().union(*(room.doomed() for room in rooms))
        script.used = _used(script, self._doomed)
        for room in rooms:
            room.prepare()

    def rewritten(self) -> cst.Module:
        """Return the tree as it should be today."""
        result = self.script.wrapper.visit(self)
        return result if isinstance(result, cst.Module) else self.script.module

    def on_leave(self, original_node: Any, updated_node: Any) -> Any:
        """Ask each room that has something to say about a node."""
        if original_node in self._doomed:
            return cst.RemoveFromParent()
        updated: Any = super().on_leave(original_node, updated_node)
        name = f"on_{type(original_node).__name__.lower()}"
        for room in self.rooms:
            change: Callable[[Any, Any], Any] | None = getattr(room, name, None)
            if change is not None and isinstance(updated, cst.CSTNode):
                updated = change(original_node, updated)
        return updated

    def leave_SimpleStatementLine(self, original_node: Any, updated_node: Any) -> Any:
        """Give each of the statements that one became a line."""
        if not updated_node.body:
            return updated_node.with_changes(body=[_GONE])  # libcst would drop its comments, too
        if len(original_node.body) != 1 or len(updated_node.body) < 2:
            return updated_node
        first, *rest = updated_node.body
        lines = [updated_node.with_changes(body=[first])]
        lines += [cst.SimpleStatementLine([statement]) for statement in rest]
        return cst.FlattenSentinel(lines)

    def leave_IndentedBlock(self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock) -> Any:
        """Keep the comments of statements that are gone."""
        body, rest = _without_empty(updated_node.body)
        return updated_node.with_changes(body=body, footer=[*rest, *updated_node.footer])

    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:
        """Add the imports that the rest needs."""
        for room in self.rooms:
            room.finish()
        body, rest = _without_empty(updated_node.body)
        lines = _grouped(self.script.imports)
        if self.needs_engine and not any(map(_repairs, self.script.imports)):
            lines.insert(0, "import kerasrl.dqn  # first: it repairs Keras-RL")
        if lines:
            body = _inserted(body, min(self._first_heavy(body), self._first_use(body)), lines)
        if self.script.late:
            place = min(self._after_imports(body), self._first_use(body))
            body = _inserted(body, place, list(self.script.late), is_last=True)
        return updated_node.with_changes(body=body, footer=[*rest, *updated_node.footer])

    def _first_heavy(self, body: list[Any]) -> int:
        """Return the place before the first library that has to be repaired, after what is set for TensorFlow."""
        heavy = [index for index, statement in enumerate(body) if self._imports(statement, HEAVY | self.local)]
        tensorflow = [i for i in heavy if self._imports(body[i], HEAVY - {"gym", "gymnasium"} | self.local)]
        place = heavy[0] if heavy else self._after_head(body)
        # What is set in the environment between gym and TensorFlow takes effect.
        for index in range(place, tensorflow[0] if tensorflow else place):
            if re.search(r"\bos\.(environ|putenv)\b", self.script.code(body[index])):
                place = index + 1
        return place

    def _imports(self, statement: Any, libraries: set[str]) -> bool:
        found = _Imported()
        statement.visit(found)
        return bool(found.libraries if libraries is _ANYTHING else found.libraries & libraries)

    def _after_head(self, body: list[Any]) -> int:
        index = 0
        while index < len(body) and isinstance(body[index], cst.SimpleStatementLine):
            first = body[index].body[0]
            is_docstring = isinstance(first, cst.Expr) and isinstance(first.value, cst.SimpleString)
            is_future = isinstance(first, cst.ImportFrom) and dotted(first.module) == "__future__"
            if not (is_docstring or is_future):
                break
            index += 1
        return index

    def _after_imports(self, body: list[Any]) -> int:
        """Return the place after the last import of the file's head."""
        place = self._after_head(body)
        for index, statement in enumerate(body):
            if not isinstance(statement, cst.SimpleStatementLine):
                break
            if isinstance(statement.body[0], cst.Import | cst.ImportFrom):
                place = index + 1
        return place

    def _first_use(self, body: list[Any]) -> int:
        """Return the place of the first statement that uses what is imported late."""
        names = [line.rpartition(" ")[2] for line in self.script.late if line.startswith("import ")]
        pattern = "|".join(rf"\b{re.escape(name)}\.[a-z]" for name in names)
        found = (
            index
            for index, statement in enumerate(body)
            if not (isinstance(statement, cst.SimpleStatementLine) and self._imports(statement, _ANYTHING))
            and re.search(pattern, self.script.code(statement))
        )
        return next(found, len(body)) if names else len(body)


class _Imported(cst.CSTVisitor):
    """Collect the libraries that code imports."""

    def __init__(self) -> None:
        super().__init__()
        self.libraries: set[str] = set()

    def visit_Import(self, node: cst.Import) -> None:
        self.libraries |= {dotted(alias.name).partition(".")[0] for alias in node.names}

    def visit_ImportFrom(self, node: cst.ImportFrom) -> None:
        if node.module is not None:
            self.libraries.add(dotted(node.module).partition(".")[0])


def _used(script: Script, doomed: set[cst.CSTNode]) -> set[str]:
    """Return the names that are read somewhere, outside imports and what has to go."""
    used: set[str] = set()
    stack: list[cst.CSTNode] = [script.module]
    while stack:
        node = stack.pop()
        if isinstance(node, cst.Import | cst.ImportFrom) or node in doomed:
            continue
        if isinstance(node, cst.Name):
            used.add(node.value)
        stack.extend(node.children)
    return used


def _without_empty(body: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Return the statements that are left, and the comments that belonged to none of them."""
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
    """Return import lines with all names of a module on one."""
    names: dict[str, set[str]] = {}
    for line in imports:
        home, _, name = line.removeprefix("from ").partition(" import ")
        if name:
            names.setdefault(home, set()).add(name)
    return [f"from {home} import {', '.join(sorted(names[home]))}" for home in sorted(names)]


def _repairs(line: str) -> bool:
    """Return whether an import of kerasrl is one of its engine, which repairs Keras-RL."""
    home, _, names = line.removeprefix("from ").partition(" import ")
    return home == "kerasrl.callbacks" or (home == "kerasrl" and names.partition(" ")[0].rstrip(",") not in _LIGHT)


def _inserted(body: list[Any], place: int, lines: list[str], is_last: bool = False) -> list[Any]:
    """Return a body with lines put before a place; comments and blank lines of what follows stay above them."""
    new: list[Any] = [cst.parse_statement(line) for line in lines]
    if place < len(body) and not is_last:
        new[0] = new[0].with_changes(leading_lines=body[place].leading_lines)
        body = [*body[:place], body[place].with_changes(leading_lines=[]), *body[place + 1 :]]
    return [*body[:place], *new, *body[place:]]
