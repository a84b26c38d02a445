"""A small model server that speaks Ollama's protocol on loopback, for a machine that has no Ollama.

`python -m lobby.embedded.model_server` runs it. It answers what this project asks of Ollama (version, tags, ps, show,
chat, embed, pull), with the one small model that is installed with the project. `runner` is a process of its own, as in
Ollama: loading does not stall the server, unloading gives all memory back, and a crash costs one reply.

Where it differs from Ollama, on purpose:
- `shift` is no property of the loaded model, so changing it reloads nothing.
- A model that repeats itself is not cut off without a `done`; `num_predict` or ten contexts end it.
- Schema-bound JSON is on one line, and a schema that the grammar cannot follow is refused instead of followed in part.
- `embed` answers 501 without loading the model first. `pull` cannot.
- Local origins are let in, but get no CORS headers: no page of ours calls it from a browser.
"""
