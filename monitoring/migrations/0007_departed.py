from django.db import migrations

# What the counters need of a row, and nothing anybody wrote. A row whose end is sealed is in the totals already.
KEEP = """
CREATE FUNCTION monitoring_keep_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.{moment} >= COALESCE((SELECT max(until) FROM monitoring_seal), 'epoch') THEN
        INSERT INTO monitoring_departed (source, at, columns)
        VALUES ('{source}', OLD.{moment}, jsonb_build_object({columns}));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER keep_deleted AFTER DELETE ON {table} FOR EACH ROW
WHEN (OLD.{moment} IS NOT NULL) EXECUTE FUNCTION monitoring_keep_{table}();
CREATE TRIGGER keep_taken_back AFTER UPDATE OF {moment} ON {table} FOR EACH ROW
WHEN (OLD.{moment} IS NOT NULL AND NEW.{moment} IS DISTINCT FROM OLD.{moment})
EXECUTE FUNCTION monitoring_keep_{table}();
"""

FORGET = """
DROP TRIGGER keep_deleted ON {table};
DROP TRIGGER keep_taken_back ON {table};
DROP FUNCTION monitoring_keep_{table}();
"""

OF_RUN = (
    "status", "purpose", "model", "error_kind", "prompt_tokens", "output_tokens",
    "queued_at", "started_at", "first_token_at", "finished_at",
)
SOURCES = [
    {
        "source": "run",
        "table": "agents_run",
        "moment": "finished_at",
        "columns": ", ".join(f"'{name}', OLD.{name}" for name in OF_RUN),
    },
    {
        "source": "debate",
        "table": "debates_debate",
        "moment": "ended_at",
        "columns": "'protocol', OLD.protocol, 'label', OLD.verdict->>'label', 'stop_reason', OLD.stop_reason,"
        " 'created_at', OLD.created_at, 'ended_at', OLD.ended_at",
    },
    {
        "source": "chat",
        "table": "chat_conversation",
        "moment": "created_at",
        "columns": "'created_at', OLD.created_at",
    },
]


class Migration(migrations.Migration):
    dependencies = [
        ("monitoring", "0006_totals"),
        ("agents", "0004_draining"),
        ("chat", "0004_by_age"),
        ("debates", "0002_by_end"),
    ]

    operations = [migrations.RunSQL(KEEP.format(**source), FORGET.format(**source)) for source in SOURCES]
