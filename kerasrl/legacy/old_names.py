"""Names that libraries lost: lines of the script find them again, or are refused in one line once they use them."""

from collections.abc import Callable
from typing import Any

from kerasrl.errors import UserError
from kerasrl.legacy.report import report
from kerasrl.legacy.script import script


def let_find(module: Any, find: Callable[[str], Any]) -> None:
    """Let lines of the script, and no others, find names that a module lacks; `find` returns None for unknown ones."""
    before = getattr(module, "__getattr__", None)

    def found(name: str) -> Any:
        if not name.startswith("__") and script.is_asking():
            value = find(name)
            if value is not None:
                return value
        if before is not None:
            return before(name)
        raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

    module.__getattr__ = found


class _Refused(type):
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise UserError(cls.__doc__)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise UserError(cls.__doc__)


def refused(name: str, why: str) -> Any:
    """Return a class that can be imported and derived from, but raises a UserError, '`name` `why`', when it is used."""
    return _Refused(name.rpartition(".")[2], (), {"__doc__": f"{name} {why}"})


def left_out(name: str, result: Any = None, why: str = "") -> Callable[..., Any]:
    """Return a function that does nothing, since what it configured is decided without it today, and notes that."""

    def configure(*args: Any, **kwargs: Any) -> Any:
        report.translated(f"{name}() -> left out{why}")
        return result

    return configure
