"""Questions and their replies: asked, asked anew, gone on with, stopped; and what is to happen when a run ends.

Each of these is one transaction: rows first, then the run is put in line, so that either all of it happens or none.
Whatever changes a conversation locks its row first, and then no unfinished run's: a run that ends locks its own row,
then the conversation's.
"""

from functools import partial
from typing import Any, Literal
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from agents import runs
from agents.errors import AgentDisabled, Refused
from agents.models import Agent, Run
from chat import context, tasks, titles, tree
from chat.errors import NotPossible, StillWriting
from chat.events import say_conversation, say_message
from chat.models import Conversation, Message
from chat.text import clean_question, first_words, joined

PURPOSE = "chat.reply"
MOST_REFUSALS = 3  # prompts the model's server may find too long before we give up

Exchange = tuple[Message, Message]


def ask(*, conversation: Conversation, text: str, key: UUID | None = None, parent: Message | None = None) -> Exchange:
    """A question under `parent` (by default the end of the branch that is shown) and the reply that is now written.

    The same key again gives the same rows, and so does the same text while its reply is being written.
    Raises BadText, TextTooLong, StillWriting, NotPossible and what agents.runs.enqueue raises.
    """
    text = clean_question(text)
    with transaction.atomic():
        conversation = _lock(conversation)
        above = _find(conversation, parent) if parent else conversation.head
        if known := _known(conversation, key) or _under_way(conversation, above, text):
            return known
        if above and above.is_writing:
            raise StillWriting
        return _put(conversation, above, text, key)


def edit(question: Message, *, text: str, key: UUID | None = None) -> Exchange:
    """Ask differently: a sibling of `question` and its reply. A reply to the old one is stopped. Raises as `ask`."""
    text = clean_question(text)
    if question.role != Message.Role.USER:
        raise NotPossible("Only a question can be edited.")
    with transaction.atomic():
        conversation = _lock(question.conversation)
        if known := _known(conversation, key) or _answering(conversation, question.parent_id, text):
            return known
        _stop_below(question, conversation.head)
        return _put(conversation, question.parent, text, key)


def regenerate(reply: Message, *, agent: Agent | None = None) -> Message:
    """Another reply to the same question, by another agent if one is named. Raises as `ask`."""
    with transaction.atomic():
        conversation = _lock(reply.conversation)
        question = _question_of(reply)
        writing = question.children.filter(status=Message.Status.WRITING).order_by("created_at").last()
        if writing and writing.pk == reply.pk:
            raise StillWriting
        return writing or _reply_to(conversation, question, agent or reply.agent)


def resume(reply: Message) -> Message:
    """Go on where a reply ended: its text stays, what comes is put after it. Raises as `ask`."""
    return _write_again(reply, keep=True)


def retry(reply: Message) -> Message:
    """Once more, after a failure. What had been said before the run that failed altogether stays. Raises as `ask`."""
    if reply.status == Message.Status.DONE:
        raise NotPossible("This reply is finished. Regenerate makes another.")
    return _write_again(reply, keep=reply.status == Message.Status.FAILED)


def stop(reply: Message) -> bool:
    """False if it was not being written any more."""
    run = Run.objects.unfinished().filter(subject=reply.pk).first()
    return run is not None and runs.cancel(run)


def _write_again(reply: Message, *, keep: bool) -> Message:
    with transaction.atomic():
        conversation = _lock(reply.conversation)
        reply = conversation.messages.select_related("agent", "conversation__owner").get(pk=reply.pk)
        _question_of(reply)
        if reply.is_writing:
            raise StillWriting
        if not keep:
            reply.text = reply.thinking = reply.html = ""
            reply.save(update_fields=["text", "thinking", "html"])
        reply.refusals = 0
        prompt, reply.trimmed = context.build_prompt(reply)
        _write(reply, prompt)
        _touch(conversation)
        return reply


def _lock(conversation: Conversation) -> Conversation:
    rows = Conversation.objects.filter(pk=conversation.pk)
    rows.select_for_update().values("pk").get()
    # Not in the same query: what it joins may be as old as the moment at which it began to wait.
    locked = rows.select_related("owner", "agent", "head__parent").get()
    if locked.deleted_at:
        raise NotPossible("This chat was deleted. Undo that first.")
    return locked


def _find(conversation: Conversation, message: Message) -> Message:
    found = conversation.messages.select_related("parent").filter(pk=message.pk).first()
    if found is None:
        raise NotPossible("This message is of another conversation.")
    return found


def _question_of(reply: Message) -> Message:
    if reply.role != Message.Role.ASSISTANT or reply.parent is None:
        raise NotPossible("This is possible for a reply only.")
    return reply.parent


def _known(conversation: Conversation, key: UUID | None) -> Exchange | None:
    """What the same request made before."""
    question = conversation.messages.filter(request_key=key).first() if key else None
    return _exchange(question) if question else None


def _under_way(conversation: Conversation, above: Message | None, text: str) -> Exchange | None:
    """The same question from another tab: the one whose reply is being written."""
    if above and above.is_writing and above.parent and above.parent.text == text:
        return above.parent, above
    return _answering(conversation, above.pk if above else None, text)


def _answering(conversation: Conversation, parent: UUID | None, text: str) -> Exchange | None:
    same = conversation.messages.filter(parent=parent, role=Message.Role.USER, text=text)
    question = same.filter(children__status=Message.Status.WRITING).first()
    return _exchange(question) if question else None


def _exchange(question: Message) -> Exchange:
    return question, question.children.select_related("agent", "run").earliest("created_at")


def _stop_below(question: Message, head: Message | None) -> None:
    if head and head.is_writing and question.pk in tree.read(question.conversation).path(head.pk):
        transaction.on_commit(partial(stop, head))  # not before: a run that ends locks in the other order


def _put(conversation: Conversation, above: Message | None, text: str, key: UUID | None) -> Exchange:
    question = Message.objects.create(
        conversation=conversation, parent=above, role=Message.Role.USER, text=text, request_key=key
    )
    say_message(question)
    if not conversation.title:
        Conversation.objects.filter(pk=conversation.pk).update(title=first_words(text))
    return question, _reply_to(conversation, question, conversation.agent)


def _reply_to(conversation: Conversation, question: Message, agent: Agent | None) -> Message:
    reply = Message.objects.create(
        conversation=conversation,
        parent=question,
        role=Message.Role.ASSISTANT,
        agent=agent,
        status=Message.Status.WRITING,
    )
    prompt, reply.trimmed = context.build_prompt(reply)
    _write(reply, prompt)
    _touch(conversation, head=reply)
    return reply


def _write(reply: Message, prompt: context.Prompt) -> None:
    """Put a run in line that writes this reply, or goes on with it."""
    if reply.agent is None:
        raise AgentDisabled("The agent that is to answer is gone. Choose another agent.")
    reply.run = runs.enqueue(
        purpose=PURPOSE,
        subject=reply.pk,
        topic=reply.conversation.topic,
        owner=reply.conversation.owner,
        agent=reply.agent,
        messages=prompt,
    )
    reply.status = Message.Status.WRITING
    reply.save(update_fields=["run", "status", "trimmed", "refusals"])
    say_message(reply)


def _touch(conversation: Conversation, **fields: Any) -> None:
    Conversation.objects.filter(pk=conversation.pk).update(updated_at=Now(), **fields)
    say_conversation(conversation, "activity")


def settle(run: Run) -> None:
    """A reply's run has ended; called within the transaction that ends it."""
    rows = Message.objects.select_related("conversation__owner", "conversation__agent", "parent", "agent")
    reply = rows.filter(pk=run.subject, run=run).first()
    if reply is None:  # the conversation is gone for good
        return
    if run.error_kind == "context_full" and _ask_shorter(reply, run):
        return
    reply.text = joined(reply.text, run.text)
    reply.thinking = "\n\n".join(filter(None, [reply.thinking, run.thinking]))
    reply.status = run.status
    reply.html = ""
    reply.save(update_fields=["text", "thinking", "status", "html", "refusals"])
    _touch(reply.conversation)
    transaction.on_commit(partial(tasks.ask_to_render, reply.pk))
    if run.status == Run.Status.DONE:
        titles.ask_for(reply)


def _ask_shorter(reply: Message, run: Run) -> bool:
    """Leave out older messages and try again, if there are any; otherwise the failure gets words that help."""
    reply.refusals += 1
    prompt, trimmed = context.build_prompt(reply, refused=run)
    alone = trimmed <= reply.trimmed
    if alone or reply.refusals >= MOST_REFUSALS or reply.conversation.deleted_at:
        return _say_why(run, context.explain(run, alone=alone))
    reply.trimmed = trimmed
    try:
        _write(reply, prompt)
    except Refused as refusal:
        return _say_why(run, refusal.message)
    return True


def _say_why(run: Run, words: str) -> Literal[False]:
    """`run` is what the engine is about to announce, so the page hears these words too."""
    run.error = words
    run.save(update_fields=["error"])
    return False
