"""Why something about a debate is refused, in words for people. All are agents.errors.Refused.

BadDebate      422  the question, the options, the panel or a limit cannot be
BudgetTooSmall 422  the tokens or minutes would not last for round 0
DebateTooLarge 422  more seats, or a larger budget, than one may have
NotNow         409  the debate is not in the state for it
CannotFork     409  no such round is over, or nothing of the debate would go on
TooManyDebates 429  as many are under way, or were begun this hour, as one may have
"""

from agents.errors import Refused


class BadDebate(Refused):
    kind = "bad_debate"
    status = 422


class BudgetTooSmall(Refused):
    kind = "budget_too_small"
    status = 422


class DebateTooLarge(Refused):
    kind = "debate_too_large"
    status = 422


class NotNow(Refused):
    kind = "not_now"


class TooManyDebates(Refused):
    kind = "too_many_debates"
    status = 429


class CannotFork(Refused):
    kind = "cannot_fork"
