"""How the tests of the client ask, and an answer to play back to them."""

from contextlib import aclosing
from typing import Any

from agents.ollama import Chunk, Client, Deadlines

MODEL = "fake:latest"
QUESTION = [{"role": "user", "content": "What is the meaning of it all?"}]


async def chat(client: Client, *, deadlines: Deadlines | None = None, **asked: Any) -> list[Chunk]:
    asked = {"model": MODEL, "messages": QUESTION} | asked
    async with aclosing(client.chat(deadlines=deadlines or Deadlines(), **asked)) as chunks:
        return [chunk async for chunk in chunks]


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk.content for chunk in chunks)


def answer(status: int, body: str) -> dict[str, Any]:
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body.encode()))}
    chunks = [[0, body]] if body else []
    return {"response": {"status": status, "headers": headers, "ended": "complete", "chunks": chunks}}
