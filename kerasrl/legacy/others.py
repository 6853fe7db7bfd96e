"""Names that NumPy, Pillow and SciPy dropped, given back to the lines of a script that ask for them."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from kerasrl.errors import UserError as UserError
from kerasrl.legacy import tensorflow
from kerasrl.legacy.notes import notes

# NumPy 1.20 to 2.0 dropped these: name -> what it stood for.
NUMPY: dict[str, str] = {
    "bool": "bool", "int": "int", "float": "float", "complex": "complex", "object": "object", "str": "str",
    "unicode": "str", "long": "int", "bool8": "bool_", "int0": "intp", "uint0": "uintp", "object0": "object_",
    "str0": "str_", "unicode_": "str_", "string_": "bytes_", "float_": "float64", "complex_": "complex128",
    "cfloat": "complex128", "singlecomplex": "complex64", "longfloat": "longdouble", "Inf": "inf", "Infinity": "inf",
    "infty": "inf", "PINF": "inf", "NaN": "nan", "product": "prod", "cumproduct": "cumprod", "sometrue": "any",
    "alltrue": "all", "in1d": "isin", "row_stack": "vstack", "trapz": "trapezoid", "round_": "round",
    "asscalar": "item",
}  # fmt: skip
# Pillow 10 dropped these constants of PIL.Image.
PILLOW: dict[str, str] = {
    "ANTIALIAS": "LANCZOS", "LINEAR": "BILINEAR", "CUBIC": "BICUBIC",
}  # fmt: skip
_BUILTINS = {"bool": bool, "int": int, "float": float, "complex": complex, "object": object, "str": str}


def is_builtin(name: str) -> bool:
    """Return whether a name in `NUMPY` is one of Python's own."""
    return name in _BUILTINS


def give_back(module: ModuleType, name: str, table: dict[str, str], find: Callable[[str], Any]) -> None:
    """Let a module find its dropped names again, for lines of the script only.

    Args:
        module: The module.
        name: What the notes call it.
        table: Dropped name -> today's.
        find: Returns the value of a dropped name.
    """
    before = getattr(module, "__getattr__", None)

    def found(attribute: str) -> Any:
        if attribute in table and notes.is_asked_by_script():
            today = table[attribute]
            notes.translated(f"{name}.{attribute} -> {today if today in _BUILTINS else f'{name}.{today}'}")
            return find(attribute)
        if before is not None:
            return before(attribute)
        raise AttributeError(f"module {module.__name__!r} has no attribute {attribute!r}")

    module.__getattr__ = found  # type: ignore[method-assign]


def _numpy(np: ModuleType) -> None:
    def find(name: str) -> Any:
        today = NUMPY[name]
        if name == "asscalar":
            return lambda array: np.asarray(array).item()
        return _BUILTINS[today] if today in _BUILTINS and name not in vars(np) else getattr(np, today)

    give_back(np, "np", NUMPY, find)


def _pillow(image: ModuleType) -> None:
    give_back(image, "Image", PILLOW, lambda name: getattr(image.Resampling, PILLOW[name]))


def lost_module(name: str) -> ModuleType | None:
    """Return a module that these libraries dropped, None if it is not one of them."""
    return None


def _numpy_random(module: ModuleType) -> None:
    """Let np.random.seed(n) of the script seed Keras too, which no longer draws its weights from NumPy."""
    original = module.seed

    def seed(seed: Any = None) -> None:
        if hasattr(seed, "__index__") and notes.is_asked_by_script():
            tensorflow.seed_all(int(seed), "np.random.seed")
        else:
            original(seed)

    module.seed = seed  # type: ignore[attr-defined]


BEFORE: dict[str, Callable[[], None]] = {}
LOADED: dict[str, Callable[[ModuleType], None]] = {
    "numpy": _numpy,
    "numpy.random": _numpy_random,
    "PIL.Image": _pillow,
}
