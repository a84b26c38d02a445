"""Runs, as a person's own data. What they said stands in conversations and debates; here are their figures."""

from collections.abc import Iterator
from functools import partial

from django.contrib.auth.models import User

from agents import runs
from agents.models import Pull, Run
from lobby.accounts.own_data import File, Part, rows

# Prompts and answers: of ballots under way they are nobody's business yet
TEXTS = ("messages", "format", "text", "thinking", "logprobs")
AT_ONCE = 1000


def files(user: User) -> Iterator[File]:
    yield rows("runs.json", Run.objects.filter(owner=user).order_by("queued_at"), without=TEXTS)
    yield rows("models_fetched.json", Pull.objects.filter(asked_by=user))


def stop(user: User) -> None:
    for run in Run.objects.unfinished().filter(owner=user).defer(*TEXTS):
        runs.cancel(run)


def remove(user: User) -> None:
    mine = partial(Run.objects.filter, owner=user)
    while ids := list(mine().order_by().values_list("pk", flat=True)[:AT_ONCE]):
        Run.objects.filter(pk__in=ids).only("pk").delete()


PART = Part(files=files, remove=remove, stop=stop)
