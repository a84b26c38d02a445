"""Run the server: `python -m lobby.embedded.model_server --port 0`."""

import argparse
import os
import signal
import socket
import sys
import threading
from time import sleep

import uvicorn

from lobby.embedded.model_server.app import application
from lobby.embedded.model_server.engine import Engine
from lobby.embedded.model_server.weights import NoWeights, find

LAST_WORDS = 1  # seconds for replies under way when it is told to stop
GLANCE = 0.5  # seconds between looks whether the parent lives


class Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            host, port = listener.getsockname()[:2]
            print(f"listening on http://{host}:{port}", flush=True)


def main() -> None:
    options = arguments()
    try:
        weights = find()
        listener = socket.create_server((options.host, options.port))
    except (NoWeights, OSError) as error:
        sys.exit(f"model server: {error}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises it again when it has shut down
    if options.parent:
        threading.Thread(target=follow, args=(options.parent,), daemon=True).start()
    engine = Engine(weights.path, parallel=options.parallel, max_queue=options.max_queue)
    config = uvicorn.Config(
        application(weights, engine=engine, context=options.context),
        server_header=False,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=LAST_WORDS,
    )
    Server(config).run(sockets=[listener])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="model_server", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=11434, help="0: any free one, see the line it prints")
    parser.add_argument("--parallel", type=int, default=2, help="replies at once; others wait")
    parser.add_argument("--context", type=int, default=4096, help="tokens, where a request does not say num_ctx")
    parser.add_argument("--max-queue", type=int, default=512, help="requests that may wait for a load")
    parser.add_argument("--parent", type=int, default=0, help="end when this process, which started it, has ended")
    return parser.parse_args()


def follow(parent: int) -> None:
    while os.getppid() == parent:
        sleep(GLANCE)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
