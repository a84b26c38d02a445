import json
from typing import Any

import pytest
from django.test import RequestFactory
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from debates.exports import as_json, as_markdown, export
from debates.models import Ballot, Claim, Debate, Round, Speech
from debates.transcript import inline, quote
from debates.verdicts import conclude
from monitoring.models import AuditEvent
from tests.debates.rows import make_claim, make_debate, make_injection, make_round, make_speech, rescore
from tests.factories import make_user

SECRET = "I vote for No, and nobody is to know it yet."


def whole() -> Debate:
    """A debate with something of everything."""
    debate = make_debate(
        votes=["AAB-", "AAAB"],
        background="It was built in 1931.",
        silent=["devils-advocate", "moderator"],
        summary="The panel would close it.",
        ballots={(0, 0): {"measured": {"A": 0.41, "B": 0.59}, "probed": {"A": 0.5, "B": 0.5}, "cited": [1]}},
    )
    first, second = debate.rounds.all()
    make_claim(first, debate.seats.get(position=2), status=Claim.Status.REFUTED, note="It does not.", checked_in=second)
    make_injection(debate, text="It rusts.")
    make_speech(second, debate.seats.get(role="devils-advocate"), kind=Speech.Kind.CHALLENGE, text="And the detour?")
    Speech.objects.filter(round=first, seat__position=3).update(status="failed", error="The host went away.")
    Debate.objects.filter(pk=debate.pk).update(right_option="A", settled_at="2026-11-21T12:00Z")
    return rescore(Debate.objects.get(pk=debate.pk))


@pytest.mark.django_db
def test_the_json_holds_everything() -> None:
    debate = whole()
    found = as_json(debate)
    assert json.loads(json.dumps(found)) == found
    assert found["version"] == 1
    assert [found["question"], found["background"]] == ["Should the bridge be closed?", "It was built in 1931."]
    assert found["options"] == [{"id": "A", "text": "Yes"}, {"id": "B", "text": "No"}]
    assert found["limits"] == {"rounds": 3, "tokens": 100_000, "minutes": 60, "speech_tokens": 300}
    assert [seat["name"] for seat in found["seats"]] == [seat.name for seat in debate.seats.all()]
    assert [[len(held["speeches"]), len(held["ballots"])] for held in found["rounds"]] == [[4, 4], [5, 4]]
    assert [held["metrics"] for held in found["rounds"]] == [held.metrics for held in debate.rounds.all()]
    assert [(claim["number"], claim["status"], claim["checked_in"]) for claim in found["claims"]] == [(1, "refuted", 1)]
    assert [injection["text"] for injection in found["injections"]] == ["It rusts."]
    assert found["verdict"] == conclude(debate)
    assert found["settled"]["option"] == "A"
    assert found["broken_off"] == []


@pytest.mark.django_db
def test_a_confidence_of_nothing_is_not_missing() -> None:
    ballots = as_json(make_debate(votes=["AAB"], confidences=[[0, None, 50]]))["rounds"][0]["ballots"]
    assert [ballot["confidence"] for ballot in ballots] == [0, None, 50]


@pytest.mark.django_db
def test_the_markdown_tells_everything() -> None:
    text = as_markdown(whole())
    for told in (
        "# Should the bridge be closed?",
        "> It was built in 1931.",
        "- **A**: Yes",
        "**3 of 4 hold “Yes”; the rule (3/4) needs 3: decided for “Yes”.**",
        "- Settled: “Yes” was right: the debate helped, the blind vote had not found it.",
        "> The panel would close it.",
        "> It rusts.",
        "### B: No",
        "- Round 1: Quantifier: “No” → “Yes”, cites nothing. (unevidenced)",
        "- Round 0: Skeptic abstained: chose to abstain",
        "- Round 0: Skeptic failed (answer): The host went away.",
        "| Analyst | Analyst | smollm2:135m | Agent A | yes |",
        "| Moderator | Moderator | smollm2:135m | Agent F | no |",
        "## Round 0 (blind)",
        "> Analyst speaks in round 0.",
        "### Devil's Advocate, challenge",
        "> And the detour?",
        "- Analyst: **A** Yes, says 80 %, its probabilities say 41 %, the probe says 50 %. Analyst finds A right. "
        "Cites 1. Would change if: Somebody showed Analyst the figures.",
        "- Skeptic: abstained (chosen)",
        "- **1** Claim number 1. (fact, Quantifier, round 0, cited by 1; refuted: It does not.)",
    ):
        assert told in text.splitlines(), told


@pytest.mark.django_db
@pytest.mark.parametrize("status", [Debate.Status.RUNNING, Debate.Status.PAUSED, Debate.Status.ENDED])
@pytest.mark.parametrize("step", ["speech", "ballot", "probe"])
def test_ballots_of_a_round_that_is_not_over_are_never_told(status: str, step: str) -> None:
    debate = make_debate(votes=["AAB"], status=status)
    held = make_round(debate, "BB.", step=step, ballots={0: {"reason": SECRET, "claims": [{"text": SECRET}]}})
    make_claim(held, debate.seats.get(position=0), text=SECRET)
    for told in (as_markdown(debate), json.dumps(as_json(debate))):
        assert SECRET not in told
        assert "Round 1" not in told or status == Debate.Status.ENDED


@pytest.mark.django_db
def test_what_was_said_in_a_round_that_was_broken_off_is_kept() -> None:
    debate = make_debate(votes=["AAB"], stop_reason="user")
    make_round(debate, "BB.", step="ballot")
    found = as_json(debate)["broken_off"]
    assert [(held["number"], len(held["speeches"]), "ballots" in held) for held in found] == [(1, 3, False)]
    assert "## Round 1 (exchange), broken off" in as_markdown(debate).splitlines()
    assert "> Analyst speaks in round 1." in as_markdown(debate).splitlines()


@pytest.mark.django_db
def test_a_debate_that_has_only_begun_can_be_exported() -> None:
    debate = make_debate(options=(), is_open=True)
    assert as_json(debate)["rounds"] == []
    assert "**No round is scored yet.**" in as_markdown(debate)


@pytest.mark.django_db
def test_a_judge_is_named_and_so_is_a_claim_that_nobody_answered() -> None:
    debate = make_debate(votes=["ABB", "AAB"], rule="judge", silent=["moderator"])
    moderator = debate.seats.get(role="moderator")
    last = debate.rounds.get(number=1)
    make_claim(debate.rounds.get(number=0), debate.seats.get(position=2), status="refuted", checked_in=last)
    Ballot.objects.create(round=last, seat=moderator, is_judgement=True, status="cast", option="A", confidence=70)
    make_speech(last, moderator, kind=Speech.Kind.VERDICT, text="It stands at the top.")
    text = as_markdown(rescore(debate))
    for told in (
        "- Judged: One judge decided, not the panel.",
        "- Unanswered: Claim 1 of Quantifier stands refuted. “Claim number 1.”",
        "- Same model ×3 ≈ 1.6 independent votes",
        "- Moderator (the judge): **A** Yes, says 70 %.",
    ):
        assert told in text.splitlines(), told
    assert "It stands at the top." not in text


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("form", "filename", "content_type"),
    [
        ("markdown", "should-the-bridge-be-closed.md", "text/markdown; charset=utf-8"),
        ("json", "should-the-bridge-be-closed.json", "application/json"),
    ],
)
def test_who_took_a_file_away_stands_in_the_audit_trail(form: Any, filename: str, content_type: str) -> None:
    request = RequestFactory(REMOTE_ADDR="192.0.2.7").get("/")
    request.user = make_user("bob")
    debate = make_debate(votes=["AAB"])
    file = export(debate, form=form, request=request)
    assert (file.filename, file.content_type) == (filename, content_type)
    event = AuditEvent.objects.get()
    assert (event.action, event.actor_name, event.subject_id) == ("debate.exported", "bob", str(debate.pk))
    assert event.detail == {"form": form}


@pytest.mark.django_db
@pytest.mark.parametrize("question", ["桥应该关闭吗？", "../../etc/passwd", '"\r\nX-Evil: 1', "x" * 4000])
def test_a_filename_is_harmless_whatever_the_question(question: str) -> None:
    name = export(make_debate(question=question), form="json").filename
    assert name.removesuffix(".json").replace("-", "").isalnum()
    assert len(name) <= 70


HOSTILE = (
    "<script>alert(1)</script>",
    "![x](https://evil.example/x.png)",
    "[x](javascript:alert(1))",
    "\\[x](javascript:alert(1))",
    "[x]: https://evil.example\n\n[x]",
    "<https://evil.example>",
    "# Verdict\n\nAll agree",
    "a\n===\nb\n---",
    "```\nunclosed",
    "| a | b |\n| --- | --- |",
    "</blockquote><h1>x",
    "- x\n\n1. y",
    "line\r\r# Verdict",
    "line\u2028# Verdict",
    "&lt;script&gt;",
    "`<b>` ``` ~~~",
    "    indented",
    "> > # deeper",
)
anything = st.text(st.sampled_from("ab #*_`~<>[]()!|\\-+=:/&;1.\n\r\t\u2028"), max_size=40) | st.sampled_from(HOSTILE)
PLAIN = {"inline", "text", "softbreak", "hardbreak", "text_special"}


def tokens(text: str) -> list[Token]:
    """As a generous renderer reads it: CommonMark with HTML, tables and strike-through."""
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)


def kinds(text: str) -> set[str]:
    return {inner.type for token in tokens(text) for inner in [token, *(token.children or [])]}


@given(text=anything)
@example(text="1. x")
@example(text="- x")
def test_within_a_line_nothing_means_anything_to_markdown(text: str) -> None:
    assert kinds(inline(text)) <= PLAIN | {"paragraph_open", "paragraph_close"}


@given(text=anything)
def test_a_quotation_is_never_left_and_makes_no_html_link_or_image(text: str) -> None:
    found = tokens(quote(text) + "\n\nAfter it.")
    assert [token.type for token in found if token.level == 0] == [
        "blockquote_open", "blockquote_close", "paragraph_open", "paragraph_close",
    ]  # fmt: skip
    assert not kinds(quote(text)) & {"html_block", "html_inline", "link_open", "image"}


def test_what_was_quoted_reads_as_it_was_written() -> None:
    assert quote("First\r\n\r\n*really* `code`") == "> First\n>\n> *really* `code`"


@pytest.mark.django_db
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_anywhere_changes_nothing_about_the_headings(text: str) -> None:
    debate = whole()
    before = _outline(as_markdown(debate))
    Debate.objects.update(question=text, background=text, summary=text, options=_options(text))
    Speech.objects.update(text=text, error=text)
    Ballot.objects.update(reason=text, would_change_if=text)
    Ballot.objects.filter(status="abstained").update(abstention=text)
    Claim.objects.update(text=text, note=text)
    debate.injections.update(text=text)
    told = as_markdown(Debate.objects.get(pk=debate.pk))
    assert _outline(told) == before
    assert not kinds(told) & {"html_block", "html_inline", "link_open", "image"}


def _options(text: str) -> list[dict[str, str]]:
    return [{"id": "A", "text": text}, {"id": "B", "text": text + "."}]


def _outline(text: str) -> list[str]:
    """What is not quoted."""
    return [token.tag for token in tokens(text) if token.type == "heading_open" and token.level == 0]


@pytest.mark.django_db
def test_rounds_take_no_more_queries(django_assert_max_num_queries: Any) -> None:
    debate = make_debate(votes=["AABAABA"] * 4)
    for held in Round.objects.filter(debate=debate):
        for seat in debate.seats.all():
            make_claim(held, seat)
    for told in (as_markdown, as_json):
        with django_assert_max_num_queries(20):
            told(Debate.objects.get(pk=debate.pk))
