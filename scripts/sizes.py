"""No file over 400 lines and no function over 60, unless a comment `long: <reason>` in it says why."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

FILE_LIMIT = 400
FUNCTION_LIMIT = 60
SUFFIXES = {".py", ".js", ".css", ".html"}


def main() -> None:
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - a literal
    paths = [Path(name) for name in listed.stdout.splitlines()]
    complaints = [words for path in paths if path.suffix in SUFFIXES and path.exists() for words in complain(path)]
    print("\n".join(complaints))
    sys.exit(bool(complaints))


def complain(path: Path) -> Iterator[str]:
    lines = path.read_text().splitlines()
    if len(lines) > FILE_LIMIT and not is_excused(lines[:FILE_LIMIT]):
        yield f"{path}: {len(lines)} lines, at most {FILE_LIMIT}"
    if path.suffix != ".py":
        return
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = lines[node.lineno - 1 : node.end_lineno]
            if len(body) > FUNCTION_LIMIT and not is_excused(body):
                yield f"{path}:{node.lineno}: {node.name} has {len(body)} lines, at most {FUNCTION_LIMIT}"


def is_excused(lines: list[str]) -> bool:
    return any("long: " in line for line in lines)


if __name__ == "__main__":
    main()
