"""Imports point one way, as pyproject.toml says, and TensorFlow is imported late."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import kerasrl

ROOT = Path(__file__).parents[1]


def test_imports_point_one_way():
    lint = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_logo=True))",
    ]
    done = subprocess.run(lint, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "Contracts: 2 kept, 0 broken." in done.stdout


def test_every_wing_says_what_it_is_for():
    packages = list((ROOT / "kerasrl").rglob("__init__.py"))
    assert len(packages) > 20
    for path in packages:
        assert ast.get_docstring(ast.parse(path.read_text())), path


@pytest.mark.parametrize("name", kerasrl.__all__)
def test_a_public_name_is_there(name):
    assert getattr(kerasrl, name) is getattr(import_module(kerasrl._HOMES[name]), name)


def test_those_who_check_types_know_the_same_names():
    tree = ast.parse((ROOT / "kerasrl" / "__init__.py").read_text())
    (known,) = [node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    assert {node.names[0].asname: node.module for node in known.body} == kerasrl._HOMES


LATE = ["errors", "signals", "compat", "compat.gym", "config", "cli.door", "storage", "storage.weights", "environments"]
LATE += ["tools.plot", "tools.export", "tools.new"]


def test_no_tensorflow_where_a_mistake_is_to_be_told_at_once():
    code = "import importlib, sys\nfor wing in sys.argv[1:]:\n    importlib.import_module(f'kerasrl.{wing}')\n"
    code += "    assert not {'tensorflow', 'keras'} & set(sys.modules), wing"
    done = subprocess.run([sys.executable, "-c", code, *LATE], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
