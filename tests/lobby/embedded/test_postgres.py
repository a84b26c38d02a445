import pytest
from django.db import connection


@pytest.mark.django_db
def test_the_suite_runs_on_postgresql_18() -> None:
    assert connection.pg_version // 10000 == 18
