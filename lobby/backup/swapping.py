"""Putting a whole database in the place of another in one step, so that there is no moment with half of it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import psycopg.conninfo
from psycopg import sql

FRESH, REPLACED = "_restoring", "_replaced"  # appended to the database's name
LONGEST_NAME = 63 - len(FRESH)  # bytes
ABOUT = """
SELECT to_jsonb(d) || jsonb_build_object('owner', pg_get_userbyid(datdba), 'encoding', pg_encoding_to_char(encoding))
  FROM pg_database d WHERE datname = current_database()
"""
# A database with rights or settings of its own would lose them
MAY_SWAP = """
SELECT (r.rolcreatedb OR r.rolsuper) AND pg_has_role(d.datdba, 'USAGE') AND d.datacl IS NULL
       AND NOT EXISTS (SELECT FROM pg_db_role_setting s WHERE s.setdatabase = d.oid)
       AND octet_length(d.datname::text) <= %s
  FROM pg_roles r, pg_database d WHERE r.rolname = current_user AND d.datname = current_database()
"""
# What hangs on a table goes with it, so the tables first
OBJECTS = """
SELECT format('DROP %s IF EXISTS %I.%I CASCADE', CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN
              'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname, c.relname), c.relkind = 'S'
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'v', 'm', 'S') AND NOT EXISTS (
       SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
UNION ALL
SELECT format('DROP ROUTINE IF EXISTS %s CASCADE', p.oid::regprocedure), true
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname = current_schema() AND NOT EXISTS (
       SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
 ORDER BY 2
"""


def is_possible(url: str) -> bool:
    """Whether we may make databases and rename this one, and it has nothing that a new one would lack."""
    try:
        with psycopg.connect(url) as connection:
            found = connection.execute(MAY_SWAP, [LONGEST_NAME]).fetchone()
        if not (found and found[0]):
            return False
        with beside(url):
            return True
    except psycopg.OperationalError:
        return False


@contextmanager
def beside(url: str) -> Iterator[psycopg.Connection]:
    """A connection to another database of the same server: none can be renamed from within."""
    with psycopg.connect(named(url, "postgres"), autocommit=True) as connection:
        yield connection


def named(url: str, database: str) -> str:
    return psycopg.conninfo.make_conninfo(url, dbname=database)


@contextmanager
def fresh_database(url: str) -> Iterator[str]:
    """An empty database like the one at `url`, which takes its name and place if all goes well, and else is gone."""
    with psycopg.connect(url) as connection:
        about: dict[str, Any] = connection.execute(ABOUT).fetchone()[0]  # type: ignore[index]
    name, fresh = about["datname"], about["datname"] + FRESH
    with beside(url) as connection:
        drop(connection, fresh, name + REPLACED)  # of somebody who was killed
        connection.execute(creation(fresh, like=about))
        try:
            yield named(url, fresh)
            with connection.transaction():
                rename(connection, name, to=name + REPLACED)
                rename(connection, fresh, to=name)
        except BaseException:  # Ctrl-C too: whatever ended it, half a database must not stay; it goes on being raised
            with suppress(psycopg.Error):  # the next restore drops it
                drop(connection, fresh)
            raise
        drop(connection, name + REPLACED)


def creation(name: str, *, like: dict[str, Any]) -> sql.Composed:
    """With the same owner, encoding and order of letters."""
    options: dict[str, sql.Composable] = {
        "OWNER": sql.Identifier(like["owner"]),
        "TEMPLATE": sql.Identifier("template0"),
        "ENCODING": sql.Literal(like["encoding"]),
        "LC_COLLATE": sql.Literal(like["datcollate"]),
        "LC_CTYPE": sql.Literal(like["datctype"]),
    }
    locale = sql.Literal(like.get("datlocale") or like.get("daticulocale"))
    match like["datlocprovider"]:
        case "b":
            options |= {"LOCALE_PROVIDER": sql.Identifier("builtin"), "BUILTIN_LOCALE": locale}
        case "i":
            options |= {"LOCALE_PROVIDER": sql.Identifier("icu"), "ICU_LOCALE": locale}
        case _:
            options |= {"LOCALE_PROVIDER": sql.Identifier("libc")}
    written = sql.SQL(" ").join(sql.SQL(f"{option} = ") + value for option, value in options.items())
    return sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(name), written)


def rename(connection: psycopg.Connection, name: str, *, to: str) -> None:
    connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(name), sql.Identifier(to)))


def drop(connection: psycopg.Connection, *names: str) -> None:
    for name in names:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))


def clear(connection: psycopg.Connection) -> None:
    """Drop all that is in the database, in the transaction that the connection is in."""
    for statement, _ in connection.execute(OBJECTS).fetchall():
        connection.execute(statement)
