"""Ends runs as a worker does: claimed from the line, then finished."""

from typing import Any

from agents import leases, queue, runs
from agents.breaker import Gates
from agents.models import Run
from chat.models import Message


def end(message: Message, *, status: str = Run.Status.DONE, text: str = "", **result: Any) -> Message:
    """The run that writes this message ends; the message as it then is."""
    message.refresh_from_db()
    assert message.run is not None
    end_run(message.run, status=status, text=text, **result)
    message.refresh_from_db()
    return message


def refuse(message: Message, *, n_prompt_tokens: int, n_ctx: int) -> Message:
    """The model's server finds the prompt too long, and says how long it is and what fits."""
    detail = {"n_prompt_tokens": n_prompt_tokens, "n_ctx": n_ctx}
    return end(message, status=Run.Status.FAILED, error_kind="context_full", error="Too long.", error_detail=detail)


def claim(*, cursor: str = "0-1") -> list[Run]:
    """What a worker takes for the next host with free slots."""
    return queue.claim(worker=leases.register().pk, cursor=cursor, gates=Gates({}, now=0))


def end_run(run: Run, *, status: str = Run.Status.DONE, **result: Any) -> None:
    while claim():
        pass
    assert runs.finish(Run.objects.get(pk=run.pk), status=status, **result)
