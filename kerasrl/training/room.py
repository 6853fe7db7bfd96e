"""How much memory there is for a replay memory, and what to say of one that is large."""

import contextlib
import os
import warnings
from pathlib import Path

from kerasrl.errors import Note, UserError
from kerasrl.phrases import to_give

_LARGE = 1e9  # bytes from which it is worth a line


def told_of(bytes_per_entry: float, nb_entries: int, room: int | None = None) -> str:
    """Return what to say of the size that a replay memory can grow to, "" for most; a `Note` if it needs most room.

    Args:
        bytes_per_entry: What an entry, such as a step, takes.
        nb_entries: How many there will be at most.
        room: How many bytes there are, None if that is unknown.

    Raises:
        UserError: There is less room than that.
    """
    size = bytes_per_entry * nb_entries
    can_grow = f"the replay memory can grow to {in_words(size)}"
    if room is None or size <= room / 2:
        return can_grow if size >= _LARGE else ""
    fitting = max(1, int(room / 2 / bytes_per_entry))
    fitting -= fitting % 10 ** (len(str(fitting)) - 1)  # its first digit, followed by zeros
    lower = to_give(memory_limit=fitting)
    if size > room:
        raise UserError(f"{can_grow}, and this machine, or this container, has {in_words(room)}: give {lower}")
    of_all = f"more than half of the {in_words(room)} that this machine, or this container, has"
    warnings.warn(f"{can_grow}, {of_all}; {lower} needs less than half", Note, stacklevel=4)
    return ""


def in_words(size: float) -> str:
    """Return a number of bytes as text."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size:.0f} bytes"


def of_machine(root: Path = Path("/")) -> int | None:
    """Return how many bytes of memory this process can have: the machine's, or those of its container or job.

    Linux limits groups of processes, each of which may be in another one. None if the system does not tell, as Windows.
    """
    sizes = []
    with contextlib.suppress(AttributeError, OSError, ValueError):
        sizes.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for file in _limits(root):
        with contextlib.suppress(OSError, ValueError):  # there is none, or it says "max"
            sizes.append(int(file.read_text()))
    return min((size for size in sizes if size > 0), default=None)


def _limits(root: Path) -> list[Path]:
    """Return where the limits of this process's groups may be, in either of the two ways that Linux has."""
    groups = root / "sys/fs/cgroup"
    files = [groups / "memory.max", groups / "memory/memory.limit_in_bytes"]
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return files
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and "memory" not in controllers.split(","):
            continue
        home, name = (groups / "memory", "memory.limit_in_bytes") if controllers else (groups, "memory.max")
        group = Path(*(part for part in Path(path).parts if part not in ("/", "..")))
        files += [home / above / name for above in (group, *group.parents)]
    return files
