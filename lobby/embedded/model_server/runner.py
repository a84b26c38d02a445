"""The process that holds the model: llama.cpp's own server on loopback, behind a key made for this run.

A script, not imported by the server. On standard input it gets one line of JSON (`Launch` in `llama.py`); on standard
output it says its address when the model is loaded; it ends when standard input does, so it never outlives the server.
"""

import json
import os
import signal
import sys
from typing import Any

import xllamacpp

BATCH = 128  # tokens; between two batches others get their turn and a cancelled prompt ends
PROMPT_CACHE = 256  # MiB for the prompts of conversations that lost their slot
SILENT = 0  # a refused prompt is not worth a line; what stops a load is raised


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which closes our standard input
    server = xllamacpp.Server(parameters(json.loads(sys.stdin.readline())))
    print(server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)  # without llama.cpp's farewell: it would first finish what it generates


def parameters(launch: dict[str, Any]) -> xllamacpp.CommonParams:
    chosen = xllamacpp.CommonParams()
    chosen.model.path = launch["weights"]
    chosen.api_keys = [launch["key"]]
    chosen.port = 0
    chosen.n_parallel = launch["parallel"]
    chosen.n_ctx = launch["context"] * launch["parallel"]  # it is divided among them
    chosen.n_batch = chosen.n_ubatch = BATCH
    chosen.cpuparams.n_threads = chosen.cpuparams_batch.n_threads = launch["threads"]
    chosen.cpuparams.poll = chosen.cpuparams_batch.poll = 0  # no busy waiting: the machine has other work
    chosen.ctx_shift = True
    chosen.cache_ram_mib = PROMPT_CACHE
    chosen.verbosity = SILENT
    chosen.use_jinja = chosen.warmup = chosen.fit_params = chosen.ui = False
    return chosen


if __name__ == "__main__":
    main()
