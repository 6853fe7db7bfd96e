"""Imports: Keras-RL's agent, memory and callbacks from kerasrl, Keras's names from where they are today."""

from typing import Any

import libcst as cst

from kerasrl.legacy.keras import names as keras
from kerasrl.legacy.keras_rl import names as keras_rl
from kerasrl.legacy.migrating import keras3
from kerasrl.legacy.migrating.backend import PREPARED
from kerasrl.legacy.migrating.layers import merging
from kerasrl.legacy.migrating.rewriting import Rule
from kerasrl.legacy.migrating.script import dotted

# Full name in Keras-RL -> module of kerasrl from which users import it.
OURS = {
    f"{module}.{name}": "kerasrl.callbacks" if module == "rl.callbacks" else "kerasrl"
    for name, modules in keras_rl.HOMES.items()
    for module in modules
}
# Full name in Keras-RL -> today's module and name.
_PLACES = {
    **{full: (home, full.rpartition(".")[2]) for full, home in OURS.items()},
    **{f"{module}.{old}": ("rl.policy", new) for (module, old), new in keras_rl.RENAMED.items()},
    **{f"rl.keras_future.{name}": (home, name) for name, home in keras_rl.KERAS_FUTURE.items()},
}


class Imports(Rule):
    """Names that have moved, in imports and where they are written in full."""

    def prepare(self) -> None:
        """Decide about each import first, since a new name is needed wherever the old one is used."""
        self._new = {node: self._rewritten(node) for node in self.script.all(cst.ImportFrom)}

    def on_importfrom(self, original: cst.ImportFrom, updated: cst.ImportFrom) -> Any:
        """Rewrite `from module import names`."""
        return self._new[original]

    def _rewritten(self, original: Any) -> Any:
        updated = original
        if original.module is None or original.relative:
            return updated
        module = _of_keras_rl(dotted(original.module))
        if isinstance(original.names, cst.ImportStar):
            return self._star(module, updated)
        libraries = ("rl", "tensorflow", "keras", "tf_keras", "tensorflow_core")
        if module.partition(".")[0] not in libraries and not keras3.path(module):
            return updated
        places: dict[str, list[tuple[str, str, cst.ImportAlias]]] = {}
        for alias in original.names:
            name, own = alias.evaluated_name, alias.evaluated_alias or alias.evaluated_name
            place = self._place(original, module, name, own)
            if place is not None and place[1] != own == name and place[1] not in self.script.bound:
                self.script.renamed[own] = own = place[1]
            if place is not None:
                places.setdefault(place[0], []).append((place[1], own, alias))
        if list(places) == [dotted(original.module)]:
            kept = places[dotted(original.module)]
            if all(new == alias.evaluated_name for new, _, alias in kept):
                return updated if len(kept) == len(updated.names) else _with(updated, [alias for *_, alias in kept])
        lines: list[Any] = []
        for home, names in places.items():
            texts = [name if own == name else f"{name} as {own}" for name, own, _ in names]
            if home in ("kerasrl", "kerasrl.callbacks"):
                self.script.imports.update(dict.fromkeys(f"from {home} import {text}" for text in texts))
            else:
                lines.append(_import(home, ", ".join(texts)))
        if not lines:
            return cst.RemoveFromParent()
        return lines[0] if len(lines) == 1 else cst.FlattenSentinel(lines)

    def _place(self, node: cst.ImportFrom, module: str, name: str, own: str) -> tuple[str, str] | None:
        """Return today's module and name of what is imported, None if the import is to be dropped."""
        full = f"{module}.{name}"
        is_used = own in self.script.used
        if full == "rl.memory.Memory" and self._takes_limit(own):
            return "kerasrl", "SequentialMemory"
        if own in self.script.gone or (name in PREPARED and not is_used):
            return None
        if full in _PLACES:
            return _PLACES[full]
        path = keras3.path(module)
        if path is None:
            return module, name
        if self.script.needs_backend and f"{path}.{name}".strip(".") == "backend" and module == "keras":
            return "tensorflow.keras", name
        if keras3.is_lost_module(path, name):
            return None  # what the script uses of it is named in full
        if keras3.public(f"{path}.{name}".strip(".")) is not None:
            return module if module in ("keras", "tensorflow") else _of_same_root(module, path), name
        if (path, name) == ("layers", "merge") and all(
            merging(self.script, call) for call in self.script.all(cst.Call) if dotted(call.func) == own
        ):
            return None
        place = keras3.place(path, name)
        if place is not None:
            return _of_same_root(module, place[0]), place[1]
        if not is_used:
            return None
        self.script.note(node, f"{full} is missing in Keras 3")
        return module, name

    def _takes_limit(self, own: str) -> bool:
        """Return whether the script's Memory is keras-rl 0.1's, which has a limit."""
        return any(
            isinstance(call.func, cst.Name) and call.func.value == own and call.args
            for call in self.script.all(cst.Call)
        )

    def _star(self, module: str, updated: cst.ImportFrom) -> Any:
        """Import kerasrl's names after those of `from rl.agents import *`."""
        ours = [(home, full.rpartition(".")[2]) for full, home in OURS.items() if full.rpartition(".")[0] == module]
        if ours:
            return cst.FlattenSentinel([updated, *(_import(home, name) for home, name in ours)])
        path = keras3.path(module)
        if path and keras3.public(path) is None:
            return updated.with_changes(module=cst.parse_expression(_of_same_root(module, keras.home(path))))
        return updated

    def on_import(self, original: cst.Import, updated: cst.Import) -> Any:
        """Rewrite `import module as name`."""
        kept = []
        for alias in updated.names:
            name = _of_keras_rl(dotted(alias.name))
            path = keras3.path(name)
            own = alias.evaluated_alias
            if self.script.needs_backend and name == "keras.backend" and own is not None:
                alias = alias.with_changes(name=cst.parse_expression("tensorflow.keras.backend"))
            elif path and keras3.public(path) is None:
                if own is not None and own not in self.script.used:
                    continue
                alias = alias.with_changes(name=cst.parse_expression(_of_same_root(name, keras.home(path))))
            elif name.startswith(("tensorflow.python.keras", "tf_keras")):
                is_bound = name.startswith("tf_keras") and own is None  # `import tf_keras.layers` binds `tf_keras`
                alias = alias.with_changes(
                    name=cst.parse_expression(_of_same_root(name, "" if is_bound else path or "")),
                    asname=cst.AsName(cst.Name("tf_keras")) if is_bound else alias.asname,
                )
            kept.append(alias)
        return _with(updated, kept) if kept else cst.RemoveFromParent()

    def on_attribute(self, original: cst.Attribute, updated: Any) -> Any:
        """Rewrite a name in full, such as `keras.layers.core.Dense` or `rl.agents.dqn.DQNAgent`."""
        if isinstance(self.script.parents.get(original), cst.Attribute) or self.script.is_in_import(original):
            return updated
        full = self.script.name(original) if dotted(original)[:1] != "." else None  # of what a call returns
        if full is None or self.script.code(original) == full.rpartition(".")[2]:
            return updated
        home, _, name = full.rpartition(".")
        ours = f"{_of_keras_rl(home)}.{name}"
        if ours in OURS:
            return cst.Name(self.script.imported(OURS[ours], name))
        path = keras3.path(home)
        if path is None or not name[:1].isalpha() or not (name[0].isupper() or keras3.public(path) is None):
            return updated
        place = keras3.place(path, name)
        if place is not None and place != (path, name):
            return cst.parse_expression(".".join(filter(None, (self.script.keras(original), *place))))
        if place is None and keras3.public(f"{path}.{name}".strip(".")) is None:
            self.script.note(original, f"{full} is missing in Keras 3")
        return updated

    def on_name(self, original: cst.Name, updated: Any) -> Any:
        """Rename a use of what an import renamed: AnnealedQPolicy is LinearAnnealedPolicy."""
        if original.value not in self.script.renamed or not self.script.is_variable(original):
            return updated
        return updated.with_changes(value=self.script.renamed[original.value])


def _of_keras_rl(module: str) -> str:
    """Return a module's name, with `rl` for the names under which Keras-RL is installed."""
    root, dot, rest = module.partition(".")
    return f"rl{dot}{rest}" if root in keras_rl.PACKAGES else module


def _import(module: str, names: str) -> Any:
    return cst.ensure_type(cst.parse_statement(f"from {module} import {names}"), cst.SimpleStatementLine).body[0]


def _with(updated: Any, aliases: list[cst.ImportAlias]) -> Any:
    """Return an import of some of its names, its layout kept."""
    aliases[-1] = aliases[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    return updated.with_changes(names=aliases)


def _of_same_root(module: str, path: str) -> str:
    """Return the full name of a module of Keras, in the Keras that another one is of."""
    root = "keras" if module.partition(".")[0] == "keras" else "tensorflow.keras"
    return f"{root}.{path}" if path else root
