"""The lease is the worker's, not the run's: one heartbeat covers all its runs. Database clock everywhere."""

import os
import socket
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Now

from agents import runs
from agents.models import Run, Worker
from lobby.live import tally

HEARTBEAT_SECONDS = 3
LEASE_SECONDS = 15
ORPHAN_SECONDS = 10


def register() -> Worker:
    return Worker.objects.create(machine=machine(), pid=os.getpid())


def machine() -> str:
    """Names where a process id means something: the host name and, on Linux, the boot and the pid namespace."""
    parts = [socket.gethostname()]
    boot = Path("/proc/sys/kernel/random/boot_id")
    if boot.exists():
        parts += [boot.read_text().strip()[:8], str(Path("/proc/self/ns/pid").stat().st_ino)]
    return "/".join(parts)[:200]


def refresh(worker: UUID, *, running: Collection[UUID]) -> list[UUID] | None:
    """Keep the lease; the runs that are to be cancelled. None: we were declared dead.

    Runs that the database holds for ours but that we don't know (a claim whose answer was lost) go back in line.
    """
    if not Worker.objects.filter(pk=worker).update(seen_at=Now()):
        return None
    ours = Run.objects.running().filter(worker=worker)
    orphans = ours.exclude(pk__in=running).filter(started_at__lt=Now() - timedelta(seconds=ORPHAN_SECONDS))
    orphans.update(status=Run.Status.QUEUED, worker=None)
    return list(ours.exclude(cancel_requested_at=None).values_list("pk", flat=True))


def leave(worker: UUID) -> None:
    runs.hand_back(worker=worker)
    Worker.objects.filter(pk=worker).delete()


def reap() -> list[Run]:
    """Declare dead who has not been seen for 15 s, or whose process on this machine is gone; requeue their runs."""
    dead = Q(seen_at__lt=Now() - timedelta(seconds=LEASE_SECONDS))
    gone = [worker.pk for worker in Worker.objects.filter(machine=machine()) if not _is_alive(worker.pid)]
    deleted, _ = Worker.objects.filter(dead | Q(pk__in=gone)).delete()
    requeued = runs.requeue_abandoned(live_workers=Worker.objects.values_list("pk", flat=True))
    tally.count("runs_reaped", len(requeued))
    if deleted:
        runs.announce_recent_ends()
    return requeued


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Dead, but its parent has not taken note yet."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return False
