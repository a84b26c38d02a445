from uuid import UUID


def as_uuid(text: str) -> UUID | None:
    """What the text names, None where that is no id: such a thing is simply not there."""
    try:
        return UUID(text)
    except ValueError:
        return None
