"""Celery's side: doorbells and what the clock rings for. All work of length happens on the runner's loop."""

import sys
from typing import Any

from celery import shared_task
from celery.signals import worker_ready, worker_shutdown

from agents import hosts, leases, runner

SWITCH_SECONDS = 0.001  # how long database threads may keep the streams' loop waiting at a time; 5 ms by default


@shared_task
def reap() -> None:
    leases.reap()
    runner.ring()


@shared_task
def probe_hosts() -> None:
    hosts.probe_all()


@worker_ready.connect
def start_runner(**_: Any) -> None:
    sys.setswitchinterval(SWITCH_SECONDS)
    runner.start()
    probe_hosts.delay()


@worker_shutdown.connect
def stop_runner(**_: Any) -> None:
    runner.stop()
