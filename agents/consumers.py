"""`/ws/`: one socket per page. It attaches to topics, and tails them until it goes."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar
from uuid import UUID

import orjson
import structlog
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from redis.exceptions import RedisError

from agents import runs
from agents.models import Run
from lobby import correlation, logs
from lobby.database import in_database
from lobby.live import sessions
from lobby.live.attach import NotAllowed, attach
from lobby.live.hub import hub
from lobby.live.outbox import Outbox

log = structlog.get_logger()

MAX_TOPICS = 50
MAX_FRAME = 64 * 1024  # characters; the server itself hangs up on 1 MiB
SIGNED_OUT = 4401  # close code: sign in again
COME_BACK = 4000  # close code: a session has ended or rights have changed; connect again with what you have now
BROKEN = 1011  # close code: our fault


class LiveConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    groups: ClassVar[list[str]] = []

    async def connect(self) -> None:
        self.user = self.scope["user"]
        correlation.follow(logs.new_id(dict(self.scope["headers"]).get(b"x-request-id", b"").decode("latin-1")))
        if not self.user.is_authenticated:
            await self.accept()  # a refused handshake hides its close code from the page
            await self.close(SIGNED_OUT)
            return
        self.outbox = Outbox()
        self.allowance = float(settings.FRAMES_PER_SECOND)
        self.asked_at = time.monotonic()
        await self.accept()
        self.tasks = [asyncio.create_task(self.keep(work)) for work in (self.deliver, self.recheck)]
        await self.attach(sessions.own_topic(self.user))

    async def disconnect(self, code: int) -> None:
        for task in getattr(self, "tasks", ()):
            task.cancel()
        if hasattr(self, "outbox"):
            for topic in list(self.outbox.watches):
                self.detach(topic)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if not hasattr(self, "outbox"):
            return
        if not self.within_rate():
            await self.refuse("too_many_frames", f"At most {settings.FRAMES_PER_SECOND} frames a second; slow down.")
            return
        if len(text_data or "") > MAX_FRAME:
            await self.refuse("frame_too_long", f"A frame is at most {MAX_FRAME} characters long.")
            return
        match _parse(text_data):
            case {"attach": str(topic), "after": str(after)}:
                await self.attach(topic, after=after)
            case {"attach": str(topic)}:
                await self.attach(topic)
            case {"detach": str(topic)}:
                self.detach(topic)
            case {"cancel": str(run)}:
                await self.cancel(run)
            case {"ping": int(number)}:
                await self.say({"pong": number})
            case _:
                known = '{"attach": topic, "after": cursor}, {"detach": topic}, {"cancel": run} or {"ping": number}'
                await self.refuse("bad_frame", f"A frame is {known}.")

    async def attach(self, topic: str, *, after: str = "") -> None:
        if len(self.outbox.watches) >= MAX_TOPICS and topic not in self.outbox.watches:
            await self.refuse("too_many_topics", f"A socket attaches to at most {MAX_TOPICS} topics.", topic=topic)
            return
        try:
            frames = await attach(hub(), self.outbox, topic, user=self.user, after=after)
        except NotAllowed:
            self.detach(topic)
            await self.refuse("no_such_topic", "There is no such topic.", topic=topic)
        except RedisError:
            self.detach(topic)
            await self.refuse("live_away", "The live streams are away for a moment; attach again.", topic=topic)
        else:
            for text in frames:
                await self.send_frame(text)
            self.outbox.release(topic)

    def detach(self, topic: str) -> None:
        self.outbox.forget(topic)
        hub().unwatch(topic, self.outbox)

    async def cancel(self, run: str) -> None:
        if not await in_database(_cancel, self.user, run):
            await self.refuse("no_such_run", "There is no such run, or it is over.", run=run)

    async def keep(self, work: Callable[[], Awaitable[None]]) -> None:
        """A socket whose delivery broke must not stay open in silence: the page connects again and catches up."""
        try:
            await work()
        except Exception:  # the edge of a socket
            log.exception("socket_failed")
            await self.close(BROKEN)

    async def deliver(self) -> None:
        """Sends what waits. The handlers above run one after another and must not be held up by a slow reader."""
        while True:
            frames, overflowed = await self.outbox.take()
            for text in frames:
                await self.send_frame(text)
                if sessions.is_end(text):
                    await self.close(COME_BACK)
                    return
            for topic in overflowed:
                await self.attach(topic)

    async def recheck(self) -> None:
        while True:
            await asyncio.sleep(sessions.RECHECK_SECONDS)
            await self.end_if_signed_out()

    async def end_if_signed_out(self) -> None:
        if not await in_database(sessions.is_signed_in, self.scope["session"], self.user):
            await self.close(COME_BACK)

    async def send_frame(self, text: str) -> None:
        await self.base_send({"type": "websocket.send", "text": text})

    async def say(self, message: dict[str, Any]) -> None:
        await self.send_frame(orjson.dumps(message).decode())

    async def refuse(self, kind: str, message: str, **about: str) -> None:
        await self.say({"error": {"kind": kind, "message": message, "request_id": correlation.request_id(), **about}})

    def within_rate(self) -> bool:
        """A token bucket of one second's worth."""
        now = time.monotonic()
        limit = float(settings.FRAMES_PER_SECOND)
        self.allowance = min(limit, self.allowance + (now - self.asked_at) * limit)
        self.asked_at = now
        if self.allowance < 1:
            return False
        self.allowance -= 1
        return True


def _parse(text: str | None) -> Any:
    try:
        return orjson.loads(text or "")
    except orjson.JSONDecodeError:
        return None


def _cancel(user: Any, run_id: str) -> bool:
    try:
        run = Run.objects.visible_to(user).filter(pk=UUID(run_id)).first()
    except ValueError:
        return False
    return run is not None and runs.cancel(run)
