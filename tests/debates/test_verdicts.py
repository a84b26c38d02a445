import pytest

from debates.verdicts import conclude
from tests.debates.rows import make_debate

pytestmark = pytest.mark.django_db


def test_a_majority_short_of_three_quarters_is_no_decision_and_says_what_is_missing() -> None:
    verdict = conclude(make_debate(votes=["AAABBBBBB"]))
    assert verdict["words"] == "6 of 9 hold “No”; the rule (three quarters) needs 7: no decision."
    assert (verdict["decided"], verdict["option"], verdict["leader"]) == (False, None, "B")
