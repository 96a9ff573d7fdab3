"""A share of a core for one process, by the kernel's CPU controller, and gone again whatever happens."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simulator.foundation.errors import OffingError

PERIOD = 10_000
"""[us]; at 100 ms a short job runs at full speed and the next one waits."""
_V1, _V2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")


@contextmanager
def limited(pid: int, share: float) -> Iterator[None]:
    """Let process *pid* have no more than *share* of a core (0: all it wants) while inside.

    Raises:
        OffingError: if this machine lets nobody set a quota.
    """
    if not share:
        yield
        return
    first = _V1 / "cpu.cfs_quota_us"
    base = _V1 if first.exists() else _V2
    group = base / f"offing-{os.getpid()}-{pid}"
    try:
        group.mkdir()
        quota = round(share * PERIOD)
        if base is _V1:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        else:
            (group / "cpu.max").write_text(f"{quota} {PERIOD}")
        (group / "cgroup.procs").write_text(str(pid))
    except OSError as error:
        with contextlib.suppress(OSError):
            group.rmdir()
        raise OffingError(
            f"no CPU quota can be set here ({error.strerror} at {group}); run as root on a machine with a writable cpu "
            "controller, or leave --quota out"
        ) from None
    try:
        yield
    finally:
        _remove(group, base)


def _remove(group: Path, base: Path) -> None:
    """Put who is still there back and remove the group."""
    for _ in range(20):
        with contextlib.suppress(OSError):
            for pid in (group / "cgroup.procs").read_text().split():
                (base / "cgroup.procs").write_text(pid)
        try:
            group.rmdir()
            return
        except OSError:
            time.sleep(0.05)
