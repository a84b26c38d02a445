from datetime import datetime
from uuid import UUID

from ninja import Field, FilterSchema, ModelSchema

from agents import models
from agents.pages import MAX_SIZE, SIZE
from lobby.schema import Schema


class Agent(ModelSchema):
    """Somebody to talk with. The system prompt is between the agent and the admins."""

    class Meta:
        model = models.Agent
        fields = [
            "slug",
            "name",
            "role",
            "description",
            "model",
            "colour",
            "initials",
            "votes",
            "capabilities",
        ]


class Agents(Schema):
    items: list[Agent]
    next: None = None


class Run(Schema):
    """One generation by one agent."""

    id: UUID
    purpose: str = Field(description="What it is for, e.g. `chat.reply`.")
    subject: UUID = Field(description="The row it works for, e.g. a message.")
    topic: str = Field(description="The live stream it speaks on.")
    agent: str | None = Field(None, alias="agent_slug")
    model: str
    host: str | None = Field(None, alias="host_name")
    status: models.Run.Status
    attempt: int
    error_kind: str
    error: str
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    first_token_ms: int | None = Field(description="Milliseconds from the question to the first token.")
    prompt_tokens: int | None
    output_tokens: int | None
    tokens_per_second: float | None
    context_length: int | None = Field(description="Of the loaded model, in tokens.")
    done_reason: str


class RunWithText(Run):
    """A run without a topic works in silence, as a ballot does: whoever asked for it tells what it said, and when."""

    text: str
    thinking: str

    @staticmethod
    def resolve_text(run: models.Run) -> str:
        return run.text if run.topic else ""

    @staticmethod
    def resolve_thinking(run: models.Run) -> str:
        return run.thinking if run.topic else ""


class Runs(Schema):
    items: list[Run]
    next: str | None


class RunFilter(FilterSchema):
    status: models.Run.Status | None = None


class Place(Schema):
    """Where in a list to go on."""

    cursor: str = Field("", max_length=500, description="`next` of the page before.")
    size: int = Field(SIZE, ge=1, le=MAX_SIZE)
