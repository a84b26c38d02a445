import os
import signal

import psutil
import pytest

from tests.processes import worker_process

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_killed_worker_can_be_followed_by_another_and_both_are_gone_at_exit() -> None:
    with worker_process() as first:
        os.kill(first.pid, signal.SIGKILL)
        with worker_process() as second:
            assert psutil.Process(second.pid).is_running()
    assert [psutil.pid_exists(process.pid) for process in (first, second)] == [False, False]
