import os
import subprocess
import sys
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from agents import leases
from agents.models import Run, Worker
from tests.factories import make_run

pytestmark = pytest.mark.django_db(transaction=True)


def make_running(worker: Worker) -> Run:
    return make_run(status=Run.Status.RUNNING, worker=worker.pk, attempt=1, started_at=Now())


def test_register_names_this_process_and_machine() -> None:
    worker = leases.register()
    assert (worker.pid, worker.machine) == (os.getpid(), leases.machine())


def test_refresh_of_a_live_worker_moves_its_lease() -> None:
    worker = leases.register()
    Worker.objects.update(seen_at=Now() - timedelta(seconds=10))
    before = Worker.objects.get().seen_at
    assert leases.refresh(worker.pk, running=[]) == []
    assert Worker.objects.get().seen_at > before


def test_refresh_of_a_worker_that_was_declared_dead_says_so() -> None:
    worker = leases.register()
    Worker.objects.all().delete()
    assert leases.refresh(worker.pk, running=[]) is None


# Not nearer to it: the database's clock goes on while the test works
@pytest.mark.parametrize(("silent", "status"), [(5, "running"), (16, "queued")])
def test_reap_requeues_the_runs_of_who_was_silent_for_15_seconds(silent: int, status: str) -> None:
    worker = Worker.objects.create(machine="elsewhere", pid=1)
    run = make_running(worker)
    Worker.objects.update(seen_at=Now() - timedelta(seconds=silent))
    leases.reap()
    run.refresh_from_db()
    assert run.status == status


def test_reap_finds_at_once_that_a_process_of_this_machine_is_gone() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    run = make_running(Worker.objects.create(machine=leases.machine(), pid=process.pid))
    assert [each.pk for each in leases.reap()] == [run.pk]
    assert Worker.objects.count() == 0


def test_reap_takes_a_zombie_for_dead() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has collected it
    try:
        make_running(Worker.objects.create(machine=leases.machine(), pid=process.pid))
        assert len(leases.reap()) == 1
    finally:
        process.wait()


def test_reap_leaves_the_living_alone() -> None:
    run = make_running(leases.register())
    assert leases.reap() == []
    run.refresh_from_db()
    assert run.status == "running"


def test_run_whose_worker_never_was_goes_back_in_line() -> None:
    worker = leases.register()
    run = make_running(worker)
    Worker.objects.all().delete()
    assert [each.pk for each in leases.reap()] == [run.pk]
