"""One chat request, from its messages to the chunks of its reply."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

from lobby.embedded.model_server.engine import Busy, Engine
from lobby.embedded.model_server.llama import Llama, Refused, RunnerDied
from lobby.embedded.model_server.prompt import Prompt, fitting, render
from lobby.embedded.model_server.request import LEAST_CONTEXT, Chat, Options, read_options
from lobby.embedded.model_server.schema import invalid_request, refusal_of, schema_for
from lobby.embedded.model_server.weights import NAME, Weights
from lobby.embedded.model_server.wire import Fault, StreamFault, now

OPEN_END = 10  # contexts: the longest reply where none was set
NO_PICTURES = "Multimodal data provided, but model does not support multimodal requests."
BUSY = "server busy, please try again.  maximum pending requests exceeded"
STOPPED = (
    "model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, check ollama "
    "server logs for details"
)
CUT = "an error was encountered while running the model: unexpected EOF"

Chunk = dict[str, Any]


@dataclass(frozen=True)
class Clock:
    """When the request came and when its model was there; nanoseconds."""

    started: int
    loaded: int

    def durations(self) -> Chunk:
        return {
            "total_duration": perf_counter_ns() - self.started,
            "load_duration": self.loaded - self.started,
        }


async def reply(chat: Chat, *, engine: Engine, weights: Weights, context: int) -> AsyncGenerator[Chunk]:
    """The chunks of the reply, the last with `done`. Raises Fault before the first one, or StreamFault.

    `context` is for a request that names no `num_ctx`. Closing it (the client left) frees the slot.
    """
    started = perf_counter_ns()
    refuse_what_it_cannot(chat)
    options = read_options(chat.given_options)
    size = min(max(options.num_ctx or context, LEAST_CONTEXT), weights.context)
    try:
        async with engine.lease(context=size, keep_alive=chat.keep_alive) as llama:
            clock = Clock(started, perf_counter_ns())
            if not chat.messages:
                yield lone(chat, reason="load")
                return
            async with aclosing(generate(chat, llama=llama, options=options, clock=clock)) as chunks:
                async for chunk in chunks:
                    yield chunk
    except Busy as error:
        raise Fault(503, BUSY) from error
    except RunnerDied as error:
        raise Fault(500, STOPPED) from error


def refuse_what_it_cannot(chat: Chat) -> None:
    if chat.has_tools:
        raise Fault(400, f"registry.ollama.ai/library/{NAME} does not support tools")
    if chat.thinks:
        raise Fault(400, f'"{chat.model}" does not support thinking')


def lone(chat: Chat, *, reason: str) -> Chunk:
    """The one chunk of a request without messages, which loads the model or unloads it."""
    return {**message(chat, ""), "done": True, "done_reason": reason}


def message(chat: Chat, content: str) -> Chunk:
    return {"model": chat.model, "created_at": now(), "message": {"role": "assistant", "content": content}}


async def generate(chat: Chat, *, llama: Llama, options: Options, clock: Clock) -> AsyncGenerator[Chunk]:
    if any(message.images for message in chat.messages):
        raise invalid_request(NO_PICTURES)
    request = await completion(chat, llama=llama, options=options)
    is_begun = False
    async with llama.slots:  # waiting here is silent, as in Ollama
        try:
            if "json_schema" in request and not await llama.follows(request):
                raise refusal_of(chat.format)
            async with aclosing(llama.complete(request)) as events:
                async for event in events:
                    if event["stop"]:
                        yield last(chat, event, clock=clock)
                    elif event["content"]:
                        is_begun = True
                        yield piece(chat, event)
        except Refused as error:
            raise StreamFault(error.status, str(error)) from error
        except RunnerDied as error:
            raise StreamFault(500, CUT if is_begun else STOPPED) from error


async def completion(chat: Chat, *, llama: Llama, options: Options) -> Chunk:
    """What llama.cpp is asked for."""
    prompt: Prompt = render(chat.messages)
    if chat.truncate:
        prompt = await fitting(chat.messages, llama=llama, options=options, shift=chat.shift)
    request: Chunk = {
        "prompt": prompt,
        "cache_prompt": True,
        "n_predict": await budget(chat, prompt, llama=llama, options=options),
        "n_keep": options.num_keep,
        "temperature": options.temperature,
        "top_k": options.top_k,
        "top_p": options.top_p,
        "min_p": options.min_p,
        "typical_p": options.typical_p,
        "repeat_last_n": llama.context if options.repeat_last_n < 0 else options.repeat_last_n,
        "repeat_penalty": options.repeat_penalty,
        "presence_penalty": options.presence_penalty,
        "frequency_penalty": options.frequency_penalty,
        "seed": options.seed,
        "stop": options.stop,
    }
    if schema := schema_for(chat.format):
        request["json_schema"] = schema
    if chat.logprobs:
        request["n_probs"] = max(chat.top_logprobs, 1)
    return request


async def budget(chat: Chat, prompt: Prompt, *, llama: Llama, options: Options) -> int:
    """How many tokens it may say. Without `shift` the context's end is the reply's end."""
    most = OPEN_END * llama.context
    wanted = options.num_predict if 0 < options.num_predict < most else most
    if chat.shift:
        return wanted
    tokens = await llama.tokens(prompt) if isinstance(prompt, str) else prompt
    return max(min(wanted, llama.context - len(tokens)), 1)


def piece(chat: Chat, event: Chunk) -> Chunk:
    chunk = {**message(chat, event["content"]), "done": False}
    if found := event.get("completion_probabilities"):
        chunk["logprobs"] = [logprob(token, has_top=chat.top_logprobs > 0) for token in found]
    return chunk


def last(chat: Chat, event: Chunk, *, clock: Clock) -> Chunk:
    """Counts of zero are left out, as Ollama leaves them out."""
    timings = event["timings"]
    counts = {
        "prompt_eval_count": timings["cache_n"] + timings["prompt_n"],
        "prompt_eval_duration": int(timings["prompt_ms"] * 1_000_000),
        "eval_count": timings["predicted_n"],
        "eval_duration": int(timings["predicted_ms"] * 1_000_000),
    }
    return {
        **message(chat, event["content"]),
        "done": True,
        "done_reason": "length" if event["stop_type"] == "limit" else "stop",
        **clock.durations(),
        **{name: count for name, count in counts.items() if count},
    }


def logprob(token: Chunk, *, has_top: bool) -> Chunk:
    """A token's own probability before the grammar, and its rivals'."""
    text = token["token"]
    found: Chunk = {"token": text, "logprob": token["logprob"]}
    if text:
        found["bytes"] = list(text.encode())
    if has_top:
        found["top_logprobs"] = [logprob(rival, has_top=False) for rival in token["top_logprobs"]]
    return found


async def whole(chunks: AsyncIterator[Chunk]) -> Chunk:
    """All chunks of a reply as one, for `stream: false`."""
    text, logprobs, final = "", [], {}
    async for chunk in chunks:
        text += chunk["message"]["content"]
        logprobs += chunk.get("logprobs", [])
        final = chunk
    final["message"]["content"] = text
    if not logprobs:
        return final
    head = {name: final.pop(name) for name in ("model", "created_at", "message", "done", "done_reason")}
    return {**head, "logprobs": logprobs, **final}
