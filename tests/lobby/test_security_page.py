import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_test_that_the_security_page_names_is_there() -> None:
    page = (ROOT / "docs/security.md").read_text()

    named = {name.removeprefix("tests/") for name in re.findall(r"`([\w/]*test_\w+\.py)`", page)}
    assert len(named) >= 20
    assert [name for name in sorted(named) if not (ROOT / "tests" / name).exists()] == []
