"""Names that NumPy, Pillow and Python 3 dropped."""

from typing import Any

import libcst as cst

from kerasrl.legacy import others
from kerasrl.legacy.migrating.rewriting import Rule
from kerasrl.legacy.source import PYTHON_2


class DroppedNames(Rule):
    """np.float, Image.ANTIALIAS, xrange."""

    def on_name(self, original: cst.Name, updated: Any) -> Any:
        """Rename a function of Python 2 that the script does not define itself."""
        parent = self.script.parents.get(original)
        is_called = isinstance(parent, cst.Call) and parent.func is original
        if original.value not in PYTHON_2 or not is_called or self.script.is_assigned(original):
            return updated
        return updated.with_changes(value=PYTHON_2[original.value])

    def on_attribute(self, original: cst.Attribute, updated: Any) -> Any:
        """Rename a constant, function or type."""
        home, _, name = (self.script.name(original) or "").rpartition(".")
        if home == "numpy" and name in others.NUMPY and name != "asscalar":
            today = others.NUMPY[name]
            return cst.Name(today) if today in others.BUILTINS else updated.with_changes(attr=cst.Name(today))
        if home == "PIL.Image" and name in others.PILLOW:
            return updated.with_changes(attr=cst.Name(others.PILLOW[name]))
        return updated

    def on_call(self, original: cst.Call, updated: Any) -> Any:
        """Rewrite np.asscalar(array)."""
        if self.script.name(original.func) == "numpy.asscalar" and isinstance(updated.func, cst.Attribute):
            array = updated.with_changes(func=updated.func.with_changes(attr=cst.Name("asarray")))
            return cst.Call(cst.Attribute(array, cst.Name("item")))
        return updated
