"""Imports: Keras-RL's agent, memory and callbacks from kerasrl, Keras's from where they are today."""

from typing import Any

import libcst as cst

from kerasrl.legacy import keras_rl
from kerasrl.legacy.migration import today
from kerasrl.legacy.migration.backend import PREPARED
from kerasrl.legacy.migration.rewriting import Room
from kerasrl.legacy.migration.script import dotted

# Full name in Keras-RL -> module of kerasrl that has it, as users import it.
OURS = {
    f"{module}.{name}": "kerasrl.callbacks" if module == "rl.callbacks" else "kerasrl"
    for name, modules in keras_rl.HOMES.items()
    for module in modules
}
_RENAMED = {f"{module}.{old}": f"rl.policy.{new}" for (module, old), new in keras_rl.RENAMED.items()}
_FUTURE = {f"rl.keras_future.{name}": f"{home}.{name}" for name, home in keras_rl.KERAS_FUTURE.items()}


class Imports(Room):
    """Names that have moved, in imports and where they are used in full."""

    def prepare(self) -> None:
        """Decide about each import, since what is renamed is renamed everywhere."""
        self._new = {node: self._rewritten(node) for node in self.script.all(cst.ImportFrom)}

    def on_importfrom(self, original: cst.ImportFrom, updated: cst.ImportFrom) -> Any:
        """Rewrite `from module import names`."""
        return self._new[original]

    def _rewritten(self, original: cst.ImportFrom) -> Any:
        updated = original
        if original.module is None or original.relative:
            return updated
        module = today.rl(dotted(original.module))
        if isinstance(original.names, cst.ImportStar):
            return self._star(module, updated)
        if module.partition(".")[0] not in ("rl", "tensorflow", "keras", "tensorflow_core") and not today.path(module):
            return updated
        places: dict[str, list[tuple[str, str, cst.ImportAlias]]] = {}
        for alias in original.names:
            name, own = alias.evaluated_name, alias.evaluated_alias or alias.evaluated_name
            place = self._place(original, module, name, own)
            if place is not None and place[1] != own == name and place[1] not in self.script.bound:
                self.script.renamed[own] = own = place[1]
            if place is not None:
                places.setdefault(place[0], []).append((place[1], own, alias))
        if list(places) == [dotted(original.module)] and all(
            new == alias.evaluated_name for new, _, alias in places[dotted(original.module)]
        ):
            return _kept(updated, [alias for _, _, alias in places[dotted(original.module)]])
        lines: list[Any] = []
        for home, names in places.items():
            if home in ("kerasrl", "kerasrl.callbacks"):
                for name, own, _ in names:
                    self.script.imports[f"from {home} import {name}" + (f" as {own}" if own != name else "")] = None
                continue
            new = [
                cst.ImportAlias(cst.Name(name), cst.AsName(cst.Name(own)) if own != name else None)
                for name, own, _ in names
            ]
            lines.append(cst.ImportFrom(module_named(home), new))
        if not lines:
            return cst.RemoveFromParent()
        return lines[0] if len(lines) == 1 else cst.FlattenSentinel(lines)

    def _place(self, node: cst.ImportFrom, module: str, name: str, own: str) -> tuple[str, str] | None:
        """Return today's module and name of what is imported, None if it is to be dropped."""
        full = f"{module}.{name}"
        is_used = own in self.script.used
        if full in ("rl.memory.Memory",) and self.takes_limit(own):
            return "kerasrl", "SequentialMemory"
        if own in self.script.gone or (name in PREPARED and not is_used):
            return None
        if full in OURS:
            return OURS[full], name
        if full in _RENAMED:
            return _RENAMED[full].rsplit(".", 1)[0], _RENAMED[full].rsplit(".", 1)[1]
        if full in _FUTURE:
            return _FUTURE[full].rsplit(".", 1)[0], _FUTURE[full].rsplit(".", 1)[1]
        if name in keras_rl.REFUSED and module.startswith("rl."):
            if is_used:
                self.script.note(node, f"{name} is not revived here: it cannot learn on Keras 3; use DQNAgent")
            return ("rl.agents", name)
        path = today.path(module)
        if path is None:
            return module, name
        if self.script.needs_backend and f"{path}.{name}".strip(".") == "backend" and module == "keras":
            return "tensorflow.keras", name
        root = "keras" if module.partition(".")[0] == "keras" else "tensorflow.keras"
        if today.is_lost_module(path, name):
            return None  # what is used of it is named in full
        if today.is_module(f"{path}.{name}".strip(".")):
            return module if module in ("keras", "tensorflow") else _joined(root, path), name
        place = today.place(path, name)
        if place is not None:
            home, new = place
            if home == path and module == _joined(root, path):
                return module, new
            return _joined(root, home), new
        if not is_used:
            return None
        self.script.note(node, f"{full} is missing in Keras 3")
        return module, name

    def takes_limit(self, own: str) -> bool:
        """Return whether the script's Memory is keras-rl 0.1's, which has a limit."""
        return any(
            isinstance(call.func, cst.Name)
            and call.func.value == own
            and (any(arg.keyword is not None and arg.keyword.value == "limit" for arg in call.args) or bool(call.args))
            for call in self.script.all(cst.Call)
        )

    def _star(self, module: str, updated: cst.ImportFrom) -> Any:
        """Put kerasrl's names after those of `from rl.agents import *`."""
        ours = [(OURS[full], full.rpartition(".")[2]) for full in OURS if full.rpartition(".")[0] == module]
        if ours:
            ours_too = [cst.ImportFrom(module_named(home), [cst.ImportAlias(cst.Name(name))]) for home, name in ours]
            return cst.FlattenSentinel([updated, *ours_too])
        path = today.path(module)
        if path and today.public(path) is None:
            home = today.home(path)
            root = "keras" if module.partition(".")[0] == "keras" else "tensorflow.keras"
            return updated.with_changes(module=cst.parse_expression(_joined(root, home)))
        return updated

    def on_import(self, original: cst.Import, updated: cst.Import) -> Any:
        """Rewrite `import module as name`."""
        kept = []
        for alias in updated.names:
            name = today.rl(dotted(alias.name))
            path = today.path(name)
            own = alias.evaluated_alias
            if self.script.needs_backend and name == "keras.backend" and own is not None:
                alias = alias.with_changes(name=cst.parse_expression("tensorflow.keras.backend"))
            elif path and today.public(path) is None:
                if own is not None and own not in self.script.used:
                    continue
                root = "keras" if name.partition(".")[0] == "keras" else "tensorflow.keras"
                alias = alias.with_changes(name=cst.parse_expression(_joined(root, today.home(path))))
            elif name.startswith("tensorflow.python.keras"):
                alias = alias.with_changes(name=cst.parse_expression(_joined("tensorflow.keras", path or "")))
            kept.append(alias)
        if not kept:
            return cst.RemoveFromParent()
        kept[-1] = kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
        return updated.with_changes(names=kept)

    def on_attribute(self, original: cst.Attribute, updated: Any) -> Any:
        """Rewrite a name in full, such as `keras.layers.core.Dense` or `rl.agents.dqn.DQNAgent`."""
        parent = self.script.parents.get(original)
        if isinstance(parent, cst.Attribute | cst.Import | cst.ImportFrom | cst.ImportAlias):
            return updated
        if self.script.enclosing(original, cst.Import, cst.ImportFrom) is not None:
            return updated
        full = self.script.name(original)
        if full is None or self.script.code(original) == full.rpartition(".")[2]:
            return updated
        home, _, name = full.rpartition(".")
        ours = f"{today.rl(home)}.{name}"
        if ours in OURS:
            return cst.Name(self.script.today(OURS[ours], name))
        path = today.path(home)
        if path is None or not name[:1].isalpha():
            return updated
        if name[0].isupper() or today.public(path) is None:
            place = today.place(path, name)
            if place is None:
                if not today.is_module(f"{path}.{name}".strip(".")):
                    self.script.note(original, f"{full} is missing in Keras 3")
            elif place != (path, name):
                return cst.parse_expression(_joined(self.script.keras(original), f"{place[0]}.{place[1]}".strip(".")))
        return updated


class Names(Room):
    """Names that an import gave another class: AnnealedQPolicy is LinearAnnealedPolicy."""

    def on_name(self, original: cst.Name, updated: Any) -> Any:
        """Rename a use of what `Imports` renamed."""
        parent = self.script.parents.get(original)
        if self.script.enclosing(original, cst.Import, cst.ImportFrom) is not None:
            return updated
        if isinstance(parent, cst.Attribute) and parent.attr is original:
            return updated
        if isinstance(parent, cst.Arg) and parent.keyword is original:
            return updated
        return (
            cst.Name(self.script.renamed[original.value], original.lpar, original.rpar)
            if (original.value in self.script.renamed)
            else updated
        )


def module_named(name: str) -> Any:
    """Return the node of a module's name."""
    return cst.parse_expression(name)


def _kept(updated: cst.ImportFrom, aliases: list[cst.ImportAlias]) -> cst.ImportFrom:
    """Return an import of some of its names, its layout kept."""
    if not isinstance(updated.names, cst.ImportStar) and len(aliases) == len(updated.names):
        return updated
    aliases[-1] = aliases[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    return updated.with_changes(names=aliases)


def _joined(root: str, path: str) -> str:
    return f"{root}.{path}" if path else root
