"""What a database holds, in figures that two databases can be compared by: rows and a digest of each table."""

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import sql

Figures = dict[str, dict[str, Any]]  # table → {"rows": int, "digest": str}

WORD = 1 << 64
# The same row is written the same way by every server
ONE_WAY_TO_WRITE = """
SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, MDY'; SET LOCAL IntervalStyle = 'postgres';
SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'; SET LOCAL statement_timeout = 0;
"""
TABLES = """
SELECT c.relname, pg_table_size(c.oid)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %s AND c.relkind IN ('r', 'p')
   AND NOT EXISTS (
       SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
 ORDER BY c.relname
"""
# The sum of the rows' hashes, so that their order does not matter
DIGEST = """
SELECT count(*), coalesce(sum(('x' || left(hash, 16))::bit(64)::bigint::numeric), 0),
       coalesce(sum(('x' || substr(hash, 17, 16))::bit(64)::bigint::numeric), 0)
  FROM (SELECT encode(sha256(convert_to(t::text, 'UTF8')), 'hex') AS hash FROM {}.{} t) hashed
"""


def schema_of(connection: psycopg.Connection) -> str:
    return str(value(connection, "SELECT current_schema()"))


def sizes(connection: psycopg.Connection, *, schema: str) -> dict[str, int]:
    """Table → its bytes, indexes not included."""
    return dict(connection.execute(TABLES, [schema]).fetchall())


def measure(connection: psycopg.Connection, *, schema: str, counted: Callable[[str], None] = lambda _: None) -> Figures:
    """Rows and digest of every table, inside the transaction that the connection is in."""
    connection.execute(ONE_WAY_TO_WRITE)
    figures: Figures = {}
    for table in sizes(connection, schema=schema):
        query = sql.SQL(DIGEST).format(sql.Identifier(schema), sql.Identifier(table))
        found = connection.execute(query).fetchone() or (0, 0, 0)
        figures[table] = {"rows": found[0], "digest": "".join(f"{int(word) % WORD:016x}" for word in found[1:])}
        counted(table)
    return figures


def differences(found: Figures, expected: Figures) -> list[str]:
    """The tables in which the two are not the same."""
    return sorted(table for table in found | expected if found.get(table) != expected.get(table))


def migrations(connection: psycopg.Connection, *, schema: str) -> list[str]:
    """Those applied, as "agents.0001_initial"."""
    query = sql.SQL("SELECT app || '.' || name FROM {}.django_migrations ORDER BY 1")
    return [name for (name,) in connection.execute(query.format(sql.Identifier(schema)))]


def value(connection: psycopg.Connection, query: str, *arguments: Any) -> Any:
    found = connection.execute(query, arguments or None).fetchone()
    return found[0] if found else None
