"""The engine's wings import downwards only, nothing of the recipe, and TensorFlow only where they say so."""

import ast
import itertools
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# From the top down; the modules of kerasrl/ itself are the ground.
WINGS = ["legacy", "export", "dqn", "callbacks", "environments", "storage", "compat", "ground"]
RECIPE = {path.stem for path in ROOT.glob("*.py")}


def wing(module):
    """The wing of a module, `kerasrl.dqn.agent` -> dqn; a name that kerasrl hands on from above counts as the top."""
    parts = module.split(".")
    if len(parts) > 1 and parts[1] in WINGS:
        return parts[1]
    return "ground" if len(parts) > 1 and (ROOT / "kerasrl" / f"{parts[1]}.py").exists() else "dqn"


def imported(source):
    """The modules that a source imports: at its top, within functions, by their names in a text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "modules are named in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and "import_module" in ast.dump(node.func):
            yield from (argument.value for argument in node.args if isinstance(argument, ast.Constant))


def upward(module, source):
    """The imports of a module that point upwards, or out of the engine into the recipe."""
    level = WINGS.index(wing(module))
    return [
        name
        for name in imported(source)
        if (name.startswith("kerasrl.") and WINGS.index(wing(name)) < level) or name.partition(".")[0] in RECIPE
    ]


MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted((ROOT / "kerasrl").rglob("*.py"))
    # The doors: __init__ hands on names from above on first use, __main__ runs scripts.
    if path not in (ROOT / "kerasrl" / "__init__.py", ROOT / "kerasrl" / "__main__.py")
}


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_downwards(module):
    assert upward(module, MODULES[module].read_text()) == []


def test_every_wing_exists_and_says_what_it_is_for():
    folders = {module.split(".")[1] for module, path in MODULES.items() if path.parent.name != "kerasrl"}
    assert folders == set(WINGS) - {"ground"}
    for folder in folders:
        assert ast.get_docstring(ast.parse((ROOT / "kerasrl" / folder / "__init__.py").read_text())), folder


@pytest.mark.parametrize(("upper", "lower"), list(itertools.pairwise(WINGS)))
def test_an_arrow_that_is_turned_round_is_found(upper, lower):
    homes = {"ground": "kerasrl.errors"}
    above, below = (homes.get(name, f"kerasrl.{name}.some") for name in (upper, lower))
    assert upward(above, f"from {below} import thing") == []
    for source in (f"from {above} import thing", f"def late():\n    import {above}", f"import_module({above!r})"):
        assert len(upward(below, source)) == 1


@pytest.mark.parametrize("source", ["from config import Config", "import train", "from kerasrl import DQNAgent"])
def test_the_engine_needs_neither_recipe_nor_its_own_front_door(source):
    assert len(upward("kerasrl.storage.some", source)) == 1


@pytest.mark.parametrize(
    "wing", ["errors", "signals", "compat", "compat.gym", "storage", "storage.weights", "environments"]
)
def test_no_tensorflow_where_a_mistake_is_to_be_told_at_once(wing):
    code = f"import sys, kerasrl.{wing}; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
