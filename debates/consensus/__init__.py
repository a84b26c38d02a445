"""The consensus mathematics (docs: debates). Pure functions: numbers in, numbers out, no Django.

`evaluate(rounds, settings)` says everything about a debate after a round; `decide(votes, settings=…)` is the rule
alone.
"""

from debates.consensus.agreement import agreement, movement, ordinal_agreement, ranking_agreement
from debates.consensus.ballots import (
    BadBallot,
    BeliefSource,
    ChangeReason,
    RoundVotes,
    Settings,
    Vote,
    counts_of,
    leader_of,
    quorum,
)
from debates.consensus.beliefs import Belief, adjust, belief_of, beliefs_of, support, verdict_confidence
from debates.consensus.calibration import SETTLED_BALLOTS, Calibration, clip, fit_isotonic
from debates.consensus.chance import (
    SETTLED_DEBATES,
    Correlation,
    Kinship,
    SettledDebate,
    beta_binomial_tail,
    chance_of_lead,
    correlation_of,
    effective_votes,
    kinship,
    majority_accuracy,
    measured_correlation,
    model_family,
)
from debates.consensus.evaluation import EXPLANATIONS, Evaluation, evaluate
from debates.consensus.gates import Gate, Standing, State, standings_of
from debates.consensus.labels import Label, LabelName, label
from debates.consensus.logprobs import (
    alternatives,
    belief_of_ballot,
    cyclic_orders,
    measured_belief,
    option_position,
    probed_belief,
)
from debates.consensus.provenance import Flip, Holding, Provenance, flips_of, holdings_of, provenance_of
from debates.consensus.ranking import schulze_winners
from debates.consensus.rules import RULES, Decision, Rule, decide, heads_needed, is_locked
from debates.consensus.stopping import Stop, StopReason, lead_change, stop_of

__all__ = [
    "EXPLANATIONS",
    "RULES",
    "SETTLED_BALLOTS",
    "SETTLED_DEBATES",
    "BadBallot",
    "Belief",
    "BeliefSource",
    "Calibration",
    "ChangeReason",
    "Correlation",
    "Decision",
    "Evaluation",
    "Flip",
    "Gate",
    "Holding",
    "Kinship",
    "Label",
    "LabelName",
    "Provenance",
    "RoundVotes",
    "Rule",
    "SettledDebate",
    "Settings",
    "Standing",
    "State",
    "Stop",
    "StopReason",
    "Vote",
    "adjust",
    "agreement",
    "alternatives",
    "belief_of",
    "belief_of_ballot",
    "beliefs_of",
    "beta_binomial_tail",
    "chance_of_lead",
    "clip",
    "correlation_of",
    "counts_of",
    "cyclic_orders",
    "decide",
    "effective_votes",
    "evaluate",
    "fit_isotonic",
    "flips_of",
    "heads_needed",
    "holdings_of",
    "is_locked",
    "kinship",
    "label",
    "lead_change",
    "leader_of",
    "majority_accuracy",
    "measured_belief",
    "measured_correlation",
    "model_family",
    "movement",
    "option_position",
    "ordinal_agreement",
    "probed_belief",
    "provenance_of",
    "quorum",
    "ranking_agreement",
    "schulze_winners",
    "standings_of",
    "stop_of",
    "support",
    "verdict_confidence",
]
