"""What the pages show of debates, read in a fixed number of queries."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Prefetch, Q
from django.utils.safestring import SafeString, mark_safe

from debates import figures
from debates.consensus import EXPLANATIONS, RULES
from debates.costs import spent
from debates.figures import Course
from debates.lanes import bar_of, lanes_of
from debates.models import Ballot, Debate, Speech
from debates.protocols import PROTOCOLS
from debates.querysets import DebateQuerySet
from debates.revealed import TEXTS_OF_RUNS
from debates.verdicts import conclude
from lobby.markdown import render

LISTED, MOST_LISTED = 30, 300
STATUSES = {"running": "Under way", "paused": "Paused", "ended": "Ended"}
NUMBERS = {  # what stands in the panel of numbers, in this order
    "ac": "Agreement beyond chance",
    "chance": "The lead by chance",
    "n_eff": "Independent votes",
    "support": "Support",
    "verdict_confidence": "Verdict confidence",
    "u": "Moved without evidence",
    "tv": "Movement",
}


def course_of(debate: Debate, *, until: int | None = None) -> Course:
    """Up to and with the round `until`, or all of it."""
    rounds = debate.rounds.all() if until is None else debate.rounds.filter(number__lte=until)
    speeches, ballots = (model.objects.select_related("run").defer(*TEXTS_OF_RUNS) for model in (Speech, Ballot))
    claims = debate.claims.select_related("seat", "round", "checked_in")
    if until is not None:
        claims = claims.filter(round__number__lte=until)
    return Course(
        debate=debate,
        seats=list(debate.seats.all()),
        rounds=list(rounds.prefetch_related(Prefetch("ballots", ballots), Prefetch("speeches", speeches))),
        claims=list(claims),
    )


def stage(debate: Debate, *, until: int | None = None) -> dict[str, Any]:
    """Everything on the page of a debate; until a round, everything but its end."""
    course = course_of(debate, until=until)
    is_replay = until is not None
    return {
        "debate": debate,
        "course": course,
        "protocol": PROTOCOLS[debate.protocol],
        "rule": RULES[debate.rule],
        "bar": bar_of(course),
        "lanes": lanes_of(course, is_replay=is_replay),
        "injections": debate.injections.all(),
        "is_replay": is_replay,
        **drawn(course),
        **(outcome(debate) if debate.status == Debate.Status.ENDED and not is_replay else {}),
    }


def drawn(course: Course) -> dict[str, Any]:
    """The panels of figures."""
    votes = figures.votes_by_round(course)
    return {
        "metrics": course.metrics,
        "tallies": figures.tallies(course, votes),
        "needed_share": figures.needed_share(course),
        "voted": course.voted,
        "trajectory": figures.trajectory(course, votes),
        "now": list(votes[-1].values()) if votes else [],
        "matrix": figures.matrix(course, votes),
        "moves": figures.moves(course),
        "board": figures.board(course, votes),
        "numbers": numbers(course),
        "cost": spent(course.debate),
    }


def outcome(debate: Debate) -> dict[str, Any]:
    """Of a debate that has ended: what it decided, as kept at its end."""
    return {"verdict": debate.verdict or conclude(debate), "summary": summary_of(debate)}


def summary_of(debate: Debate) -> SafeString:
    return mark_safe(render(debate.summary)) if debate.summary else SafeString("")  # noqa: S308  (sanitised by render)


def numbers(course: Course) -> list[dict[str, str]]:
    """Each with its name, its value and what it means; those that these ballots do not tell are left out."""
    said = {name: _said(name, course.metrics, course) for name in NUMBERS}
    notes = {"n_eff": f" Here: {course.metrics.get('correlation_words')}."}
    return [
        {"name": NUMBERS[name], "value": value, "words": EXPLANATIONS[name] + notes.get(name, "")}
        for name, value in said.items()
        if value
    ]


def _said(name: str, metrics: Mapping[str, Any], course: Course) -> str:
    origin = metrics.get("origin") or {}
    value = origin.get(name) if name == "u" else metrics.get(name)
    if value is None:
        return ""
    match name:
        case "support" | "verdict_confidence":
            shares = [(option.id, value[option.id]) for option in course.options if option.id in value]
            return ", ".join(f"{id} {share:.0%}".replace("%", " %") for id, share in shares)
        case "chance" | "u":
            return f"{100 * value:.1f} %" if name == "chance" else f"{origin['unevidenced']} of {origin['gained']}"
        case "n_eff":
            return f"{value:.1f} of {metrics['ballots']}"
    return f"{value:.2f}"


def listed(user: Any, *, status: str = "", query: str = "", limit: str = "") -> dict[str, Any]:
    """The user's debates, the newest first."""
    found: DebateQuerySet = Debate.objects.visible_to(user)
    counts = {name: found.filter(status=name).count() for name in STATUSES}
    if status in STATUSES:
        found = found.filter(status=status)
    if query:
        found = found.filter(Q(question__icontains=query) | Q(background__icontains=query))
    size = min(int(limit), MOST_LISTED) if limit.isdecimal() else LISTED
    rows = list(found.prefetch_related("seats")[: size + 1])
    filters = [{"name": "", "title": "All", "count": sum(counts.values())}]
    filters += [{"name": name, "title": title, "count": counts[name]} for name, title in STATUSES.items()]
    return {
        "debates": [row_of(debate) for debate in rows[:size]],
        "has_more": len(rows) > size,
        "next_limit": size + LISTED,
        "status": status,
        "query": query,
        "filters": filters,
    }


def row_of(debate: Debate) -> dict[str, Any]:
    """A debate in a list: with what it decided, in a line."""
    verdict = debate.verdict or {}
    decided = f"{verdict['option']}: {verdict['text']}" if verdict.get("option") else "No decision"
    return {
        "debate": debate,
        "protocol": PROTOCOLS[debate.protocol],
        "rule": RULES[debate.rule],
        "voters": [seat for seat in debate.seats.all() if seat.votes],
        "result": decided if debate.status == Debate.Status.ENDED else "",
        "label": verdict.get("label") or "",
    }


def recent(user: Any, *, count: int = 5) -> list[dict[str, Any]]:
    return [row_of(debate) for debate in Debate.objects.visible_to(user).prefetch_related("seats")[:count]]
