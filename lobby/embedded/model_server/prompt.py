"""From messages to a prompt that fits the context, dropping what Ollama drops."""

from collections.abc import Sequence

from lobby.embedded.model_server.llama import Llama
from lobby.embedded.model_server.request import Message, Options
from lobby.embedded.model_server.wire import StreamFault

TOO_LONG = (
    "the prompt is longer than the context length currently available to the model; shorten the prompt, adjust the "
    "context length in settings, or use a model with a longer context length"
)

Prompt = str | list[int]


def render(messages: Sequence[Message]) -> str:
    """The model's chat template (`weights.TEMPLATE`)."""
    said = "".join(f"<|im_start|>{message.role}\n{message.content}<|im_end|>\n" for message in messages)
    return f"{said}<|im_start|>assistant\n"


async def fitting(messages: Sequence[Message], *, llama: Llama, options: Options, shift: bool) -> Prompt:
    """The prompt with the oldest messages left out until it fits; system messages and the last one always stay.

    Where the last one alone is too long, its middle goes, and with it half of the context.
    """
    text = render(await kept(messages, llama=llama))
    if len(text.encode()) < llama.context:  # a token is at least a byte
        return text
    tokens = await llama.tokens(text)
    if len(tokens) < llama.context:
        return text
    if not shift:
        raise StreamFault(400, TOO_LONG)
    return without_middle(tokens, context=llama.context, keep=options.num_keep)


async def kept(messages: Sequence[Message], *, llama: Llama) -> Sequence[Message]:
    """The longest tail, after the system messages before it, that fits; found by halving, as each step is a reading."""
    fewest, most = 0, len(messages) - 1
    while fewest < most:
        dropped = (fewest + most) // 2
        if await fits(without(messages, dropped), llama=llama):
            most = dropped
        else:
            fewest = dropped + 1
    return without(messages, fewest)


def without(messages: Sequence[Message], dropped: int) -> list[Message]:
    system = [message for message in messages[:dropped] if message.role == "system"]
    return [*system, *messages[dropped:]]


async def fits(messages: Sequence[Message], *, llama: Llama) -> bool:
    text = render(messages)
    return len(text.encode()) <= llama.context or len(await llama.tokens(text)) <= llama.context


def without_middle(tokens: list[int], *, context: int, keep: int) -> list[int]:
    """The first `keep` tokens and as many of the last as leave half of the rest of the context free."""
    keep = min(len(tokens) if keep < 0 else keep, context - 1)
    limit = context - max((context - keep) // 2, 1)
    return tokens[:keep] + tokens[len(tokens) - limit + keep :]
