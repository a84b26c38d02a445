"""The files for Prometheus and Grafana: that they are right by themselves, and about what `/metrics` really tells."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from lobby.embedded.programs import PROJECT
from monitoring.metrics import expose
from tests.promtool import promtool

PROMETHEUS = PROJECT / "docker/prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))
RULE_TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))
DASHBOARDS = sorted((PROJECT / "docker/grafana/dashboards").glob("*.json"))

# What Grafana puts in for its variables
FILLED = {"$__rate_interval": "5m", "$__range": "6h", "${prompt_price}": "1", "${output_price}": "1"}
WORDS = {"and", "or", "unless", "on", "ignoring", "by", "without", "bool", "group_left", "group_right"}
SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}


def check(*arguments: str | Path) -> None:
    done = subprocess.run([promtool(), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_pass_promtool() -> None:
    check("check", "rules", *RULES)


def test_rules_do_what_their_tests_say() -> None:
    check("test", "rules", *RULE_TESTS)


def test_settings_pass_promtool(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("let the scraper in")
    (tmp_path / "rules").symlink_to(PROMETHEUS / "rules")
    settings = (PROMETHEUS / "prometheus.yml").read_text()
    (tmp_path / "prometheus.yml").write_text(settings.replace("/run/secrets/metrics-token", str(tmp_path / "token")))

    check("check", "config", tmp_path / "prometheus.yml")


def test_every_alert_is_seen_to_fire_by_a_test() -> None:
    alerts = {rule["alert"] for rule in rules() if "alert" in rule}
    tested = {
        check["alertname"]
        for path in RULE_TESTS
        for test in yaml.safe_load(path.read_text())["tests"]
        for check in test["alert_rule_test"]
        if check.get("exp_alerts")
    }
    assert tested == alerts


@pytest.mark.django_db
def test_every_metric_that_is_used_is_told_or_recorded() -> None:
    told = {
        family.name + suffix
        for family in text_string_to_metric_families(expose().decode())
        for suffix in SUFFIXES.get(family.type, [])
    }
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    used = {name for expression in expressions() for name in names_in(expression)}
    assert used - told - recorded == {"up"}  # Prometheus' own
    assert len(used) > 30


def test_names_in_an_expression_are_found() -> None:
    query = 'sum by (le, job) (rate(a_total{b=~"c d"}[5m])) / on (e) f:g > 0.5 and max without (h) (i{j="k"}) * 1e6'
    assert set(names_in(query)) == {"a_total", "f:g", "i"}


def test_expressions_of_dashboards_are_understood_by_prometheus(tmp_path: Path) -> None:
    queries = [fill(query) for query in panel_expressions()]
    numbered = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    file = tmp_path / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": "queries", "rules": numbered}]}))

    check("check", "rules", file)


def test_dashboards_are_four_with_panels_that_say_what_they_show() -> None:
    boards = [json.loads(path.read_text()) for path in DASHBOARDS]
    assert sorted(board["uid"] for board in boards) == [
        "lobby-debates",
        "lobby-errors",
        "lobby-overview",
        "lobby-runs",
    ]
    panels = [panel for board in boards for panel in board["panels"]]
    assert len(panels) >= 21
    assert [panel["title"] for panel in panels if not is_complete(panel)] == []


def is_complete(panel: dict[str, Any]) -> bool:
    """A title, a unit, and of every query a name for its lines; asked of the data source that is chosen above."""
    targets = panel["targets"]
    asks = all(
        each["expr"] and each["legendFormat"] and each["datasource"]["uid"] == "${datasource}" for each in targets
    )
    return bool(panel["title"] and panel["fieldConfig"]["defaults"]["unit"] and targets and asks)


def rules() -> Iterator[dict[str, Any]]:
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from group["rules"]


def panel_expressions() -> Iterator[str]:
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            yield from (target["expr"] for target in panel["targets"])


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    yield from (fill(query) for query in panel_expressions())


def fill(query: str) -> str:
    for name, value in FILLED.items():
        query = query.replace(name, value)
    return query


def names_in(query: str) -> Iterator[str]:
    """The metrics of a PromQL expression: names that are neither labels, functions nor words of the language."""
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]", "", query)
    bare = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", "", bare)
    for found in re.finditer(r"(?<![\w.:])[a-zA-Z_:][\w:]*(?!\s*\()\b(?![\w:])", bare):
        if found[0] not in WORDS and not re.match(r"\s*\(", bare[found.end() :]):
            yield found[0]
