"""What the counters and histograms count, as SQL: of rows whose moment is at or after the seal, gone ones included.

Every series is (name, labels as jsonb, value, buckets); of a histogram `value` is the sum, and `buckets` tell how many
were at most each of BOUNDS, and last how many there were.
"""
# ruff: noqa: S608  (all of it is made of constants)

from collections.abc import Sequence

WAITS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)  # seconds
LENGTHS = (0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
HOURS = (30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
BOUNDS = {
    "run_first_token_seconds": WAITS,
    "run_queue_seconds": WAITS,
    "run_seconds": LENGTHS,
    "debate_seconds": HOURS,
}

# Nobody will say any more that something happened before this moment: the oldest statement that may yet write, and of
# a transaction that has written all of it, as its earlier statements are seen late.
SAFE = """
SELECT least(statement_timestamp() - make_interval(secs => %s),
             min(CASE WHEN backend_xid IS NOT NULL THEN xact_start WHEN state = 'active' THEN query_start END))
  FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
MOVE = """
INSERT INTO monitoring_seal (id, until) VALUES (1, %(until)s) ON CONFLICT (id) DO UPDATE SET until = excluded.until
"""


def _during(moment: str) -> str:
    """The given beginning tells the planner how few rows there are; the seal itself is that of the same snapshot."""
    return f"""{moment} >= %(since)s::timestamptz AND {moment} < %(until)s::timestamptz
               AND {moment} >= COALESCE((SELECT max(until) FROM monitoring_seal), 'epoch')"""


def _gone(source: str, columns: str) -> str:
    """The rows of Departed, as `columns` with their types."""
    names = ", ".join(column.split()[0] for column in columns.split(", "))
    return f"""
  SELECT {names} FROM monitoring_departed, jsonb_to_record(columns) AS gone({columns})
   WHERE source = '{source}' AND {_during("at")}"""


def _count(name: str, *, source: str, labels: Sequence[str], value: str = "count(*)", where: str = "true") -> str:
    """One series for each combination of the labels, each given as `column` or `label=expression`."""
    pairs = [label.partition("=") for label in labels]
    built = ", ".join(f"'{label}', {expression or label}" for label, _, expression in pairs)
    groups = ", ".join(expression or label for label, _, expression in pairs if not expression.startswith("'"))
    return f"""
SELECT '{name}', jsonb_build_object({built}), ({value})::float8, NULL::bigint[]
  FROM {source} WHERE {where} {f"GROUP BY {groups}" if groups else "HAVING count(*) > 0"}"""


def _observe(name: str, *, source: str, seconds: str, by: str) -> str:
    bounds = ", ".join(f"count(*) FILTER (WHERE {seconds} <= {bound})" for bound in BOUNDS[name])
    return f"""
SELECT '{name}', jsonb_build_object('{by}', {by}), sum({seconds})::float8, ARRAY[{bounds}, count(*)]
  FROM {source} WHERE {seconds} IS NOT NULL GROUP BY {by}"""


GONE_RUNS = _gone(
    "run",
    "status text, purpose text, model text, error_kind text, prompt_tokens int, output_tokens int, "
    "queued_at timestamptz, started_at timestamptz, first_token_at timestamptz, finished_at timestamptz",
)
GONE_DEBATES = _gone(
    "debate", "protocol text, label text, stop_reason text, created_at timestamptz, ended_at timestamptz"
)
ROWS = f"""
WITH run AS MATERIALIZED (
  SELECT status, purpose, model, COALESCE(NULLIF(error_kind, ''), 'unknown') AS kind, prompt_tokens, output_tokens,
         EXTRACT(EPOCH FROM first_token_at - queued_at) AS first_token,
         EXTRACT(EPOCH FROM started_at - queued_at) AS queue,
         EXTRACT(EPOCH FROM finished_at - started_at) AS took
    FROM (SELECT status, purpose, model, error_kind, prompt_tokens, output_tokens,
                 queued_at, started_at, first_token_at, finished_at
            FROM agents_run WHERE {_during("finished_at")}
           UNION ALL {GONE_RUNS}) AS ended
), debate AS MATERIALIZED (
  SELECT protocol, COALESCE(label, 'none') AS label, stop_reason, EXTRACT(EPOCH FROM ended_at - created_at) AS took
    FROM (SELECT protocol, verdict->>'label' AS label, stop_reason, created_at, ended_at
            FROM debates_debate WHERE {_during("ended_at")}
           UNION ALL {GONE_DEBATES}) AS ended
), chat AS (
  SELECT created_at FROM chat_conversation WHERE {_during("created_at")}
   UNION ALL {_gone("chat", "created_at timestamptz")}
), audited AS (
  SELECT action FROM monitoring_auditevent WHERE {_during("at")}
)
"""
SERIES = [
    _count("runs", source="run", labels=["status", "purpose"]),
    _count("run_failures", source="run", labels=["kind"], where="status IN ('failed', 'interrupted')"),
    _count("tokens", source="run", labels=["kind='prompt'", "model"], value="COALESCE(sum(prompt_tokens), 0)"),
    _count("tokens", source="run", labels=["kind='output'", "model"], value="COALESCE(sum(output_tokens), 0)"),
    _observe("run_first_token_seconds", source="run", seconds="first_token", by="model"),
    _observe("run_queue_seconds", source="run", seconds="queue", by="model"),
    _observe("run_seconds", source="run", seconds="took", by="model"),
    _count("debates", source="debate", labels=["protocol", "label"]),
    _count("debate_stops", source="debate", labels=["reason=stop_reason"]),
    _observe("debate_seconds", source="debate", seconds="took", by="protocol"),
    _count("chats", source="chat", labels=[]),
    _count("audit_events", source="audited", labels=["action"]),
]
COUNTED = f"SELECT * FROM ({ROWS} {' UNION ALL '.join(SERIES)}) AS counted(name, labels, value, buckets)"

# One statement, so one snapshot: what another process seals meanwhile is neither missed nor counted twice.
READ = f"""
SELECT name, labels::text, value, buckets FROM monitoring_total
 UNION ALL SELECT name, labels::text, value, buckets FROM ({COUNTED}) AS since
"""
ADD = f"""
INSERT INTO monitoring_total AS before (name, labels, value, buckets) {COUNTED}
ON CONFLICT (name, labels) DO UPDATE SET value = before.value + excluded.value, buckets = (
   SELECT array_agg(a + b ORDER BY place)
     FROM unnest(before.buckets, excluded.buckets) WITH ORDINALITY AS pairs(a, b, place))
"""
