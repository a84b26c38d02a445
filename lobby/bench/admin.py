"""`lobby bench admin`: how long every list page of the admin takes, among many rows. Imported once Django is set up."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import connection
from django.db.models import Model, UUIDField
from django.db.models.fields import NOT_PROVIDED
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents.models import Agent, Host, Pull, Run
from chat.models import Conversation, Message
from debates.models import Debate, Round
from lobby.accounts.models import ApiKey, Invitation, Limit
from lobby.bench.figures import Figure
from lobby.embedded.child import StartFailed
from monitoring.models import Alert, AlertRule, AuditEvent, Receiver

WARM_UP = 2
PAGE, QUERIES = 300.0, 12.0  # ms and statements: the bars
OK = 200
FEW = 200  # rows of what nobody has many of

# Filters and searches beside the lists as they open. {user}: the name of somebody with rows.
ASKED = [
    (Run, "?status__exact=failed"),
    (Run, "?status__exact=running"),
    (Run, "?purpose=debate.speech"),
    (Run, "?purpose=chat.reply"),
    (Run, "?model=rare:1b"),
    (Run, "?error_kind=stalled"),
    (Run, "?host__id__exact={host}"),
    (Run, "?q={user}"),
    (Run, "?p=100"),
    (Conversation, "?q={user}"),
    (Debate, "?status__exact=running"),
    (Debate, "?protocol=delphi"),
    (AuditEvent, "?q={user}"),
    (AuditEvent, "?action=session.signed_in"),
    (User, "?q={user}"),
]


@dataclass
class AdminBench:
    rows: int
    runs: int
    times: int
    doing: Callable[[str], None]
    figures: list[Figure] = field(default_factory=list)

    def run(self) -> None:
        self.make()
        client = Client(SERVER_NAME="localhost")
        client.force_login(User.objects.create_superuser("bench-admin"))
        named = {"user": f"user-{self.rows // 2}", "host": str(Host.objects.order_by("name").values_list("pk")[0][0])}
        for model in admin.site._registry:
            self.measure(client, list_of(model))
        for model, query in ASKED:
            self.measure(client, list_of(model) + query.format(**named))

    def measure(self, client: Client, path: str) -> None:
        self.doing(path)
        taken = [asked(client, path) for _ in range(WARM_UP + self.times)][WARM_UP:]
        self.figures.append(Figure(path, "ms", [each[0] for each in taken], PAGE))
        self.figures.append(Figure("  of it this process' own processor time", "ms", [each[1] for each in taken]))
        self.figures.append(Figure("  of it in the database", "ms", [each[2] for each in taken]))
        self.figures.append(Figure("  statements", "", [max(each[3] for each in taken)], QUERIES))

    def make(self) -> None:
        """Users 1 to `rows`, who own the rows of the same number; runs are dealt out among them."""
        of_user = f"(SELECT min(id) FROM auth_user) + n %% {self.rows}"  # noqa: S608 - of our own numbers
        past = "now() - n * interval '1 minute'"
        self.fill(User, self.rows, username="'user-' || n", email="'user-' || n || '@example.org'", date_joined=past)
        for model in (Host, Agent, Group, AlertRule, Receiver):
            self.fill(model, FEW, **FEW_OF[model])
        agent, host, rule = (f"(SELECT id FROM {table} LIMIT 1)" for table in OTHERS)  # noqa: S608 - constants
        self.fill(Conversation, self.rows, owner=of_user, agent=agent, title="'Chat ' || n", updated_at=past)
        self.copy(Message, "conversation_id", Conversation, role="'user'", text="'Why?'")
        self.fill(Debate, self.rows, owner=of_user, question="'Why?'", protocol=PROTOCOL, rule="'majority'",
                  status="CASE WHEN n < 20 THEN 'running' ELSE 'ended' END", created_at=past)  # fmt: skip
        self.copy(Round, "debate_id", Debate, number="0", kind="'blind'")
        self.fill(AuditEvent, self.rows, at=past, action=ACTION, actor=of_user, actor_name="'user-' || n",
                  subject_kind="'agents.run'", subject_id="n::text")  # fmt: skip
        self.fill(ApiKey, self.rows, user=of_user, name="'script'", prefix="'p' || n", digest="'d'", scopes="'{chat}'")
        self.fill(Invitation, self.rows, digest="n::text", expires_at="now()", invited_by=of_user, created_at=past)
        self.fill(Limit, self.rows, kind="'runs_per_hour'", scope="'user'", user=of_user, value="n")
        self.fill(Alert, self.rows, rule=rule, subject="n::text", value="1", resolved_at="now()", since=past)
        self.fill(Pull, self.rows, host=host, model="'m' || n", status="'done'", asked_by=of_user, asked_at=past)
        seconds_ago = "now() - n * interval '1 second'"
        whose = {"owner": of_user, "agent": agent, "host": host, "subject": "gen_random_uuid()", "messages": "'[]'"}
        how = {"purpose": PURPOSE, "model": MODEL, "status": STATUS, "error_kind": KIND}
        self.fill(Run, self.runs, **whose, **how, queued_at=seconds_ago, finished_at=seconds_ago)
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")

    def fill(self, model: type[Model], rows: int, /, **given: str) -> None:
        """`given` are expressions in SQL over n, from 1; everything else gets the model's default."""
        self.doing(f"{rows:,} rows of {model._meta.verbose_name_plural}")
        columns, expressions, values = columns_of(model, given)
        source = f"generate_series(1, {rows}) AS n"
        insert(model, columns, expressions, values, source)

    def copy(self, model: type[Model], column: str, of: type[Model], /, **given: str) -> None:
        """One row for each of another table's."""
        self.doing(f"{model._meta.verbose_name_plural}")
        columns, expressions, values = columns_of(model, given | {column.removesuffix("_id"): "parent.id"})
        insert(model, columns, expressions, values, f"{of._meta.db_table} AS parent")


FEW_OF: dict[type[Model], dict[str, str]] = {
    Host: {"name": "'host ' || n", "base_url": "'http://127.0.0.1:' || (20000 + n)"},
    Agent: {"slug": "'agent-' || n", "name": "'Agent ' || n"},
    Group: {"name": "'group ' || n"},
    AlertRule: {"name": "'rule ' || n", "metric": "'queue_runs'", "bound": "1"},
    Receiver: {"kind": "'email'", "address": "n || '@example.org'"},
}
OTHERS = ("agents_agent", "agents_host", "monitoring_alertrule")
ACTION = "CASE WHEN n %% 3 = 0 THEN 'session.signed_in' ELSE 'conversation.read' END"
PROTOCOL = "CASE WHEN n %% 2 = 0 THEN 'delphi' ELSE 'free' END"
PURPOSE = "CASE WHEN n %% 4 = 0 THEN 'debate.speech' ELSE 'chat.reply' END"
STATUS = "CASE WHEN n %% 50000 = 0 THEN 'failed' ELSE 'done' END"
KIND = "CASE WHEN n %% 50000 = 0 THEN 'stalled' ELSE '' END"
MODEL = "CASE WHEN n %% 100000 = 0 THEN 'rare:1b' ELSE 'fake:latest' END"


def columns_of(model: type[Model], given: dict[str, str]) -> tuple[list[str], list[str], list[Any]]:
    """Columns, their expressions, and the values of the placeholders in these."""
    columns, expressions, values = [], [], []
    for each in model._meta.concrete_fields:
        if each.name in given:
            expression = given[each.name]
        elif each.primary_key and isinstance(each, UUIDField):
            expression = "gen_random_uuid()"
        elif each.primary_key or each.db_default is not NOT_PROVIDED:
            continue
        else:
            expression = "%s"
            values.append(each.get_db_prep_save(each.get_default(), connection))
        columns.append(f'"{each.column}"')
        expressions.append(expression)
    return columns, expressions, values


def insert(model: type[Model], columns: list[str], expressions: list[str], values: list[Any], source: str) -> None:
    into = f"{model._meta.db_table} ({', '.join(columns)})"
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {into} SELECT {', '.join(expressions)} FROM {source}", values)  # noqa: S608 - ours


def list_of(model: type[Model]) -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/"


def asked(client: Client, path: str) -> tuple[float, float, float, int]:
    """Milliseconds of the server: by the clock, of its processor, in the database; and how many statements it took.

    Raises StartFailed where the page fails.
    """
    with CaptureQueriesContext(connection) as queries:
        began, used = time.perf_counter(), time.process_time()
        answer = client.get(path)
        taken, worked = time.perf_counter() - began, time.process_time() - used
    if answer.status_code != OK:
        raise StartFailed(f"{path} answered {answer.status_code}")
    waited = sum(float(query["time"]) for query in queries)
    return taken * 1000, worked * 1000, waited * 1000, len(queries)
