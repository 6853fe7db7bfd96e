"""Damages files of all kinds at random, seals them again, and reads each in a fork with 2 seconds and 1 GB.

PYTHONPATH=. python tests/storage/fuzz.py 10000 [SEED]

What reads them has to end with a result or one line; prints what did not, and keeps the file in the current folder.
"""

from read_states import KIND, PrioritizedMemory, SequentialMemory, encode, resume, write

# isort: split

import copy
import dataclasses
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import tomli_w

from kerasrl import Config, plot
from kerasrl.config.files import to_toml
from kerasrl.config.resuming import from_metadata
from kerasrl.config.trust import require_trust
from kerasrl.environments.normalizing import Normalizer
from kerasrl.errors import UserError
from kerasrl.storage import checkpoint, held_state, weights
from kerasrl.storage.encoding import decode
from kerasrl.storage.files import seal, unseal
from kerasrl.tools.plot.logs import groups_of, read_log
from kerasrl.tools.tune.space import read_space
from kerasrl.training.own_parts import OwnParts

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
SPACES = sorted((ROOT / "spaces").glob("*.toml"))
SECONDS, BYTES = 20, 2**30
HOSTILE = [None, True, -1, 0, 2**31, 2**63, 10**30, 1e308, float("nan"), "", "x", "\x1b[2J", "../x", [], {}, [[]] * 9]
HOSTILE += [{"bit_generator": "MT19937", "state": {"pos": 10**9}}, "a" * 10**5]


def damaged(content, draws):
    """Change bytes, swap or cut blocks, or write numbers that are the largest of their size."""
    content = bytearray(content)
    for _ in range(draws.choice([1, 1, 2, 4, 16])):
        at = draws.randrange(max(len(content), 1))
        match draws.randrange(5):
            case 0 | 1:
                content[at : at + 1] = bytes([draws.randrange(256)])
            case 2:
                size = draws.choice([1, 2, 4, 8])
                number = draws.choice(
                    [0, 1, 2 ** (8 * size) - 1, 2 ** (8 * size - 1) - 1, len(content) % 2 ** (8 * size)]
                )
                content[at : at + size] = number.to_bytes(size, "little")
            case 3:
                start, size = draws.randrange(max(len(content), 1)), draws.choice([4, 8, 64, 512])
                content[at : at + size] = content[start : start + size]
            case 4 if draws.random() < 0.2:
                del content[at:]
    return bytes(content)


def tampered(tree, draws):
    """Replace a part or two of the tree with something hostile, or with another part."""
    tree = copy.deepcopy(tree)
    if not tree:
        return draws.choice(HOSTILE)
    for _ in range(draws.choice([1, 1, 2])):
        places = [(tree, key) for key in (tree if isinstance(tree, dict) else range(len(tree)))]
        for holder, key in places:
            inner = holder[key]
            if isinstance(inner, dict | list) and len(places) < 2_000:
                places += [(inner, key) for key in (inner if isinstance(inner, dict) else range(len(inner)))]
        # Deep places are many: choose among the names first.
        _, holder, key = draws.choice([(str(key), holder, key) for holder, key in places])
        other, name = draws.choice(places)
        if draws.random() < 0.1 and len(tree) > 1:
            del holder[key]
        else:
            holder[key] = copy.deepcopy(draws.choice([*HOSTILE, other[name]]))
    return tree


def weights_file(folder, draws):
    path = folder / "w.h5f"
    sealed = (ROOT / "checkpoints" / "dqn_CartPole-v0_pretrained.h5f").read_bytes()
    if draws.random() < 0.5:
        path.write_bytes(damaged((DATA / "keras_rl_0.4.2_hdf5.h5f").read_bytes(), draws))
    else:
        path.write_bytes(seal(weights._KIND, damaged(sealed[512:], draws)))
    return lambda: settings_of(path)


def settings_file(folder, draws):
    """Weights as this project writes them, with settings that somebody changed."""
    path = folder / "w.h5f"
    settings = tampered({**dataclasses.asdict(Config(network="atari:build_atari_network")), "objects": []}, draws)
    with h5py.File(path, "w", userblock_size=512) as file:
        file.attrs["layer_names"], file.attrs["kerasrl"] = [b"dense"], json.dumps(settings)
        file["dense/kernel"] = [[1.0]]
        file["dense"].attrs["weight_names"] = [b"kernel"]
    path.write_bytes(seal(weights._KIND, path.read_bytes()[512:]))
    return lambda: settings_of(path)


class Statistics:
    """What a processor might hold."""

    def __init__(self):
        self.means, self.names, self.generator = np.zeros((3, 2)), {"a": [1, 2.5]}, np.random.default_rng(1)


def held_file(folder, draws):
    """Weights with what a processor held, which somebody changed."""
    path, things = folder / "w.h5f", {"processor": Statistics(), "normalizer": Normalizer(np.zeros(4))}
    content = held_state.encoded(things)
    start = 8 + int.from_bytes(content[:8], "little")
    if draws.random() < 0.7:
        text = json.dumps(tampered(json.loads(content[8:start]), draws)).encode()
        content = len(text).to_bytes(8, "little") + text + content[start:]
    else:
        content = damaged(content, draws)
    with h5py.File(path, "w", userblock_size=512) as file:
        file.attrs["layer_names"], file.attrs["kerasrl"], file["dense/kernel"] = [b"dense"], "null", [[1.0]]
        file["dense"].attrs["weight_names"] = [b"kernel"]
        file["kerasrl_held"] = np.frombuffer(content, np.uint8)
    path.write_bytes(seal(weights._KIND, path.read_bytes()[512:]))
    return lambda: held_state.put_back(weights.read(path).held, things, str(path), [(1, 4)])


def settings_of(path):
    metadata = weights.read(path).metadata
    require_trust(str(path), dataclasses.asdict(from_metadata(metadata, path)), {})
    if OwnParts().missing(metadata):
        raise UserError("made with objects")


def checkpoint_files(folder, draws):
    for ending in (".index", ".data-00000-of-00001"):
        (folder / f"w.h5f{ending}").write_bytes((DATA / f"keras_rl2_tf24_checkpoint.h5f{ending}").read_bytes())
    index = folder / "w.h5f.index"
    index.write_bytes(damaged(index.read_bytes(), draws))
    return lambda: without_checksums(lambda: weights.read(folder / "w.h5f"))


class AnyChecksum(int):
    """A checksum that equals any other."""

    __hash__ = int.__hash__

    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False


def without_checksums(read):
    """Treat a damaged block as one whose checksum was computed again."""
    checkpoint._checksum = lambda content: AnyChecksum()
    return read()


def state_file(folder, draws):
    path, memory = folder / "state", draws.choice([SequentialMemory, PrioritizedMemory])
    write(path, memory)
    content = unseal(KIND, path.read_bytes())
    if draws.random() < 0.7:
        start = 8 + int.from_bytes(content[:8], "little")
        text = json.dumps(tampered(json.loads(content[8:start]), draws)).encode()
        content = len(text).to_bytes(8, "little") + text + content[start:]
    else:
        content = damaged(content, draws)
    path.write_bytes(seal(KIND, content))
    return lambda: refused(resume(path, memory))


def memory_file(folder, draws):
    path, memory = folder / "state", draws.choice([SequentialMemory, PrioritizedMemory])
    write(path, memory)
    tree = decode(unseal(KIND, path.read_bytes()))
    tree["memory"] = tampered(tree["memory"], draws)
    path.write_bytes(seal(KIND, encode(tree)))
    steps = path.with_name("state.memory-1")
    if draws.random() < 0.3:
        steps.write_bytes(damaged(steps.read_bytes(), draws))
    return lambda: refused(resume(path, memory))


def refused(said):
    if said != "resumed":
        raise UserError(said)


def log_file(folder, draws):
    path, log = folder / "x_log.json", (DATA / "keras_rl_0.4.2_log.json").read_bytes()
    text = damaged(log, draws) if draws.random() < 0.3 else json.dumps(tampered(json.loads(log), draws)).encode()
    path.write_bytes(text)
    config = to_toml(Config(env="CartPole-v0"), {"reward_threshold": 195.0}).encode()
    (folder / "x_config.toml").write_bytes(damaged(config, draws) if draws.random() < 0.3 else config)
    is_drawn = draws.random() < 0.05
    return lambda: plot([path]) if is_drawn else groups_of([read_log(path, None)])


def toml_file(folder, draws):
    path = folder / "x.toml"
    lines = to_toml(Config(), {"command": "x"}).splitlines()
    at = draws.randrange(len(lines))
    value = draws.choice(["[" * 9**5, "1" * 5_000, "0x" + "1" * 5_000, "[65536, 65536]", "nan", '"\\u001b"', "{a=1}"])
    lines[at] = f"{lines[at].partition('=')[0]} = {value}"
    content = "\n".join(lines).encode()
    path.write_bytes(damaged(content, draws) if draws.random() < 0.5 else content)
    return lambda: Config.load(file=path)


def space_file(folder, draws):
    path, content = folder / "x.toml", draws.choice(SPACES).read_bytes()
    if draws.random() < 0.5:
        path.write_bytes(damaged(content, draws))
    else:
        tree = tampered(tomllib.loads(content.decode()), draws)
        try:
            path.write_text(tomli_w.dumps(tree))
        except (TypeError, ValueError, AttributeError):  # what TOML cannot say
            path.write_bytes(damaged(content, draws))
    return lambda: read_space(path, Config(), {})


MAKERS = [
    *(weights_file, held_file, settings_file, checkpoint_files, state_file, memory_file),
    *(log_file, toml_file, space_file),
]


def outcome(read):
    """Return "read", "refused", or what else happened in a fork."""
    reader, writer = os.pipe()
    process = os.fork()
    if not process:
        signal.alarm(600)  # a processor that others use, too, may take that long for the 20 seconds
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, used + BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        try:
            read()
            said = "read"
        except UserError as error:
            text = str(error)
            said = "refused" if text.isprintable() and len(text) < 1_000 else f"a long line: {text[:200]!r}"
        except BaseException as error:
            said = f"{type(error).__name__}: {str(error)[:200]}"
        os.write(writer, said.encode(errors="replace"))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode()
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return said if status == 0 else f"status {status}"


def main(nb_files, seed):
    """Read this many files of each kind in turn; return the number of failures."""
    counts = {}
    for number in range(nb_files):
        maker, draws = MAKERS[number % len(MAKERS)], random.Random(seed * 1_000_000 + number)
        with tempfile.TemporaryDirectory() as name:
            said = outcome(maker(Path(name), draws))
            if said not in ("read", "refused"):
                print(f"{maker.__name__} {number}: {said}", flush=True)
                shutil.copytree(name, f"fuzz-{seed}-{number}", symlinks=True)
                said = "failed"
        counts[maker.__name__, said] = counts.get((maker.__name__, said), 0) + 1
        if (number + 1) % 500 == 0:
            print(f"{number + 1} files, {nb_failed(counts)} failed", flush=True)
    for (kind, said), count in sorted(counts.items()):
        print(kind, said, count)
    return nb_failed(counts)


def nb_failed(counts):
    return sum(count for (_, said), count in counts.items() if said == "failed")


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int((sys.argv[2:] or ["0"])[0])) > 0)
