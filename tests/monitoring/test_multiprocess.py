"""Several web processes behind one address: whichever is asked tells of all of them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from prometheus_client.parser import text_string_to_metric_families

from lobby.embedded import programs
from lobby.embedded.child import Child
from monitoring import multiprocess
from tests.ports import reserved
from tests.processes import answers, browser, log_of, running
from tests.waiting import wait_for

TOKEN = "let the scraper in"


@pytest.fixture
def web(tmp_path: Path, transactional_db: None) -> Iterator[Child]:
    """Two processes at one address, after earlier ones."""
    (tmp_path / "run" / "metrics-4194305").mkdir(parents=True)  # no process has a number as high
    with reserved() as port:
        url = f"http://127.0.0.1:{port}"
        command = [*programs.web(host="127.0.0.1", port=port), "--workers", "2"]
        env = {"LOBBY_METRICS_TOKEN": TOKEN, "LOBBY_HOME": str(tmp_path)}
        with running("web", command, ready=lambda _: answers(url), url=url, env=env) as process:
            yield process


def test_two_processes_count_as_one_without_being_told_where(web: Child, tmp_path: Path) -> None:
    (folder,) = (tmp_path / "run").glob("metrics-*")
    asked: list[int] = []

    def ask_until_both_had_one() -> bool:  # each on a connection of its own; the second may still be starting
        asked.append(browser.get(f"{web.url}/metrics").status_code)
        return have_both_counted(folder)

    wait_for(ask_until_both_had_one)
    told = [counted(web) for _ in range(4)]
    assert (told, set(asked)) == ([len(asked)] * 4, {404})


def counted(web: Child) -> float:
    answer = browser.get(f"{web.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200, log_of(web)
    return sum(
        sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name == "http_requests_total" and sample.labels["status"] == "404"
    )


def have_both_counted(folder: Path) -> bool:
    return sum(b'"404"' in file.read_bytes() for file in folder.glob("counter_*.db")) == 2


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What an earlier start left; this process is a web process now."""
    folder = tmp_path / "metrics"
    folder.mkdir()
    (folder / "counter_1.db").touch()
    monkeypatch.setenv("LOBBY_PROCESS", "web")
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(folder))
    yield folder
    while multiprocess.held:
        multiprocess.held.pop().close()


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.db"))


def test_first_process_begins_with_an_empty_folder_and_the_next_leaves_it(folder: Path) -> None:
    multiprocess.join()
    assert files(folder) == []

    (folder / "counter_2.db").touch()
    multiprocess.join()
    assert files(folder) == ["counter_2.db"]


def test_folder_is_emptied_again_once_all_are_gone(folder: Path) -> None:
    multiprocess.join()
    multiprocess.join()
    (folder / "counter_2.db").touch()
    multiprocess.held.pop().close()
    multiprocess.held.pop().close()

    multiprocess.join()
    assert files(folder) == []


def test_worker_counts_no_requests_and_leaves_the_folder_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOBBY_PROCESS", "worker")
    multiprocess.join()

    assert files(folder) == ["counter_1.db"]
    assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ


def test_folder_that_cannot_be_written_is_refused_with_its_name(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "file" / "metrics"))

    with pytest.raises(
        ImproperlyConfigured, match=f"PROMETHEUS_MULTIPROC_DIR.*{tmp_path}/file/metrics: Not a directory"
    ):
        multiprocess.join()
