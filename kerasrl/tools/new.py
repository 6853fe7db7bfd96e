"""Copy the recipe, to make it your own."""

from pathlib import Path

from kerasrl.errors import UserError
from kerasrl.installation import FOLDER, RECIPE
from kerasrl.phrases import python, to_paste
from kerasrl.storage.files import write_whole

FILES = [f"{name}.py" for name in RECIPE]


def new(*folders: str | Path) -> list[str]:
    """Copy train.py, test.py, model.py and callbacks.py to a single folder; return lines that say what to type next.

    Raises:
        UserError: There is not exactly one folder, it cannot be written to, or it already contains one of the files.
    """
    if len(folders) != 1:
        raise UserError("name one folder to copy the recipe to, such as: python -m kerasrl new my_agent")
    folder = Path(folders[0])
    if there := [name for name in FILES if (folder / name).exists()]:
        raise UserError(f"{folder} already has {', '.join(there)}; name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            write_whole(folder / name, (FOLDER / name).read_bytes())
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from None
    command = to_paste(python(), str(folder / "train.py"))
    return [f"{', '.join(FILES)} copied to {folder}; edit them, then train:", command]
