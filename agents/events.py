"""What an agent's run says on its topic, in the very form the browser gets it.

One typed union, used by the workers that publish, the consumer, the documentation and the tests. An event is encoded
once, by whoever publishes it, and passed on unparsed from there.
"""

from typing import Literal, NotRequired, TypedDict


class RunQueued(TypedDict):
    type: Literal["run.queued"]
    run: str
    attempt: int
    position: int  # 1: next to start


class RunStarted(TypedDict):
    """A new attempt begins: whatever an earlier attempt said is void."""

    type: Literal["run.started"]
    run: str
    attempt: int
    model: str
    host: str
    loading: bool  # the host has to load the model first


class RunDelta(TypedDict):
    type: Literal["run.delta", "run.thinking"]
    run: str
    attempt: int
    at: int  # offset in code points at which `text` begins
    text: str


class RunEnded(TypedDict):
    type: Literal["run.ended"]
    run: str
    attempt: int
    status: str
    error_kind: NotRequired[str]
    error: NotRequired[str]
    request_id: NotRequired[str]  # with an error: what the logs know it by
    stats: NotRequired[dict[str, float | int | str | None]]


RunEvent = RunQueued | RunStarted | RunDelta | RunEnded
