"""A real cluster of two nodes on this machine, one of which is lost while it trains."""

import contextlib
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kerasrl import Config, train
from kerasrl.errors import UserError
from kerasrl.tools.tune import storage

ROOT = Path(__file__).parents[2]
RAY = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--node-ip-address", "127.0.0.1"]


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def children(number):
    """The processes that a process has started: their numbers and names."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid,comm"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()[1:]]
    return {int(child): name for child, parent, name in rows if int(parent) == number}


def open_files(number):
    found = set()
    with contextlib.suppress(OSError):  # a process or a file that is gone
        for link in Path(f"/proc/{number}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(str(link.readlink()))
    return found


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="Linux says there who listens where")
def test_ray_on_one_machine_listens_to_nobody_else(ray):
    assert list(Path("/tmp").glob("kerasrl-ray-*.tmp/.held"))
    numbers = [os.getpid(), *(found := children(os.getpid()))]
    numbers += [number for child in found for number in children(child)]
    links = set().union(*map(open_files, numbers))
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()[1:]]
    listening = [row[1].partition(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in links]
    assert len(listening) >= 4
    assert set(listening) <= {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


@pytest.fixture
def two_nodes(own, tmp_path_factory):
    """The address of a cluster, the process of its second node, and the environment that has its token."""
    folder = tmp_path_factory.mktemp("r")
    address = f"127.0.0.1:{free_port()}"
    environment = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    environment |= {"RAY_USAGE_STATS_ENABLED": "0", "TMPDIR": "/tmp", "PYTHONPATH": f"{own}{os.pathsep}{ROOT}"}
    common = ["--num-cpus", "1", "--object-store-memory", "100000000"]
    head = ["--head", "--port", address.rpartition(":")[2], "--include-dashboard=false", "--temp-dir", str(folder)]
    head += ["--ray-client-server-port", str(free_port())]  # another cluster on this machine may have the usual one
    processes = []
    try:
        for own in (head, ["--address", address]):
            log = (folder / f"{len(processes)}.log").open("w")
            processes.append(
                subprocess.Popen([*RAY, *own, *common], env=environment, stdout=log, stderr=log, cwd=folder)
            )
            log.close()
            while "Ray runtime started" not in (folder / f"{len(processes) - 1}.log").read_text():
                assert processes[-1].poll() is None, (folder / f"{len(processes) - 1}.log").read_text()
                time.sleep(0.2)
        yield address, processes[1], environment
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait()


@pytest.mark.long
@pytest.mark.xla  # as the workers do, whose bits it has
def test_what_a_lost_node_trained_goes_on_from_its_last_state_elsewhere(two_nodes, own, gate, tmp_path, same_training):
    address, second, environment = two_nodes
    (tmp_path / "storage").mkdir()
    waits, is_open = gate
    command = [sys.executable, "-m", "kerasrl", "tune", "--seeds", "2", "--nb-steps", "2500", "--eval-interval", "500"]
    command += ["--state-interval", "300", *waits, "--address", address, "--storage", str(tmp_path / "storage")]

    stranger = {**environment, "RAY_AUTH_MODE": "disabled"}  # sends no token
    done = subprocess.run(command, cwd=tmp_path, env=stranger, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: the Ray cluster at {address} asks for its token: ")

    with (tmp_path / "errors").open("w") as errors:
        told, far = [], set()
        with subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process:
            for line in process.stdout:
                told.append(line.rstrip())
                if (found := re.match(r"seed (\d): step 1,", line)) and len(far) < 2:
                    far.add(found[1])
                    if len(far) == 2:  # both nodes train, and have saved states
                        (raylet,) = [child for child, name in children(second.pid).items() if name == "raylet"]
                        for lost in (raylet, *children(raylet)):
                            os.kill(lost, 9)
                        is_open.touch()
    assert (process.returncode, (tmp_path / "errors").read_text()) == (0, "")
    (lost,) = [line for line in told if "its worker was lost" in line]
    assert re.fullmatch(r"seed \d: its worker was lost after step [\d,]+; continues from step [1-9][\d,]*", lost)
    expected = r"(options|seed|best weights|last weights|solved|steps to solve|curves|play the best|.*test\.py|2 seeds)"
    assert [line for line in told if not re.match(expected, line)] == []  # nothing of Ray's

    for seed in (0, 1):
        alone = tmp_path / f"alone-{seed}"
        others = {"checkpoint_dir": str(alone), "log_dir": str(alone), "callback": ("gate:Gate",)}
        train(Config(seed=seed, nb_steps=2500, eval_interval=500, state_interval=300, **others))
        same_training(tmp_path / "tune" / "CartPole-v0" / f"seed-{seed}", alone)
    assert not [file for file in (tmp_path / "storage").rglob("dqn_*") if file.is_file()]  # all came back


@pytest.mark.long
def test_an_unreachable_cluster_is_told_in_a_line(error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = error("--seeds", "2", "--address", f"127.0.0.1:{free_port()}", "--storage", str(tmp_path / "storage"))
    assert line.startswith("error: no Ray cluster answers at 127.0.0.1:")
    with socket.create_server(("127.0.0.1", 0)) as other:  # which takes calls and never answers
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{other.getsockname()[1]}")
        assert "no Ray cluster answers at " in error("--seeds", "2", "--storage", str(tmp_path / "storage"))
    line = error("--seeds", "2", "--address", "ray://127.0.0.1:10001", "--storage", str(tmp_path / "storage"))
    assert "--address auto" in line


def test_only_whole_copies_count(tmp_path):
    place, folder = str(tmp_path / "storage"), tmp_path / "run"
    storage.check(place)
    folder.mkdir()
    for step in (100, 200):
        (folder / "file").write_text(str(step))
        storage.store(folder, f"{place}/seed-0", step)
    assert [copy.name for copy in (tmp_path / "storage" / "seed-0").iterdir()] == ["000000000200"]
    unfinished = tmp_path / "storage" / "seed-0" / "000000000300"  # its machine was lost while it copied
    unfinished.mkdir()
    (unfinished / "file").write_text("3")
    assert storage.fetch(f"{place}/seed-0", tmp_path / "back")
    assert [(file.name, file.read_text()) for file in (tmp_path / "back").iterdir()] == [("file", "200")]
    assert not storage.fetch(f"{place}/seed-0", tmp_path / "end", only_end=True)
    assert not storage.fetch(f"{place}/seed-1", tmp_path / "none")
    storage.remove(f"{place}/seed-0")
    assert list((tmp_path / "storage" / "seed-0").iterdir()) == []


def test_a_storage_that_cannot_be_written_to_is_told(tmp_path):
    (tmp_path / "file").touch()
    for place in (str(tmp_path / "file"), "nonsense://bucket"):
        with pytest.raises(UserError, match="cannot be written to: ") as raised:
            storage.check(place)
        assert "\n" not in str(raised.value)
