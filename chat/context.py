"""What of a conversation a model gets to read, and how full its context is. Everything is counted in tokens.

Ollama drops text in silence when a prompt does not fit, so prompts are cut here, by whole turns from the oldest on,
and the page says how many. How many tokens a text has only the server knows: its figures from earlier runs scale an
estimate, and where it still refuses a prompt it says the exact number.
"""

import sys
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from agents.errors import ModelUnavailable
from agents.hosts import hosts_of, resolve_model
from agents.models import Agent, Host, Run
from chat import tree
from chat.models import Conversation, Message

Prompt = list[dict[str, Any]]

DEFAULT_SIZE = 4096  # what Ollama loads a model with on a CPU
ANSWER = 1024  # room kept for the answer, or a quarter of a small context
BYTES_PER_TOKEN = 4  # of UTF-8: English prose has a little more, code and other scripts have fewer
MESSAGE_TOKENS = 6  # what a chat template puts around each message
ENOUGH_TO_SCALE = 200  # tokens: in shorter prompts the template outweighs the text
GO_ON = (
    "Your last answer was cut off. Go on with it exactly where it stopped: begin with the very next word, "
    "repeat nothing and do not comment on it."
)


@dataclass(frozen=True, slots=True)
class ContextUse:
    used: int
    size: int

    @property
    def percent(self) -> int:
        return min(100, round(100 * self.used / self.size))


def build_prompt(
    reply: Message, *, path: list[Message] | None = None, hosts: list[Host] | None = None, refused: Run | None = None
) -> tuple[Prompt, int]:
    """(the messages to send, how many of the oldest are left out) for a reply that begins, or that goes on.

    Who has them already gives the branch that ends with the question, and the hosts of the reply's agent. Of a prompt
    that was `refused` as too long at least one message more is left out, if any is left.
    """
    agent = reply.agent
    path = _branch(reply.conversation, reply.parent_id) if path is None else path
    system: Prompt = [{"role": "system", "content": agent.system_prompt}] if agent and agent.system_prompt else []
    history = [_said(message) for message in path if message.text]
    question = history[-1:]
    history = history[:-1]
    if reply.text:
        question += [_said(reply), {"role": "user", "content": GO_ON}]
    size = size_for(agent, path, hosts=hosts) if agent else DEFAULT_SIZE
    budget, scale = _measure(reply, path, size, refused)
    least = reply.trimmed + 1 if refused else 0
    trimmed = _trim(history, budget=budget / scale - estimate(system + question), least=least)
    return system + history[trimmed:] + question, trimmed


def _branch(conversation: Conversation, leaf: UUID | None) -> list[Message]:
    return read(tree.read(conversation).path(leaf))


def read(ids: list[UUID]) -> list[Message]:
    """These messages, in this order, with what a prompt needs of them."""
    found = Message.objects.for_prompt().in_bulk(ids)
    return [found[id] for id in ids]


def _said(message: Message) -> dict[str, Any]:
    return {"role": message.role, "content": message.text}


def _measure(reply: Message, path: list[Message], size: int, refused: Run | None) -> tuple[float, float]:
    """(tokens there are for the prompt, real tokens per estimated one)."""
    size = (refused and refused.error_detail.get("n_ctx")) or size or DEFAULT_SIZE
    if refused and (tokens := refused.error_detail.get("n_prompt_tokens")):
        scale = tokens / max(1.0, estimate(refused.messages))
    else:
        scale = _known_scale(path, reply)
    return size - min(size // 4, ANSWER), scale


def _known_scale(path: list[Message], reply: Message) -> float:
    """From the newest run on this path by the same agent whose prompt the server has counted."""
    for message in reversed(path):
        run = message.run
        if run and run.agent_id == reply.agent_id and (run.prompt_tokens or 0) >= ENOUGH_TO_SCALE:
            messages = Run.objects.values_list("messages", flat=True).get(pk=run.pk)
            if messages:  # an old run's prompt is no longer kept
                return min(4.0, max(0.25, (run.prompt_tokens or 0) / estimate(messages)))
    return 1.0


def _trim(history: Prompt, *, budget: float, least: int) -> int:
    """How many of the oldest go, so that the rest has room and begins with a question."""
    room = estimate(history)
    for index, message in enumerate(history):
        if room <= budget and index >= least and message["role"] == "user":
            return index
        room -= estimate([message])
    return len(history)


def estimate(messages: Prompt) -> float:
    return sum(len(message["content"].encode()) / BYTES_PER_TOKEN + MESSAGE_TOKENS for message in messages)


def size_for(agent: Agent, path: list[Message], *, hosts: list[Host] | None = None) -> int:
    """The context the agent's model has, or will be loaded with."""
    hosts = hosts_of(agent) if hosts is None else hosts
    try:
        model = resolve_model(agent, hosts=hosts)
    except ModelUnavailable:
        model = agent.model
    largest = [m.get("context_length") for host in hosts for m in host.installed if m.get("name") == model]
    return min(_wanted_size(agent, model, hosts, path), *(int(length) for length in largest if length), sys.maxsize)


def _wanted_size(agent: Agent, model: str, hosts: list[Host], path: list[Message]) -> int:
    given = agent.options.get("num_ctx")
    if isinstance(given, int) and given > 0:
        return given
    loaded = [host.loaded[model] for host in hosts if host.loaded.get(model)]
    if loaded:
        return int(min(loaded))
    lengths = [m.run.context_length for m in reversed(path) if m.run and m.run.model == model]
    return next((length for length in lengths if length), DEFAULT_SIZE)


def explain(refused: Run, *, alone: bool) -> str:
    """Words for a prompt that is too long: `alone` when there was no older message left to leave out."""
    tokens, size = refused.error_detail.get("n_prompt_tokens"), refused.error_detail.get("n_ctx")
    figures = f" It has {tokens:,} tokens; {size:,} fit." if tokens and size else ""
    if alone:
        return (
            f"The question, with the agent's instructions, is longer than the model's context.{figures} "
            "Shorten or split it, or choose an agent with a larger context (its option num_ctx)."
        )
    return (
        f"The conversation does not fit the model's context, however much of it was left out.{figures} "
        "Try again, or start a new chat."
    )


def meter(conversation: Conversation, *, path: list[Message] | None = None) -> ContextUse:
    """How full the context was after the last reply of the branch that is shown, whose end may be given as `path`."""
    if path is None or not any(_is_counted(message) for message in path):
        path = _branch(conversation, conversation.head_id)
    size = size_for(conversation.agent, path) if conversation.agent else DEFAULT_SIZE
    return ContextUse(used=_used(path), size=size)


def _is_counted(message: Message) -> bool:
    """The host has told how long the prompt was; it does not where the reply breaks off."""
    return bool(message.run and message.run.prompt_tokens)


def _used(path: list[Message]) -> int:
    for index in range(len(path) - 1, -1, -1):
        run = path[index].run
        if run and run.prompt_tokens:
            since = estimate([_said(message) for message in path[index + 1 :]])
            return run.prompt_tokens + (run.output_tokens or 0) + round(since)
    return round(estimate([_said(message) for message in path]))
