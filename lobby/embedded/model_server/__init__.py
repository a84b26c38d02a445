"""A small model server that speaks Ollama's protocol on loopback, for a machine that has no Ollama.

`python -m lobby.embedded.model_server` runs it. It answers what this project asks of Ollama (version, tags, ps, show,
chat, embed, pull), with the one small model that is installed with the project. `runner` is a process of its own, as in
Ollama: loading does not stall the server, unloading gives all memory back, and a crash costs one reply.
"""
