import os
from typing import Any

from celery import Celery
from celery.signals import before_task_publish, task_postrun, task_prerun

from lobby import correlation

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lobby.settings")

app = Celery("lobby")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@before_task_publish.connect
def send_request_id(headers: dict[str, Any], **_: Any) -> None:
    headers["asked_by"] = correlation.request_id()


@task_prerun.connect
def take_request_id(task: Any, **_: Any) -> None:
    correlation.follow(getattr(task.request, "asked_by", None) or "")


@task_postrun.connect
def forget_request_id(**_: Any) -> None:
    correlation.follow("")
