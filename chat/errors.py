"""Why something in a chat is refused, in words for people. All are agents.errors.Refused.

BadText        422  a NUL character or half a surrogate pair, or only white space
TextTooLong    422  longer than LOBBY_MAX_QUESTION, or than a title may be
UnknownAgent   422  no agent has that slug
StillWriting   409  the reply above is being written
StorageFull    409  one's chats hold as much text as they may
NotPossible    409  the message, or the conversation, is not in the state for it
"""

from agents.errors import Refused


class BadText(Refused):
    kind = "bad_text"
    status = 422


class TextTooLong(Refused):
    kind = "text_too_long"
    status = 422


class UnknownAgent(Refused):
    kind = "unknown_agent"
    status = 422


class StillWriting(Refused):
    kind = "still_writing"

    def __init__(self) -> None:
        super().__init__("The reply is still being written. Wait for it, or stop it first.")


class NotPossible(Refused):
    kind = "not_possible"


class StorageFull(Refused):
    kind = "storage_full"
