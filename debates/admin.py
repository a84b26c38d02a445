"""Debates for those who keep the lobby: their course without a word of them, the words where somebody has a reason."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.admin import TabularInline

from agents.admin import AgentAdmin
from agents.models import Agent
from debates.consensus import RULES, SETTLED_BALLOTS
from debates.history import events_of
from debates.models import Calibration, Debate, Round, Seat
from debates.protocols import PROTOCOLS
from debates.records import NO_RECORD, TrackRecord, records_by_agent, records_by_model
from debates.verdicts import STOPS
from lobby.site import FoundByOwner, ReadingRecorded, ReadOnlyAdmin


class ByProtocol(SimpleListFilter):
    title = parameter_name = "protocol"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(key, protocol.name) for key, protocol in PROTOCOLS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Debate]) -> QuerySet[Debate]:
        return queryset.filter(protocol=self.value()) if self.value() else queryset


class ByRule(SimpleListFilter):
    title = parameter_name = "rule"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(key, rule.title) for key, rule in RULES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Debate]) -> QuerySet[Debate]:
        return queryset.filter(rule=self.value()) if self.value() else queryset


class SeatInline(TabularInline):  # type: ignore[misc]
    model = Seat
    fields = ["position", "name", "role", "model", "votes", "side", "agent"]
    readonly_fields = fields
    extra = 0
    can_delete = False
    hide_title = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Debate)
class DebateAdmin(FoundByOwner, ReadingRecorded):
    """Transcripts, to be read where there is a reason; each reading is recorded. The list shows nothing of them."""

    list_display = [
        *("short_id", "owner", "protocol_name", "rule_title", "status", "why_over"),
        *("round_count", "created_at", "ended_at"),
    ]
    list_filter = ["status", ByProtocol, ByRule, "created_at"]
    list_select_related = ["owner"]
    sortable_by = ["created_at"]
    fields = [
        "owner",
        ("protocol_name", "rule_title", "belief"),
        ("max_rounds", "most_tokens", "max_minutes", "longest_speech"),
        ("status", "pause_reason", "why_over"),
        ("parent", "forked_after"),
        ("created_at", "ended_at", "settled_at"),
        "question",
        "background",
        "named_options",
        "transcript",
        "summary",
    ]
    readonly_fields = [
        *("protocol_name", "rule_title", "why_over"),
        *("most_tokens", "longest_speech", "named_options", "transcript"),
    ]
    inlines = [SeatInline]

    def complete(self, rows: list[Any]) -> None:
        counted = Round.objects.filter(debate__in=rows).order_by().values_list("debate")
        numbers = dict(counted.annotate(count=Count("*")))
        for debate in rows:
            debate.number = numbers.get(debate.pk, 0)

    @admin.display(description="rounds")
    def round_count(self, debate: Any) -> int:
        return int(debate.number)

    @admin.display(description="protocol")
    def protocol_name(self, debate: Debate) -> str:
        return PROTOCOLS[debate.protocol].name if debate.protocol in PROTOCOLS else debate.protocol

    @admin.display(description="rule")
    def rule_title(self, debate: Debate) -> str:
        return RULES[debate.rule].title if debate.rule in RULES else debate.rule

    @admin.display(description="why it is over")
    def why_over(self, debate: Debate) -> str:
        return STOPS.get(debate.stop_reason, debate.stop_reason) if debate.stop_reason else "–"

    @admin.display(description="max tokens")
    def most_tokens(self, debate: Debate) -> str:
        return f"{debate.max_tokens:,}"

    @admin.display(description="tokens of a speech")
    def longest_speech(self, debate: Debate) -> str:
        return f"{debate.speech_tokens:,}"

    @admin.display(description="options")
    def named_options(self, debate: Debate) -> SafeString:
        return format_html_join("", "<p>{}: {}</p>", debate.option_texts.items())

    @admin.display(description="transcript")
    def transcript(self, debate: Debate) -> SafeString:
        """What may be told: of a round under way who has voted, not for what."""
        articles = format_html_join("", "<article><h2>{} <b>{}</b></h2><pre>{}</pre></article>", _told(debate))
        return SafeString('<div class="lobby-said">') + articles + SafeString("</div>")


def _told(debate: Debate) -> Iterator[tuple[str, str, str]]:
    """When, who or what, and the words."""
    names = {str(seat.pk): f"{seat.name} ({seat.model})" for seat in debate.seats.all()}
    for event in events_of(debate):
        at = event["at"][:16].replace("T", " ")
        match event:
            case {"type": "debate.round", "round": number, "kind": kind, "step": step}:
                yield at, f"Round {number} ({kind}): {step}", ""
            case {"type": "debate.speech", "seat": seat, "kind": kind, "text": text}:
                yield at, f"{names[seat]}: {kind}", f"{text}\n{event.get('error', '')}".strip()
            case {"type": "debate.ballot", "ballots": ballots}:
                held = (f"{names[cast['seat']]}: {_vote(cast, debate)}" for cast in ballots)
                yield at, "Ballots", "\n".join(held)
            case {"type": "debate.injection", "kind": kind, "text": text}:
                yield at, f"To all: {kind}", text


def _vote(cast: dict[str, Any], debate: Debate) -> str:
    if cast["option"] is None:
        return f"abstained: {cast['abstention']}"
    return debate.option_texts.get(cast["option"]) or str(cast["option"])


def _in_words(record: TrackRecord) -> str:
    """Over settled debates, one ballot for each seat and debate: its last."""
    if record.hit_rate is None:
        return "nothing settled yet"
    low, high = record.interval
    words = f"{record.hits} of {record.ballots} right ({record.hit_rate:.0%}, 95 %: {low:.0%}–{high:.0%})"
    brier = "" if record.brier is None else f", Brier {record.brier:.3f}"
    return f"{words}{brier}, moved {record.flips_to_right}× to and {record.flips_from_right}× from the right option"


admin.site.unregister(Agent)


@admin.register(Agent)
class DebatingAgentAdmin(AgentAdmin):
    """As agents know nothing of debates, what they were worth in them is added here."""

    list_display = [*AgentAdmin.list_display, "track_record"]

    def complete(self, rows: list[Any]) -> None:
        records = records_by_agent(agent.pk for agent in rows)
        for agent in rows:
            agent.record = records.get(agent.pk, NO_RECORD)

    @admin.display(description="track record")
    def track_record(self, row: Any) -> str:
        return _in_words(row.record)


@admin.register(Calibration)
class CalibrationAdmin(ReadOnlyAdmin):
    """What the stated confidence of each model has been worth; used from 50 settled ballots on."""

    list_display = ["model", "ballots", "is_used", "track_record", "updated_at"]
    fields = ["model", ("ballots", "is_used", "updated_at"), "track_record"]
    readonly_fields = ["is_used", "track_record"]
    search_fields = ["model"]

    def complete(self, rows: list[Any]) -> None:
        records = records_by_model(row.pk for row in rows)
        for row in rows:
            row.record = records.get(row.pk, NO_RECORD)

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Calibration | None:
        row: Calibration | None = super().get_object(request, object_id, from_field)
        if row:
            self.complete([row])
        return row

    @admin.display(description="used", boolean=True)
    def is_used(self, row: Calibration) -> bool:
        return row.ballots >= SETTLED_BALLOTS

    @admin.display(description="track record")
    def track_record(self, row: Any) -> str:
        return _in_words(row.record)
