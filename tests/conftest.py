"""What all tests share; TensorFlow is imported where they run, not where they are handed out to other processes."""

import collections
import contextlib
import gc
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from typing import NamedTuple

import pytest

from kerasrl.errors import Note, UserError
from kerasrl.phrases import is_shell

ROOT = Path(__file__).parents[1]

os.environ["PYTHONPATH"] = str(ROOT)  # what tests start is this checkout, not an installed copy

# Ray's workers would give way to everything else: beside other tests, what a test waits for would hardly go on.
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112

# What is started with nohup or in the background ignores these, and so would every process that a test starts.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


_marked = set()  # the marks of the test that runs: `xla`, `curve`, `apart` and others


def prepare_to_run_tests():
    """Choose the threads, which TensorFlow takes once in a process, and leave out what takes long."""
    gc.disable()  # what is imported lives to the end: to look through it for garbage takes a second, now and later
    from kerasrl.learning import device

    device.configure((4,))  # what train.py chooses for vectors
    import pygame  # noqa: F401  # here: whatever it warns of when it is imported is no test's failure
    from leaving_out import leave_out

    leave_out(_marked)
    gc.freeze()
    gc.enable()


# The wording of messages stands in messages.json: a text, or a list of them in order, for each test that says any.
MESSAGES = ROOT / "tests/messages.json"
_messages, _said_now = json.loads(MESSAGES.read_text()), {}
collected, speakers, passed = (pytest.StashKey() for _ in range(3))


def pytest_addoption(parser):
    parser.addoption("--regenerate-messages", action="store_true", help="rewrite what the tests that run say")
    parser.addoption(
        "--eighth", type=int, choices=range(8), help="run an eighth of the tests, which their names choose"
    )


def pytest_configure(config):
    hands_out = config.getoption("numprocesses", None)
    if hands_out and config.getoption("--regenerate-messages"):
        raise pytest.UsageError("--regenerate-messages needs -n 0")
    if not hands_out:
        prepare_to_run_tests()
    if FORK_SERVER not in os.environ:  # one for all processes of tests
        server = contextlib.ExitStack()
        os.environ[FORK_SERVER] = server.enter_context(fork_server())
        config.add_cleanup(server.close)


# Files that take long for the number of their tests; those that start first, so that none is left alone at the end.
LONGEST = ["test_seeds.py", "test_search.py", "test_cluster.py", "test_resume.py", "test_package.py", "test_export.py"]
LONGEST += ["test_own_names.py", "test_command_line.py", "test_whole_scripts.py", "test_project.py", "test_notebook.py"]


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config, items):
    config.stash[collected] = {item.path for item in items}  # before any test is deselected
    config.stash[speakers] = {key_of(item) for item in items if "said" in item.fixturenames}
    eighth = config.getoption("--eighth")
    if eighth is not None:
        items[:] = [item for item in items if zlib.crc32(item.nodeid.partition("[")[0].encode()) % 8 == eighth]
    yield
    nb_tests = collections.Counter(item.path for item in items)

    def rank(item):
        name = item.path.name
        return LONGEST.index(name) if name in LONGEST else len(LONGEST), -nb_tests[item.path], item.path

    items.sort(key=rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        """Files are handed out whole, in the order of the tests, and as one those that share a Ray."""

        def _split_scope(self, nodeid):
            return "tests/tuning" if nodeid.startswith("tests/tuning/") else super()._split_scope(nodeid)

    return Scheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call":
        item.stash[passed] = report.passed
    return report


def pytest_sessionfinish(session):
    if session.config.getoption("--regenerate-messages"):
        gone = left_over(session.config)
        messages = {key: text for key, text in (_messages | _said_now).items() if key not in gone}
        MESSAGES.write_text(json.dumps(messages, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def key_of(item):
    return item.nodeid.removeprefix("tests/")


def left_over(config):
    """Keys of messages.json that no test has, as far as the files that were collected as a whole show."""
    named = {Path(argument).resolve() for argument in config.args}  # tests that are named one by one are no files

    def is_gone(key):
        name, _, test = key.partition("::")
        file = ROOT / "tests" / name
        if file in config.stash[collected] and named & {file, *file.parents}:
            return key not in config.stash[speakers]
        return not file.exists() or f"def {test.partition('[')[0]}(" not in file.read_text()

    return [key for key in _messages if is_gone(key)]


@pytest.fixture
def said(request, tmp_path_factory):
    """A function that compares a message with the test's next one in messages.json and returns it.

    What in it `varying`, a pattern, fits is another on each machine.
    """
    key, texts = key_of(request.node), []
    regenerates = request.config.getoption("--regenerate-messages")
    expected = _messages.get(key, [])
    expected = expected if isinstance(expected, list) else [expected]
    folders = rf"{re.escape(str(tmp_path_factory.getbasetemp()))}/\w+"
    names = {folders: "TMP", r"\S+ -m pip": "PYTHON -m pip", re.escape(str(ROOT)): "ROOT"}
    names |= {r"own\d+": "own0", r" at 0x\w+": " at ..."}

    def compare(text, varying=None):
        normal = str(text)
        for part, name in {**names, varying or "(?!)": "..."}.items():
            normal = re.sub(part, name, normal)
        before = expected[len(texts)] if len(texts) < len(expected) else ""
        texts.append(normal)
        assert regenerates or normal == before, f"other words than in {MESSAGES.name}"
        return str(text)

    yield compare
    if request.node.stash.get(passed, False):
        _said_now[key] = texts if len(texts) != 1 else texts[0]
        assert regenerates or len(texts) == len(expected), f"of {expected}, only {texts} are said"


@pytest.fixture
def left_over_messages(request):
    return left_over(request.config)


@pytest.fixture
def refused(said):
    """A context in which an error of one line is raised, which messages.json has and which holds some words."""

    @contextlib.contextmanager
    def refused(*words, error=UserError, varying=None):
        with pytest.raises(error) as caught:
            yield
        text = said(caught.value, varying)
        assert "\n" not in text and all(str(word) in text for word in words)
        assert speaks_its_language(text)

    return refused


def speaks_its_language(text):
    """Whether it names options only where a shell is spoken to, which tests of options say by `with shell()`."""
    return is_shell() or not re.search(r"(?<![\w-])--[a-z]", text)


def pytest_runtest_setup(item):
    _marked.clear()
    _marked.update(mark.name for mark in item.iter_markers())


@pytest.fixture(autouse=True)
def same_draws_every_time(monkeypatch):
    import keras

    keras.utils.set_random_seed(0)
    monkeypatch.setattr("secrets.randbelow", random.Random(0).randrange)  # the seeds of trainings that are given none


@pytest.fixture
def unrehearsed(monkeypatch):
    """No rehearsals: each trains an agent of its own, which takes as long as a training of a few steps."""
    monkeypatch.setattr("kerasrl.training.run.TrainingRun._rehearse", lambda _: None)


@pytest.fixture
def shown(monkeypatch):
    """The pictures that pygame has shown on an invisible screen."""
    import pygame

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    frames, flip = [], pygame.display.flip
    monkeypatch.setattr(pygame.display, "flip", lambda: (frames.append(0), flip()))
    yield frames
    pygame.quit()


class Ran(NamedTuple):
    """What became of a command."""

    status: int
    output: str
    errors: str


class Started:
    """A command that runs."""

    def __init__(self, ask, process, files):
        self.ask, self.process, self.files = ask, process, files

    def send_signal(self, number):
        os.kill(self.process, number)

    def wait(self):
        """Return what becomes of it."""
        return Ran(self.ask(self.process), *(file.read_text() for file in self.files))


FORK_SERVER = "KERASRL_TESTS_FORK_SERVER"


@contextlib.contextmanager
def fork_server():
    """Yield the folder of the sockets, `plain` and `legacy`, behind which fork_server.py runs commands."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as sockets:
        numbers = []
        for name in ("plain", "legacy"):
            listening = sockets.enter_context(socket.socket(socket.AF_UNIX))
            listening.bind(f"{folder}/{name}")
            listening.listen()
            numbers.append(listening.fileno())
        command = [sys.executable, ROOT / "tests/shared/fork_server.py", *map(str, numbers)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=numbers):
            sockets.close()
            yield folder


class Python:
    """Commands as after `python`, in forks of fork_server.py."""

    def __init__(self, folder, address):
        self.folder, self.address, self.stream, self.nb_started = folder, address, None, 0

    def ask(self, request):
        if self.stream is None:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(self.address))
                self.stream = connection.makefile("rw")
        print(json.dumps(request, default=str), file=self.stream, flush=True)
        return int(self.stream.readline())

    def start(self, folder, *command, before="", wanted=(), **environment):
        """Start a command in a folder, without a screen.

        `before` is code that its process runs first, `wanted` what it shall have of what leaving_out.py leaves out.
        """
        self.nb_started += 1
        files = [self.folder / f"{self.nb_started}.{name}" for name in ("output", "errors")]
        environment = {"SDL_VIDEODRIVER": None, "DISPLAY": None, **environment}
        process = self.ask([folder, command, environment, files, before, wanted])
        return Started(self.ask, process, files)

    def run(self, folder, *command, **options):
        return self.start(folder, *command, **options).wait()

    def close(self):
        if self.stream is not None:
            self.stream.close()


@pytest.fixture
def noted(said):
    """A context in which a single `Note` is made, which messages.json has and which holds some words."""

    @contextlib.contextmanager
    def noted(*words):
        with pytest.warns(Note) as notes:
            yield
        (note,) = notes
        text = said(note.message)
        assert all(word in text for word in words) and speaks_its_language(text)

    return noted


@pytest.fixture(scope="session")
def python(tmp_path_factory):
    """Run `python COMMAND` in a folder, with the package kerasrl within reach."""
    with contextlib.closing(Python(tmp_path_factory.mktemp("python"), f"{os.environ[FORK_SERVER]}/plain")) as python:
        yield python


@pytest.fixture(scope="session")
def legacy_python(tmp_path_factory):
    """Run `python -m kerasrl SCRIPT` in a folder, where what a script imports has been imported for it before."""
    with contextlib.closing(Python(tmp_path_factory.mktemp("legacy"), f"{os.environ[FORK_SERVER]}/legacy")) as python:
        yield python
