"""`python -m kerasrl --migrate SCRIPT`: print a script rewritten for today as a diff, or change its file."""

import difflib
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from kerasrl.errors import UserError
from kerasrl.phrases import to_install, to_paste
from kerasrl.storage.files import write_whole

try:
    import libcst as libcst
except ImportError:
    raise UserError(f"--migrate needs libcst, which keeps comments and layout: {to_install('migrate')}") from None

from kerasrl.legacy.migrating.agents import Agents
from kerasrl.legacy.migrating.backend import Backend
from kerasrl.legacy.migrating.dropped_names import DroppedNames
from kerasrl.legacy.migrating.environments import Environments
from kerasrl.legacy.migrating.imports import Imports
from kerasrl.legacy.migrating.layers import Layers
from kerasrl.legacy.migrating.loops import Loops
from kerasrl.legacy.migrating.name_types import NameTypes
from kerasrl.legacy.migrating.rewriting import Rewriter
from kerasrl.legacy.migrating.saving import Saving
from kerasrl.legacy.migrating.script import HEAVY, Script, imported_modules
from kerasrl.legacy.migrating.seeds import Seeds
from kerasrl.legacy.source import kerases

_RULES = (Backend, Saving, Imports, Layers, Agents, Seeds, Environments, Loops, DroppedNames)


@dataclass(frozen=True)
class Understanding:
    """How to understand a script."""

    is_for_keras_rl_1: bool
    """Whether it was written for keras-rl 0.4.2 or older."""
    is_plain: bool
    """Whether it imports Keras by its own name only."""


def migrated(script: Path, keras_rl: int | None = None) -> list[tuple[Script, bytes]]:
    """Return a script and the modules beside it that it imports, each with its new content.

    Args:
        script: The file.
        keras_rl: Whose defaults hold: 1 is keras-rl 0.4.2, 2 is keras-rl2; None decides by the imports.

    Raises:
        UserError: A file is not Python 3.
        OSError: A file cannot be read.
    """
    scripts = _with_own_modules(script)
    found = {name for one in scripts.values() for name in kerases(one.tree)}
    options = Understanding(keras_rl == 1 if keras_rl else found == {"keras"}, found == {"keras"})
    types = NameTypes(scripts)
    local = {module.partition(".")[0] for module in scripts if module != "__main__"}
    uses_keras_rl = any({"rl", "keras_rl", "keras_rl2"} & set(imported_modules(one.tree)) for one in scripts.values())
    result = []
    for module, one in scripts.items():
        rules = [rule(one, module, types, options) for rule in _RULES]
        needs_engine = module == "__main__" and uses_keras_rl and bool(HEAVY & set(imported_modules(one.tree)))
        result.append((one, Rewriter(one, rules, local, needs_engine).rewritten().bytes))
    return result


def _with_own_modules(script: Path) -> dict[str, Script]:
    """Return a script as `__main__`, and the modules beside it that it imports, by their names."""
    scripts = {"__main__": Script(script, script.read_bytes())}
    # Also modules of a project in the folder, such as a package of environments that is installed with pip.
    projects = [file.parent for name in ("setup.py", "pyproject.toml") for file in script.parent.glob(f"*/{name}")]
    waiting = ["__main__"]
    while waiting:
        importer = waiting.pop(0)
        for name in imported_modules(scripts[importer].tree, scripts[importer].package):
            for folder in (script.parent, *sorted(projects)):
                base = folder.joinpath(*name.split("."))
                file = next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()), None)
                if name in scripts or file is None or file.resolve() == script.resolve():
                    continue
                if folder != script.parent and "." not in name:
                    installing = to_paste("python", "-m", "pip", "install", str(folder))
                    scripts["__main__"].note(None, f"{name} has to be installed: {installing}")
                package = name if file.name == "__init__.py" else name.rpartition(".")[0]
                scripts[name] = Script(file, file.read_bytes(), package)
                waiting.append(name)
    return scripts


def run(script: str, write: bool, keras_rl: int | None = None) -> int:
    """Print the diffs of a script, or change its files; return the exit status.

    Raises:
        UserError: A file is not Python 3, or a copy of it exists already.
    """
    try:
        results = migrated(Path(script), keras_rl)
    except OSError as error:
        raise UserError(f"cannot open {error.filename}: {error.strerror}") from None
    changed = [(one, content) for one, content in results if content != one.source]
    if write:
        _write(changed)
    else:
        sys.stdout.writelines(_diff(one, content) for one, content in changed)
    if not changed:
        print(f"{script}: nothing has to change", file=sys.stderr)
    for one, _ in results:
        place = "" if one.path == Path(script) else f"{one.path}, "
        for line, what in sorted(dict.fromkeys(one.notes)):
            print(f"{place}{f'line {line}: ' if line else ''}{what}", file=sys.stderr)
    return 0


def _diff(one: Script, content: bytes) -> str:
    before, after = (text.decode(one.module.encoding) for text in (one.source, content))
    name = one.path.as_posix()
    lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), name, name)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _write(changed: list[tuple[Script, bytes]]) -> None:
    """Change files, each with a copy of its old content beside it."""
    copies = [one.path.with_name(f"{one.path.name}.orig") for one, _ in changed]
    for copy in copies:
        if copy.exists():
            raise UserError(f"{copy} already exists; move it away first")
    for (one, content), copy in zip(changed, copies, strict=True):
        path = one.path.resolve()
        mode = path.stat().st_mode
        shutil.copy2(path, copy)
        write_whole(path, content)
        path.chmod(mode)
        print(f"{one.path} is rewritten; the original is in {copy.name}", file=sys.stderr)
