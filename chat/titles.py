"""A conversation's title, made by its model after the first answer. What a person wrote is never replaced."""

import re

from agents import runs
from agents.errors import Refused
from agents.models import Run
from chat.events import say_title
from chat.models import Conversation, Message

PURPOSE = "chat.title"
LONGEST = 60  # characters
EXCERPT = 1000  # characters of the question, and of the answer, that the model reads
OPTIONS = {"num_predict": 32, "temperature": 0.2}
INSTRUCTION = (
    "Write a title for the conversation below: three to six words, in its language, naming its subject. "
    "Answer with the title alone."
)


def ask_for(reply: Message) -> None:
    """Once per conversation, after its first finished answer; without one the question's first words stay."""
    conversation, question = reply.conversation, reply.parent
    if conversation.is_titled or conversation.deleted_at or not (reply.agent and question and reply.text):
        return
    if Run.objects.filter(subject=conversation.pk, purpose=PURPOSE).exists():
        return
    excerpt = f"Question: {question.text[:EXCERPT]}\n\nAnswer: {reply.text[:EXCERPT]}"
    try:
        run = runs.enqueue(
            purpose=PURPOSE,
            subject=conversation.pk,
            topic="",
            owner=conversation.owner,
            agent=reply.agent,
            messages=[{"role": "user", "content": f"{INSTRUCTION}\n\n{excerpt}"}],
            options=OPTIONS,
            priority=Run.Priority.BACKGROUND,
        )
    except Refused:
        return
    Run.objects.filter(pk=run.pk).update(think=False)  # so few tokens leave no room for thinking


def settle(run: Run) -> None:
    """A title's run has ended; called within the transaction that ends it."""
    title = clean(run.text) if run.status == Run.Status.DONE else ""
    if not title:
        return
    untitled = Conversation.objects.filter(pk=run.subject, is_titled=False)
    if untitled.update(title=title, is_titled=True):
        say_title(Conversation.objects.get(pk=run.subject))


def clean(said: str) -> str:
    """One line without quotes, Markdown or a full stop; empty when nothing is left, or it is no title."""
    line = next((line for line in said.splitlines() if re.search(r"\w", line)), "")
    line = re.sub(r"^\W*(title|titel|titre|título)\W*:\W*", "", line, flags=re.IGNORECASE)
    line = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", line)
    line = re.sub(r"</?\w[^>]*>|[*`~<>|\\\"“”„«»]|[\x00-\x1f]", "", line)
    line = " ".join(line.split()).strip("'‘’_ ").lstrip("#-–—•. ").rstrip(".,;: ")
    if len(line) <= LONGEST:
        return line
    return line[: LONGEST - 1].rsplit(" ", 1)[0].rstrip(".,;: ") + "…"
