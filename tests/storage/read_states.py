"""Resumes from malicious states, each in a fork of this process; prints a line of JSON for each."""

from kerasrl.replay.prioritized import PrioritizedMemory
from kerasrl.replay.sequential import SequentialMemory

# isort: split

import json
import os
import random
import resource
import sys
import traceback
from pathlib import Path

import gym
import numpy as np

from kerasrl import reading
from kerasrl.errors import UserError
from kerasrl.storage import TrainingState
from kerasrl.storage.encoding import Held, decode
from kerasrl.storage.files import seal, unseal
from kerasrl.storage.object_state import ObjectEncoder, restore

KIND = b"kerasrl state 2"


class Agent:
    """As much of an agent as a state needs."""

    metadata, observation_sizes = {"env": "CartPole-v0"}, [4]
    processor = None
    stop_training = did_abort = False

    def __init__(self, memory=SequentialMemory):
        self.memory, self.step, self.trainables = memory(100, seed=0), 0, {}

    def parts(self):
        return {"processor": self.processor}

    def get_state(self):
        return {"step": self.step, "learner": [np.zeros(3, np.float32)], "processor": None}

    def set_state(self, state, warm_up):
        self.step = state["step"]
        self.learner = state["learner"]
        restore(self.processor, state["processor"])


class Env:
    def __init__(self):
        self.action_space = gym.spaces.Discrete(2, seed=0)


class Count:
    state = 0

    def get_state(self):
        return {"count": self.state}

    def set_state(self, state):
        self.state = state["count"]


def write(path, memory=SequentialMemory):
    agent = Agent(memory)
    for step in range(130):
        agent.memory.append(np.full(4, step, np.float32), step % 2, 1.0, step % 10 == 9)
    draw(agent.memory)
    agent.step = 130
    TrainingState(path, interval=20).save(agent, 13, [Count()], Env())


def draw(memory):
    """Draw a batch as a training does; a prioritised memory is told its errors."""
    rows = memory.draw(32).rows
    if rows is not None:
        memory.update_priorities(rows, np.arange(32, dtype=np.float32))


def encode(tree):
    return ObjectEncoder().encode(tree)


def resume(path, memory=SequentialMemory):
    """Return what a resume says: "resumed", or the refusal."""
    agent, state = Agent(memory), TrainingState(path, interval=20)
    try:
        saved, callbacks = state.load(), [Count()]
        episode = state.restore(saved, agent, callbacks, 1_000)
        state.begin(agent, episode, callbacks, Env(), 1_000, None, saved)
    except UserError as error:
        return str(error)
    drawn = np.random.random(1000), random.random()  # noqa: F841
    draw(agent.memory)
    return "resumed"


def with_tree(change):
    """Damage the tree and seal it again."""

    def damage(path):
        tree = decode(unseal(KIND, path.read_bytes()))
        change(tree)
        path.write_bytes(seal(KIND, encode(tree)))

    return damage


def place(**values):
    return with_tree(lambda tree: tree["memory"]["file"].update(values))


def record(kind, shape, name="frame0"):
    def change(tree):
        columns = tree["memory"]["file"]["record"]
        tree["memory"]["file"]["record"] = [[name, kind, shape], *columns[1:]]

    return with_tree(change)


def generator(**values):
    def change(tree):
        tree["agent"]["processor"] = Held("attributes", "Processor", {"rng": [Held("Generator", "Generator", values)]})

    return with_tree(change)


def numpy_position(tree):
    name, keys, _, *rest = tree["generators"]["numpy"]
    tree["generators"]["numpy"] = (name, keys, 10**9, *rest)


def python_version(tree):
    tree["generators"]["random"] = ("v" * 10**5, *tree["generators"]["random"][1:])


def document(tree, *lengths, content=b""):
    """Seal a tree of nodes, or a text for one, with buffers that claim these lengths."""

    def damage(path):
        node = tree if isinstance(tree, str) else json.dumps(tree)
        text = f'{{"buffers": {list(lengths)}, "tree": {node}}}'.encode()
        path.write_bytes(seal(KIND, len(text).to_bytes(8, "little") + text + content))

    return damage


def memory_file(path):
    return path.with_name(f"{path.name}.memory-1")


def as_pipe(path):
    memory_file(path).unlink()
    os.mkfifo(memory_file(path))


def as_link(path):
    memory_file(path).rename(path.with_name("elsewhere"))
    memory_file(path).symlink_to(path.with_name("elsewhere"))


def emptied(path):
    """Leave only the first record, which holds none of the memory's steps, and the checksum of nothing."""
    memory_file(path).write_bytes(memory_file(path).read_bytes()[:40])
    place(segments=[[30, 130, 0]])(path)


def with_holes(file, nb_bytes):
    file.write_bytes(b"")
    os.truncate(file, nb_bytes)


def steps_with_holes(path):
    with_holes(memory_file(path), memory_file(path).stat().st_size)


def state_as_pipe(path):
    path.unlink()
    os.mkfifo(path)


MEGABYTE = bytes(10**6)
DAMAGES = {
    "untouched": lambda path: None,
    "objects": record("|O", [4]),
    "other size": record("<f4", [5]),
    "texts": record("<U1", [4]),
    "huge": record("<f4", [10**9]),
    "other column": record("<f4", [4], "reward"),
    "no record": place(record=[]),
    "no number": place(number="1/../../secret"),
    "no capacity": place(capacity=0),
    "negative segment": place(segments=[[-(10**18), 130, 0]]),
    "endless segment": place(segments=[[30, 10**18, 0]]),
    "overlapping segments": place(segments=[[30, 100, 0], [90, 130, 0]]),
    "missing segment": place(segments=[[30, 100, 0], [110, 130, 0]]),
    "endless memory": with_tree(lambda tree: tree["memory"].update(nb_appended=10**30)),
    "numpy's place": with_tree(numpy_position),
    "another generator's place": generator(bit_generator="MT19937", state={"key": np.zeros(624), "pos": 10**9}),
    "Philox's place": generator(bit_generator="Philox", state={}, buffer_pos=10**9),
    "negative step": with_tree(lambda tree: tree["agent"].update(step=-1)),
    "settings in a list": with_tree(lambda tree: tree.update(metadata=[1])),
    "limit in words": with_tree(lambda tree: tree["memory"].update(limit="a" * 10**5)),
    "no tree": with_tree(lambda tree: tree.pop("generators")),
    "callbacks that are numbers": with_tree(lambda tree: tree.update(callbacks=[1, 2])),
    "callback's state of another kind": with_tree(lambda tree: tree.update(callbacks=[Held("state", "Count", 5)])),
    "finished by numbers": with_tree(lambda tree: tree.update(finished=np.zeros(2))),
    "ended by numbers": with_tree(lambda tree: tree.update(ended=np.zeros(2))),
    "ended without length": with_tree(lambda tree: (tree.update(ended=True), tree.pop("nb_steps"))),
    "long version": with_tree(python_version),
    "long callback": with_tree(lambda tree: tree.update(callbacks=[Held("state", "C" * 10**5, {})])),
    "long processor": with_tree(lambda tree: tree["agent"].update(processor=Held("attributes", "P" * 10**5, {}))),
    "prioritised": lambda path: None,
    "prioritised, long epsilon": with_tree(lambda tree: tree["memory"].update(epsilon="e" * 10**5)),
    "one array many times": document(["list", *[["numbers", "|i1", 0]] * 9_000], 10**6, content=MEGABYTE),
    "one number many times": document(["array", 0, "|u1", [10**12], [0], 0], 1, content=b"1"),
    "negative strides": document(["array", 0, "|u1", [100], [-1], 0], 10**6, content=MEGABYTE),
    "claiming": document(["array", 0, "|u1", [10**12], [1], 0], 10**6, content=MEGABYTE),
    "pointers": document(["array", 0, "|O", [10], [8], 0], 10**6, content=MEGABYTE),
    "long buffer": document(["numbers", "int", 0], 10**18),
    "negative buffer": document(["numbers", "int", 0], -8),
    "deep": document("[" * 100_000 + "]" * 100_000),
    "digits": document("1" * 5_000),
    "holes for a state": lambda path: with_holes(path, 2**31),
    "holes for steps": steps_with_holes,
    "pipe for steps": as_pipe,
    "link for steps": as_link,
    "no steps": emptied,
    "pipe for a state": state_as_pipe,
}


def main(folder):
    for name, damage in DAMAGES.items():
        path = folder / name.replace(" ", "_").replace("'", "") / "state"
        path.parent.mkdir()
        memory = PrioritizedMemory if "prioritised" in name else SequentialMemory
        write(path, memory)
        damage(path)
        reader, writer = os.pipe()
        process = os.fork()
        if not process:
            resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, used + 2**30))
            if name == "holes for steps":
                reading._FEW = 0  # of this process, which ends here
            try:
                said = resume(path, memory)
            except BaseException:
                said = traceback.format_exc().splitlines()[-1]
            os.write(writer, said.encode())
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            said = pipe.read().decode()
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        print(
            json.dumps({"name": name, "said": said.replace(str(path), "PATH") if status == 0 else status}), flush=True
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
