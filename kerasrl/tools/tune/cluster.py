"""Ray: started on this machine or joined by address, and kept quiet; jobs go out, news comes back."""

import asyncio
import contextlib
import logging
import os
import secrets
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from kerasrl.errors import UserError, one_line
from kerasrl.installation import FOLDER, PACKAGES
from kerasrl.phrases import called, to_give, to_install
from kerasrl.storage.appearing import temporary_folder
from kerasrl.tools.tune import storage
from kerasrl.tools.tune.worker import Job, News, work

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a training sees the GPUs that train.py sees
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # what it would print about lost machines; the table has a line for that
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
_PATIENCE = 8  # seconds for a cluster to answer
_STARTS = 5  # restarts of a job whose machine or process is lost


class Board:
    """An actor beside the command: workers pin news to it, the command reads it and answers."""

    def __init__(self) -> None:
        self._news: list[tuple[str, News, bool]] = []
        self._answers: dict[str, asyncio.Future[bool]] = {}
        self._has_news = asyncio.Event()

    async def pin(self, name: str, news: News, waits: bool) -> bool:
        """Take a job's news; return whether the job is to continue, which the command decides if the worker waits."""
        self._news.append((name, news, waits))
        self._has_news.set()
        if not waits:
            return True
        self._answers[name] = asyncio.get_running_loop().create_future()
        return await self._answers[name]

    async def read(self, answers: dict[str, bool]) -> list[tuple[str, News, bool]]:
        """Pass answers to waiting workers; return the news since the last call, after half a second at most."""
        for name, answer in answers.items():
            if name in self._answers:
                self._answers.pop(name).set_result(answer)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._has_news.wait(), 0.5)
        self._has_news.clear()
        news, self._news = self._news, []
        return news


def run_job(job: Job, board: Any, folder: str, paths: Sequence[str]) -> str:
    """Do a job in a worker's main thread: in the command's folder, with its search path for modules.

    A worker has those that Ray was started with, which may be another command's of the same process. Both are empty
    for another machine.
    """
    import ray

    if folder:
        os.chdir(folder)
    sys.path.extend(path for path in paths if path not in sys.path)

    def tell(news: News) -> bool:
        waits = job.can_end and news.reward is not None
        answer = board.pin.remote(job.name, news, waits)
        return bool(ray.get(answer)) if waits else True

    return work(job, tell)


class Cluster:
    """Ray, ready to take jobs; `with Cluster(...)` leaves it."""

    def __init__(self, address: str | None = None, place: str | None = None, jobs: int = 0, threads: int = 0) -> None:
        """Start Ray on this machine, or join a cluster.

        Args:
            address: HOST:PORT of a running cluster, or auto; None starts one on this machine.
            place: Folder or URL through which files come back from a cluster.
            jobs: Trainings side by side; 0: one per core.
            threads: Threads of each training; 0: one.

        Raises:
            UserError: Ray is not installed, or the cluster does not answer.
        """
        self._jobs, self._cpus, self.storage = jobs, max(1, threads), place or ""
        os.environ.update({name: os.environ.get(name, value) for name, value in _QUIET.items()})
        with contextlib.ExitStack() as stack:
            if address is None:  # otherwise Ray stores one in the home folder; a process keeps its token to the end
                os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
            ray = self._ray = _ray()
            if address is not None:
                _require_cluster(address)
            if place is not None:
                storage.check(place)
            if not ray.is_initialized():
                self._join(address, stack)
            here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
                ray.get_runtime_context().get_node_id(), soft=False
            )
            self._board: Any = ray.remote(Board).options(num_cpus=0, scheduling_strategy=here).remote()
            # A worker that is reused has TensorFlow imported already; after many trainings it has grown.
            self._run = ray.remote(max_calls=20)(run_job).options(num_cpus=self._cpus, max_retries=_STARTS)
            self._exit = stack.pop_all()

    def _join(self, address: str | None, stack: contextlib.ExitStack) -> None:
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.FATAL}
        try:
            if address is not None:
                stack.callback(self._ray.shutdown)
                code = {"working_dir": str(FOLDER), "excludes": [".git", ".venv", "/tune", "/tests", "/docs"]}
                self._ray.init(address, runtime_env=code, **quiet)
                return
            # It holds Ray's sockets, whose names may have at most 107 characters: TMPDIR may be too long.
            place = Path("/tmp" if Path("/tmp").is_dir() else tempfile.gettempdir())
            folder = stack.enter_context(temporary_folder("kerasrl-ray-", place))
            stack.callback(self._ray.shutdown)
            # Workers inherit this process's search path for modules.
            before = os.environ.get("PYTHONPATH", "")  # nothing else is put back: Ray sets variables of its own
            os.environ["PYTHONPATH"] = os.pathsep.join(_paths())
            try:
                with _on_the_loopback_address():
                    self._ray.init(
                        num_cpus=self._jobs * self._cpus or None,
                        include_dashboard=False,
                        _temp_dir=str(folder),
                        object_store_memory=100 * 2**20,
                        **quiet,
                    )
            finally:
                os.environ["PYTHONPATH"] = before
        except (RuntimeError, ConnectionError, ValueError) as error:
            where = "cannot be started" if address is None else f"at {address} cannot be joined"
            raise UserError(f"Ray {where}: {one_line(error)[:300]}") from None

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    @property
    def room(self) -> int:
        """Number of jobs that run side by side."""
        return self._jobs or max(1, int(self._ray.cluster_resources().get("CPU", 1)) // self._cpus)

    def run(
        self,
        next_job: Callable[[], Job | None],
        on_news: Callable[[Job, News], bool],
        on_end: Callable[[Job, str], None],
    ) -> None:
        """Do jobs side by side until there are no more.

        Args:
            next_job: Called when there is room; returns None if there is no job for now.
            on_news: Called with a job's news; returns whether it is to continue.
            on_end: Called with "" if the job is finished, "ended" if `on_news` ended it, or else what failed.
        """
        running: dict[Any, Job] = {}
        answers: dict[str, bool] = {}
        here = ("", []) if self.storage else (str(Path.cwd()), _paths())
        try:
            while True:
                while len(running) < self.room and (job := next_job()) is not None:
                    running[self._run.remote(job, self._board, *here)] = job
                if not running:
                    return
                # In this order: the news that a job sent before it ended is read before its end is noticed.
                ended, _ = self._ray.wait(list(running), num_returns=len(running), timeout=0)
                jobs = {job.name: job for job in running.values()}
                news_items = self._ray.get(self._board.read.remote(answers))
                answers = {}
                for name, news, waits in news_items:
                    goes_on = name not in jobs or on_news(jobs[name], news)
                    if waits:
                        answers[name] = goes_on
                for task in ended:
                    on_end(running[task], self._outcome(task, running[task]))
                    del running[task]
        finally:
            for task in running:
                self._ray.cancel(task, force=True)

    def _outcome(self, task: Any, job: Job) -> str:
        try:
            outcome = str(self._ray.get(task))
            if self.storage and outcome in ("", "ended"):
                for seed in job.seeds:
                    if not storage.fetch(job.stored(seed), job.home(seed), only_end=not outcome) and not outcome:
                        return f"its files did not arrive in {self.storage}, which all machines must share"
                    storage.remove(job.stored(seed))
            return outcome
        except self._ray.exceptions.RayError as error:
            return f"its worker was lost: {one_line(error)[:200]}"


def _ray() -> Any:
    """Import Ray; in a notebook, it and tqdm would ask for widgets. Raises `UserError` if it is not installed."""
    logging.getLogger("ray.widgets.util").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")
        try:
            import ray
        except ModuleNotFoundError:
            raise UserError(f"this needs Ray and Optuna: {to_install('tune')}") from None
    return ray


@contextlib.contextmanager
def _on_the_loopback_address() -> Iterator[None]:
    """Let Ray start where only this machine reaches it, as on Windows and macOS: elsewhere it listens to everybody."""
    from ray._private import ray_constants

    name = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR
    before = os.environ.get(name), ray_constants.ENABLE_RAY_CLUSTER
    os.environ[name], ray_constants.ENABLE_RAY_CLUSTER = "0", False
    try:
        yield
    finally:
        os.environ.pop(name)
        if before[0] is not None:
            os.environ[name] = before[0]
        ray_constants.ENABLE_RAY_CLUSTER = before[1]


def _paths() -> list[str]:
    """Return this process's search path for modules, with this package on it."""
    paths = [path for path in sys.path if path]
    return paths if str(PACKAGES) in paths else [str(PACKAGES), *paths]


def _require_cluster(address: str) -> None:
    """Raise `UserError` if no cluster answers: Ray itself would try for a minute, then end this process."""
    if address.startswith("ray://"):
        raise UserError(
            f"{called('address')} ray://... is Ray's client; run this on one of the cluster's machines: "
            f"{to_give(address='auto')}"
        )
    check = [sys.executable, "-m", "ray.scripts.scripts", "status"]
    if address != "auto":
        check += ["--address", address]
    try:
        found = subprocess.run(check, capture_output=True, timeout=_PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        found = None
    if found is not None and b"InvalidAuthToken" in found.stderr:
        raise UserError(
            f"the Ray cluster at {address} asks for its token: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN as on the "
            "machine where it was started"
        )
    if found is None or found.returncode:
        raise UserError(f"no Ray cluster answers at {address}; start one with: ray start --head --port 6379")
