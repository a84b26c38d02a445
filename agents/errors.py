"""Why a run is refused before it is queued, in words for people.

Refused
 ├─ TooManyRuns       429  as many runs of the owner wait in line, or came this hour, as is allowed
 ├─ TokensUsedUp      429  the day's tokens of the owner, or of all users together, are used up
 ├─ ModelUnavailable  409  no enabled host has the model; the message says which models there are
 └─ AgentDisabled     409  the agent is switched off or gone

The REST API turns `status`, `kind`, `message` and `retry_after` into problem details (RFC 9457) in one place.
"""

from typing import ClassVar


class Refused(Exception):
    """A request that is understood and not carried out; nothing has been written."""

    kind: ClassVar[str] = "refused"
    status: ClassVar[int] = 409

    def __init__(self, message: str, *, retry_after: int | None = None, limit: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after  # seconds
        self.limit = limit  # the kind of limit (accounts.Limit.Kind) that was reached


class TooManyRuns(Refused):
    kind = "too_many_runs"
    status = 429


class TokensUsedUp(Refused):
    kind = "tokens_used_up"
    status = 429


class ModelUnavailable(Refused):
    kind = "model_unavailable"


class AgentDisabled(Refused):
    kind = "agent_disabled"
