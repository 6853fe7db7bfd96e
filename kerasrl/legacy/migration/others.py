"""Names that NumPy, Pillow and Python 3 dropped."""

from typing import Any

import libcst as cst

from kerasrl.legacy import others, syntax
from kerasrl.legacy.migration.rewriting import Room


class Others(Room):
    """np.float, Image.ANTIALIAS, xrange."""

    def on_name(self, original: cst.Name, updated: Any) -> Any:
        """Rewrite a function of Python 2 that the script does not define itself."""
        parent = self.script.parents.get(original)
        if original.value in syntax.PYTHON_2 and isinstance(parent, cst.Call) and parent.func is original:
            is_builtin = not self.script.is_assigned(original)
            return updated.with_changes(value=syntax.PYTHON_2[original.value]) if is_builtin else updated
        return updated

    def on_attribute(self, original: cst.Attribute, updated: Any) -> Any:
        """Rewrite a name."""
        full = self.script.name(original) or ""
        home, _, name = full.rpartition(".")
        if home == "numpy" and name in others.NUMPY and name != "asscalar":
            today = others.NUMPY[name]
            return cst.Name(today) if others.is_builtin(today) else updated.with_changes(attr=cst.Name(today))
        if home == "PIL.Image" and name in others.PILLOW:
            return updated.with_changes(attr=cst.Name(others.PILLOW[name]))
        return updated

    def on_call(self, original: cst.Call, updated: Any) -> Any:
        """Rewrite np.asscalar(array)."""
        if self.script.name(original.func) == "numpy.asscalar" and original.args:
            func = cst.Attribute(updated.func.value, cst.Name("asarray"))
            return cst.Call(cst.Attribute(updated.with_changes(func=func), cst.Name("item")))
        return updated
