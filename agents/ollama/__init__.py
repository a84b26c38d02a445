"""The one door to Ollama: deadlines, typed errors, and the chat stream.

    OllamaError                 kind                fault     retryable
    ├── HostUnreachable         host_unreachable    host      yes         no connection, or none that answers
    ├── HostBusy                host_busy           host      yes         503: too many wait for a load
    ├── Stalled                 stalled             host      yes         a deadline passed (which: .deadline)
    ├── StreamCut               stream_cut          host      yes         the reply broke off
    ├── BadReply                bad_reply           host      no          not Ollama's protocol; or (fault model)
    │                                                                     a reply that breaks its schema
    ├── ModelFailed             model_failed        model     yes, once   500, or an error line in the stream
    ├── ModelMissing            model_missing       caller    no          404 (.available: what the host has)
    ├── ContextFull             context_full        caller    no          (.n_prompt_tokens of .n_ctx)
    └── BadRequest              bad_request         caller    no          the request itself is at fault

`fault` says who is to blame, so where it counts: the host's breaker, the model on that host, or nobody.
`Stalled` by the deadline `total` is the model's fault (it does not end) and not worth a retry.
`message` is meant for people; `kind` is meant for storage.
"""

from agents.ollama.chat import Chunk, Stats
from agents.ollama.client import Client
from agents.ollama.deadlines import Deadlines
from agents.ollama.errors import (
    BadReply,
    BadRequest,
    ContextFull,
    HostBusy,
    HostUnreachable,
    ModelFailed,
    ModelMissing,
    OllamaError,
    Stalled,
    StreamCut,
)
from agents.ollama.models import Loaded, Model
from agents.ollama.structured import parse_structured

__all__ = [
    "BadReply",
    "BadRequest",
    "Chunk",
    "Client",
    "ContextFull",
    "Deadlines",
    "HostBusy",
    "HostUnreachable",
    "Loaded",
    "Model",
    "ModelFailed",
    "ModelMissing",
    "OllamaError",
    "Stalled",
    "Stats",
    "StreamCut",
    "parse_structured",
]
