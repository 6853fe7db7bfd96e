"""Names that NumPy and Pillow dropped, given back to the lines of a script that ask for them."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from kerasrl.legacy import seeding
from kerasrl.legacy.old_names import let_find
from kerasrl.legacy.report import report
from kerasrl.legacy.script import script

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
PILLOW: dict[str, str] = {"ANTIALIAS": "LANCZOS", "LINEAR": "BILINEAR", "CUBIC": "BICUBIC"}
BUILTINS = {"bool": bool, "int": int, "float": float, "complex": complex, "object": object, "str": str}


def _give_back(module: ModuleType, called: str, table: dict[str, str], find: Callable[[str], Any]) -> None:
    """Give a module its dropped names back; `find` returns what today's name stands for."""

    def found(name: str) -> Any:
        if name not in table:
            return None
        today = table[name]
        report.translated(f"{called}.{name} -> {today if today in BUILTINS else f'{called}.{today}'}")
        return find(today)

    let_find(module, found)


def _numpy(np: ModuleType) -> None:
    def find(today: str) -> Any:
        if today == NUMPY["asscalar"]:
            return lambda array: np.asarray(array).item()
        return BUILTINS.get(today) or getattr(np, today)

    _give_back(np, "np", NUMPY, find)


def _pillow(image: ModuleType) -> None:
    _give_back(image, "Image", PILLOW, lambda today: getattr(image.Resampling, today))


def _numpy_random(module: ModuleType) -> None:
    """Let the script's np.random.seed(n) seed Keras too, which no longer draws its weights from NumPy."""
    original = module.seed

    def seed(seed: Any = None) -> None:
        if hasattr(seed, "__index__") and script.is_asking():
            seeding.seed_all(seed, "np.random.seed")
        else:
            original(seed)

    module.seed = seed  # type: ignore[attr-defined]


LOADED: dict[str, Callable[[ModuleType], None]] = {
    "numpy": _numpy, "numpy.random": _numpy_random, "PIL.Image": _pillow,
}  # fmt: skip
