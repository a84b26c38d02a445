import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, before_task_publish, task_postrun, task_prerun, worker_init

from lobby import correlation, traces

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lobby.settings")

app = Celery("lobby")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def trace_worker(**_: Any) -> None:
    traces.start(process="worker")


@beat_init.connect
def trace_beat(**_: Any) -> None:
    traces.start(process="beat")


@before_task_publish.connect
def send_request_id(headers: dict[str, Any], **_: Any) -> None:
    headers["asked_by"] = correlation.request_id()


@task_prerun.connect
def take_request_id(task: Any, **_: Any) -> None:
    correlation.follow(getattr(task.request, "asked_by", None) or "")


@task_postrun.connect
def forget_request_id(**_: Any) -> None:
    correlation.follow("")
