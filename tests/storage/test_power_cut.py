"""What a disk holds after a power cut at any moment can be resumed: writes, flushes, renames in their order."""

import os
import pathlib
import shutil

import keras
import numpy as np
import pytest

from kerasrl import DQNAgent, SequentialMemory, environments
from kerasrl.callbacks import ModelIntervalCheckpoint
from kerasrl.storage import TrainingState
from model import build_model


class Disk:
    """Records what happens to a folder's files, and returns what may be on the disk after each event.

    A file system keeps what was flushed: a file's bytes by an fsync of the file, its name by an fsync of the folder.
    What was not flushed may be there or not.
    """

    def __init__(self, folder, monkeypatch):
        self.folder, self.events = folder, []
        open_path, replace, fsync, unlink = pathlib.Path.open, os.replace, os.fsync, pathlib.Path.unlink

        def recording_open(path, mode="r", *arguments, **named):
            file = open_path(path, mode, *arguments, **named)
            if path.parent == folder and ("w" in mode or "+" in mode):
                if "w" in mode:
                    self.events.append(("create", path.name))
                write = file.write
                return Recorded(
                    file, lambda data: (self.events.append(("write", path.name, file.tell(), data)), write(data))
                )
            return file

        def recording_fsync(descriptor):
            target = pathlib.Path(f"/proc/self/fd/{descriptor}").readlink()
            if target == folder:
                self.events.append(("flush names",))
            elif target.parent == folder:
                self.events.append(("flush", target.name))
            fsync(descriptor)

        def recording_replace(source, target):
            if pathlib.Path(target).parent == folder:
                self.events.append(("rename", pathlib.Path(source).name, pathlib.Path(target).name))
            replace(source, target)

        def recording_unlink(path, missing_ok=False):
            if path.parent == folder and path.exists():
                self.events.append(("remove", path.name))
            unlink(path, missing_ok)

        monkeypatch.setattr(pathlib.Path, "open", recording_open)
        monkeypatch.setattr(os, "fsync", recording_fsync)
        monkeypatch.setattr(os, "replace", recording_replace)
        monkeypatch.setattr(pathlib.Path, "unlink", recording_unlink)

    def after(self, nb_events, kept_of_rest):
        """Return name -> bytes after a power cut: everything that was done, or only what was flushed.

        Args:
            nb_events: Events before the cut.
            kept_of_rest: What is there of that which was not flushed: everything, names (but no bytes), only the names
                that renames gave, or nothing.
        """
        files, names, kept = [], {}, {}  # [bytes now, bytes flushed]; names now and flushed -> number of the file
        created = set()  # names since the last flush
        for kind, *what in self.events[:nb_events]:
            if kind == "create":
                names[what[0]] = len(files)
                created.add(what[0])
                files.append([bytearray(), bytearray()])
            elif kind == "write":
                name, position, data = what
                content = files[names[name]][0]
                content.extend(bytes(max(0, position + len(data) - len(content))))
                content[position : position + len(data)] = data
            elif kind == "flush":
                files[names[what[0]]][1] = bytearray(files[names[what[0]]][0])
            elif kind == "rename":
                names[what[1]] = names.pop(what[0])
                created -= set(what)
            elif kind == "remove":
                del names[what[0]]
            elif kind == "flush names":
                kept, created = dict(names), set()
        if kept_of_rest == "everything":
            return {name: bytes(files[number][0]) for name, number in names.items()}
        if kept_of_rest == "renames":
            names = {name: number for name, number in names.items() if name not in created}
        names = kept if kept_of_rest == "nothing" else names
        return {name: bytes(files[number][1]) for name, number in names.items()}


class Recorded:
    def __init__(self, file, write):
        self.file, self.write = file, write

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        self.file.__enter__()
        return self

    def __exit__(self, *arguments):
        return self.file.__exit__(*arguments)


def build_agent():
    keras.utils.set_random_seed(1)
    agent = DQNAgent(build_model(4, 2, (4,)), nb_actions=2, memory=SequentialMemory(150), nb_steps_warmup=20)
    agent.compile("sgd", jit_compile=False)
    return agent


def fit(agent, folder, nb_steps, resume=False):
    state = TrainingState(folder / "state", interval=40)
    checkpoints = ModelIntervalCheckpoint(str(folder / "weights_{step}.h5f"), 90)
    agent.fit(
        environments.make("CartPole-v0"),
        nb_steps,
        callbacks=[checkpoints],
        verbose=0,
        seed=5,
        state=state,
        resume=resume,
    )
    return [array.copy() for array in agent.model.get_weights()]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    with pytest.MonkeyPatch.context() as monkeypatch:
        disk = Disk(folder, monkeypatch)
        weights = fit(build_agent(), folder, 320)
    return disk, weights


@pytest.mark.long
def test_each_beginning_of_what_is_written_can_be_resumed(recorded, tmp_path):
    disk, expected = recorded
    kinds = [event[0] for event in disk.events]
    assert kinds.count("rename") >= 8 and kinds.count("create") > kinds.count("rename")
    first = next(i for i, event in enumerate(disk.events) if event[0] == "rename") + 2  # and its flush
    agent, seen, steps = build_agent(), set(), set()
    for nb_events in range(first, len(disk.events) + 1):
        for kept_of_rest in ("everything", "names", "renames", "nothing"):
            files = disk.after(nb_events, kept_of_rest)
            # What other runs left is useless for a resume, so that equal states and memories need only one.
            image = tuple(sorted((name, content) for name, content in files.items() if name.startswith("state")))
            if image in seen:
                continue
            seen.add(image)
            folder = tmp_path / "after"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for name, content in files.items():
                (folder / name).write_bytes(content)
            steps.add(TrainingState(folder / "state").load()["agent"]["step"])
            for actual, wanted in zip(fit(agent, folder, 320, resume=True), expected, strict=True):
                np.testing.assert_array_equal(
                    actual, wanted, f"after event {nb_events}: {disk.events[nb_events - 1][:2]}"
                )
    assert len(steps) > 5 and len(seen) > 12


@pytest.mark.long
def test_a_name_is_flushed_before_anything_that_relies_on_it(recorded):
    disk, _ = recorded
    for i, (kind, *_) in enumerate(disk.events):
        if kind == "rename":
            assert disk.events[i - 1][:2] == ("flush", disk.events[i][1])
            assert disk.events[i + 1] == ("flush names",)
