"""What agents are asked in a debate, one builder per step: from rows to an `Ask`. They read rows and write none.

What other seats and the owner wrote is fenced data in the user's turn, never in the system's; the same row is asked the
same way each time.
"""

from debates.prompts.ask import Ask
from debates.prompts.claims import claims_to_check
from debates.prompts.lists import checks, options, ranking, ranking_letters, repair_json
from debates.prompts.orders import probe_letters, shuffle_letters
from debates.prompts.question import shortened
from debates.prompts.reading import one_reading
from debates.prompts.speeches import answer, challenge, statistics, verdict
from debates.prompts.votes import ballot, judgement, probe, repair

__all__ = [
    "Ask",
    "answer",
    "ballot",
    "challenge",
    "checks",
    "claims_to_check",
    "judgement",
    "one_reading",
    "options",
    "probe",
    "probe_letters",
    "ranking",
    "ranking_letters",
    "repair",
    "repair_json",
    "shortened",
    "shuffle_letters",
    "statistics",
    "verdict",
]
