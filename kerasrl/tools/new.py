"""Copy the recipe, to make it your own."""

import re
from pathlib import Path

from kerasrl.config.agents import AGENTS, DQN, require_agent
from kerasrl.errors import UserError
from kerasrl.installation import FOLDER, PACKAGES, RECIPE
from kerasrl.phrases import python, to_paste, to_type
from kerasrl.storage.files import write_whole

FILES = [f"{name}.py" for name in RECIPE]
_OWN_BUILD = re.compile(r"^from model import .*?^def train", re.MULTILINE | re.DOTALL)  # in train.py


def new(*folders: str | Path, agent: str = DQN) -> list[str]:
    """Copy train.py, test.py, model.py and callbacks.py to a single folder; return lines that say what to type next.

    Args:
        folders: The folder.
        agent: Agent that the recipe is to build; the model.py of any but DQN is kerasrl/agents/NAME/recipe.py.

    Raises:
        UserError: There is not exactly one folder, it cannot be written to, it already contains one of the files, or
            there is no such agent.
    """
    require_agent(agent)
    if len(folders) != 1:
        example = to_type("python -m kerasrl new my_agent", "kerasrl.new('my_agent')")
        raise UserError(f"name one folder to copy the recipe to, such as: {example}")
    folder = Path(folders[0])
    try:
        if there := [name for name in FILES if (folder / name).exists()]:
            raise UserError(f"{folder} already has {', '.join(there)}; name another folder")
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            write_whole(folder / name, _content(name, agent))
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}") from None
    command = to_paste(python(), str(folder / "train.py"))
    return [f"{', '.join(FILES)} copied to {folder}; edit them, then train:", command]


def _content(name: str, agent: str) -> bytes:
    """Return a file of an agent's recipe: model.py builds it, train.py and test.py call it by its name."""
    if agent == DQN:
        return (FOLDER / name).read_bytes()
    if name == "model.py":
        return (PACKAGES / "kerasrl/agents" / agent / "recipe.py").read_bytes()
    text = (FOLDER / name).read_text(encoding="utf-8")
    text = _OWN_BUILD.sub("from model import build\n\n\ndef train", text)
    text = text.replace('kerasrl.answer("train")', f'kerasrl.answer("train", agent="{agent}")')
    text = text.replace("DQN agent; by default on CartPole-v0 as in the tutorial", f"{agent.upper()} agent")
    text = text.replace("python train.py --preset acrobot\n", "")  # which is DQN's
    text = re.sub(r"CartPole-v\d", AGENTS[agent].settings.env, text)
    return re.sub(rf"\b{DQN}(?=_|\b)", agent, text).encode()
