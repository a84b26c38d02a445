"""Questions and their replies: asked, asked anew, gone on with, stopped; and what is to happen when a run ends.

Each of these is one transaction: rows first, then the run is put in line, so that either all of it happens or none.
Whatever changes a conversation locks its row first, and then no unfinished run's: a run that ends locks its own row,
then the conversation's.
"""

from datetime import timedelta
from functools import partial
from typing import Any, Literal
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest, Now

from agents import runs
from agents.errors import AgentDisabled, Refused
from agents.hosts import hosts_of
from agents.models import Agent, Host, Run
from chat import context, storage, tasks, titles, tree
from chat.errors import NotPossible, StillWriting
from chat.events import say_conversation, say_messages
from chat.models import Conversation, Message
from chat.text import clean_question, first_words, joined

PURPOSE = "chat.reply"
MOST_REFUSALS = 3  # prompts the model's server may find too long before we give up

Exchange = tuple[Message, Message]


def ask(*, conversation: Conversation, text: str, key: UUID | None = None, parent: Message | None = None) -> Exchange:
    """A question under `parent` (by default the end of the branch that is shown) and the reply that is now written.

    The conversation is read here, where it is locked: who asks need only know its id and its owner, and is told by
    Conversation.DoesNotExist that there is none.
    The same key again gives the same rows, and so does the same text while its reply is being written. Each of the two
    knows its place in the tree. Raises BadText, TextTooLong, StillWriting, StorageFull, NotPossible and what
    agents.runs.enqueue raises.
    """
    text = clean_question(text)
    with transaction.atomic():
        conversation = _lock(conversation)
        shape = tree.read(conversation)
        above = conversation.head_id if parent is None else _find(shape, parent)
        if known := _known(shape, key) or _under_way(shape, above, text):
            return known
        if shape.is_writing(above):
            raise StillWriting
        return _put(conversation, shape, above, text, key)


def edit(question: Message, *, text: str, key: UUID | None = None) -> Exchange:
    """Ask differently: a sibling of `question` and its reply. A reply to the old one is stopped. Raises as `ask`."""
    text = clean_question(text)
    if question.role != Message.Role.USER:
        raise NotPossible("Only a question can be edited.")
    with transaction.atomic():
        conversation = _lock(question.conversation)
        shape = tree.read(conversation)
        if known := _known(shape, key) or _answering(shape, question.parent_id, text):
            return known
        _stop_below(question, conversation.head_id, shape)
        return _put(conversation, shape, question.parent_id, text, key)


def regenerate(reply: Message, *, agent: Agent | None = None) -> Message:
    """Another reply to the same question, by another agent if one is named. Raises as `ask`."""
    with transaction.atomic():
        conversation = _lock(reply.conversation)
        question = _question_of(reply)
        writing = question.children.filter(status=Message.Status.WRITING).order_by("created_at").last()
        if writing and writing.pk == reply.pk:
            raise StillWriting
        return writing or _reply_again(conversation, question, agent or reply.agent)


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
    return _stop(reply.pk)


def _stop(reply: UUID) -> bool:
    run = Run.objects.unfinished().filter(subject=reply).first()
    return run is not None and runs.cancel(run)


def _write_again(reply: Message, *, keep: bool) -> Message:
    with transaction.atomic():
        conversation = _lock(reply.conversation)
        reply = conversation.messages.select_related("agent", "conversation__owner").get(pk=reply.pk)
        _question_of(reply)
        if reply.is_writing:
            raise StillWriting
        storage.check(conversation.owner_id, stored=conversation.stored_in_all)
        gone = 0 if keep else storage.of_message(reply)
        if not keep:
            reply.text = reply.thinking = reply.html = ""
            reply.save(update_fields=["text", "thinking", "html"])
        reply.refusals = 0
        say_messages(reply)
        _write(reply)
        _save(reply)
        _touch(conversation, stored=Greatest(F("stored") - gone, 0))
        return reply


def _lock(conversation: Conversation) -> Conversation:
    rows = Conversation.objects.select_for_update(of=("self",)).select_related("agent")
    rows = rows.annotate(**storage.of_owner())
    locked = rows.get(pk=conversation.pk, owner=conversation.owner_id)
    if locked.deleted_at:
        raise NotPossible("This chat was deleted. Undo that first.")
    if locked.agent is None and locked.agent_id:  # PostgreSQL joins nothing to a row that changed while it waited
        locked.agent = Agent.objects.filter(pk=locked.agent_id).first()
    locked.owner = conversation.owner
    return locked


def _find(shape: tree.Tree, message: Message) -> UUID:
    if message.pk not in shape.nodes:
        raise NotPossible("This message is of another conversation.")
    return message.pk


def _question_of(reply: Message) -> Message:
    if reply.role != Message.Role.ASSISTANT or reply.parent is None:
        raise NotPossible("This is possible for a reply only.")
    return reply.parent


def _known(shape: tree.Tree, key: UUID | None) -> Exchange | None:
    """What the same request made before."""
    question = shape.asked_with(key) if key else None
    return _exchange(shape, question) if question else None


def _under_way(shape: tree.Tree, above: UUID | None, text: str) -> Exchange | None:
    """The same question from another tab: the one whose reply is being written."""
    if above and shape.is_writing(above) and (question := shape.nodes[above].parent) and _says(text, [question]):
        return _exchange(shape, question, reply=above)
    return _answering(shape, above, text)


def _answering(shape: tree.Tree, parent: UUID | None, text: str) -> Exchange | None:
    answering = [question for question in shape.children(parent) if shape.is_being_answered(question)]
    question = _says(text, answering)
    return _exchange(shape, question) if question else None


def _says(text: str, questions: list[UUID]) -> UUID | None:
    """The one of them with this very text."""
    if not questions:
        return None
    rows = Message.objects.filter(pk__in=questions, role=Message.Role.USER, text=text)
    return rows.values_list("pk", flat=True).first()


def _exchange(shape: tree.Tree, question: UUID, *, reply: UUID | None = None) -> Exchange:
    """The question and a reply to it, by default its first."""
    reply = reply or shape.children(question)[0]
    found = Message.objects.select_related("agent", "run").in_bulk([question, reply])
    shape.place(found[question], found[reply])
    return found[question], found[reply]


def _stop_below(question: Message, head: UUID | None, shape: tree.Tree) -> None:
    if head and shape.is_writing(head) and question.pk in shape.path(head):
        transaction.on_commit(partial(_stop, head))  # not before: a run that ends locks in the other order


def _put(conversation: Conversation, shape: tree.Tree, above: UUID | None, text: str, key: UUID | None) -> Exchange:
    question = Message(conversation=conversation, parent_id=above, role=Message.Role.USER, text=text, request_key=key)
    reply = _new_reply(conversation, question, conversation.agent)
    more = storage.size(text)
    storage.check(conversation.owner_id, stored=conversation.stored_in_all, more=more)
    say_messages(question, reply)
    _write(reply, path=[*context.read(shape.path(above)), question])
    reply.created_at = Now() + timedelta(microseconds=1)  # after its question, though both come in one statement
    Message.objects.bulk_create([question, reply])
    _touch(conversation, head=reply, title=conversation.title or first_words(text), stored=F("stored") + more)
    for message in (question, reply):
        shape.add(message)
    shape.place(question, reply)
    return question, reply


def _reply_again(conversation: Conversation, question: Message, agent: Agent | None) -> Message:
    storage.check(conversation.owner_id, stored=conversation.stored_in_all)
    reply = _new_reply(conversation, question, agent)
    say_messages(reply)
    _write(reply)
    reply.save(force_insert=True)
    _touch(conversation, head=reply)
    return reply


def _new_reply(conversation: Conversation, question: Message, agent: Agent | None) -> Message:
    return Message(conversation=conversation, parent=question, role=Message.Role.ASSISTANT, agent=agent)


def _write(reply: Message, *, path: list[Message] | None = None) -> None:
    """Put a run in line that writes this reply, or goes on with it; `path` ends with its question."""
    agent = _agent_of(reply)
    hosts = hosts_of(agent)
    prompt, reply.trimmed = context.build_prompt(reply, path=path, hosts=hosts)
    _enqueue(reply, prompt, hosts=hosts)


def _agent_of(reply: Message) -> Agent:
    if reply.agent is None:
        raise AgentDisabled("The agent that is to answer is gone. Choose another agent.")
    return reply.agent


def _enqueue(reply: Message, prompt: context.Prompt, *, hosts: list[Host] | None = None) -> None:
    reply.run = runs.enqueue(
        purpose=PURPOSE,
        subject=reply.pk,
        topic=reply.conversation.topic,
        owner=reply.conversation.owner,
        agent=_agent_of(reply),
        messages=prompt,
        hosts=hosts,
    )
    reply.status = Message.Status.WRITING


def _save(reply: Message) -> None:
    reply.save(update_fields=["run", "status", "trimmed", "refusals"])


def _touch(conversation: Conversation, **fields: Any) -> None:
    Conversation.objects.filter(pk=conversation.pk).update(updated_at=Now(), **fields)
    say_conversation(conversation, "activity")


def settle(run: Run) -> None:
    """A reply's run has ended; called within the transaction that ends it."""
    reply = Message.objects.select_related("conversation").filter(pk=run.subject, run=run).order_by().first()
    if reply is None:  # the conversation is gone for good
        return
    if run.error_kind == "context_full" and _ask_shorter(reply, run):
        return
    before = storage.of_message(reply)
    reply.text = joined(reply.text, run.text)
    reply.thinking = "\n\n".join(filter(None, [reply.thinking, run.thinking]))
    reply.status = run.status
    reply.html = ""
    reply.save(update_fields=["text", "thinking", "status", "html", "refusals"])
    _touch(reply.conversation, stored=F("stored") + storage.of_message(reply) - before)
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
        _enqueue(reply, prompt)
    except Refused as refusal:
        return _say_why(run, refusal.message)
    _save(reply)
    say_messages(reply)
    return True


def _say_why(run: Run, words: str) -> Literal[False]:
    """`run` is what the engine is about to announce, so the page hears these words too."""
    run.error = words
    run.save(update_fields=["error"])
    return False
