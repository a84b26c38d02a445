"""Debates, as a person's own data: all that may be told of them, as their exports tell it."""

from collections.abc import Iterator
from contextlib import suppress

from django.contrib.auth.models import User
from django.utils.text import slugify

from debates import controls
from debates.errors import NotNow
from debates.exports import as_json, as_markdown
from debates.models import Debate
from lobby.accounts.own_data import File, Part, dumps
from lobby.live import streams


def files(user: User) -> Iterator[File]:
    for id in list(Debate.objects.filter(owner=user).order_by("created_at").values_list("pk", flat=True)):
        debate = Debate.objects.select_related("owner").filter(pk=id).first()
        if debate is None:  # deleted meanwhile
            continue
        title = slugify(debate.question)[:50].strip("-") or "debate"
        name = f"debates/{debate.created_at:%Y-%m-%d}-{title}-{str(debate.pk)[:8]}"
        yield f"{name}.json", [dumps(as_json(debate))]
        yield f"{name}.md", [as_markdown(debate).encode()]


def stop(user: User) -> None:
    for debate in Debate.objects.filter(owner=user).exclude(status=Debate.Status.ENDED):
        with suppress(NotNow):  # it has ended meanwhile
            controls.stop(debate)


def remove(user: User) -> None:
    for debate in Debate.objects.filter(owner=user).only("pk"):
        streams.drop_on_commit(f"debate:{debate.pk}")
        debate.delete()


PART = Part(files=files, remove=remove, stop=stop)
