"""The fake as a process: prints its URL, then serves until it is told to stop (SIGTERM, Ctrl-C)."""

import argparse
import asyncio
import signal

import uvloop

from tests.fake_ollama import DEFAULT_MODELS, Script, Server, as_models


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.fake_ollama")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--rate", type=float, default=0.0, help="tokens per second; 0: as fast as possible")
    parser.add_argument("--tokens", type=int, default=20)
    parser.add_argument("--first-token-delay", type=float, default=0.0, help="seconds")
    parser.add_argument("--slots", type=int, default=None, help="chats of a model at once; others wait")
    parser.add_argument("--load-delay", type=float, default=0.0, help="seconds; implies --cold")
    parser.add_argument("--cold", action="store_true", help="no model is loaded at first")
    parser.add_argument("--model", action="append", help="may be given several times")
    return parser.parse_args()


async def serve(asked: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    server = Server(
        models=as_models(asked.model or DEFAULT_MODELS),
        cold=asked.cold or asked.load_delay > 0,
        slots=asked.slots,
        load_delay=asked.load_delay,
        default=Script(tokens=asked.tokens, rate=asked.rate, first_token_delay=asked.first_token_delay),
    )
    await server.listen(asked.port)
    print(f"http://127.0.0.1:{server.port}", flush=True)
    await stop.wait()
    await server.close()


if __name__ == "__main__":
    uvloop.run(serve(arguments()))
