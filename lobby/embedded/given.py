"""Servers that the user names in the environment: checked once at the start, in words that say what to change.

Each check returns what to call the server, without its password, and raises child.StartFailed.
"""

from typing import cast
from urllib.parse import urlsplit

import httpx
import psycopg
import psycopg.conninfo
import redis

from lobby.embedded.child import StartFailed
from lobby.embedded.valkey import ONCE

OLLAMA_PORT = 11434
LEAST_POSTGRES = 15
CONNECTING = 5  # seconds


def check_database(url: str) -> str:
    try:
        parts = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        wanted = "postgresql://user:password@host/name"
        raise StartFailed(f"DATABASE_URL is not a PostgreSQL address ({wanted}): {one_line(error)}") from error
    place = f"{parts.get('dbname') or parts.get('user', '')} on {parts.get('host', 'this machine')}"
    try:
        with psycopg.connect(url, connect_timeout=CONNECTING) as connection:
            version = connection.info.server_version // 10_000
    except psycopg.Error as error:
        raise StartFailed(f"DATABASE_URL: can't open database {place}: {one_line(error)}") from error
    if version < LEAST_POSTGRES:
        raise StartFailed(f"DATABASE_URL: {place} is PostgreSQL {version}, at least {LEAST_POSTGRES} is needed")
    return f"PostgreSQL {version}, {place}"


def check_redis(url: str) -> str:
    try:
        client = redis.Redis.from_url(url, socket_connect_timeout=CONNECTING, socket_timeout=CONNECTING, retry=ONCE)
    except ValueError as error:
        wanted = "redis://:password@host:6379/0"
        raise StartFailed(f"REDIS_URL is not a Redis address ({wanted}): {one_line(error)}") from error
    place = urlsplit(url).hostname or urlsplit(url).path
    try:
        with client:
            facts = cast("dict[str, str]", client.info("server"))
    except redis.RedisError as error:
        raise StartFailed(f"REDIS_URL: can't reach Redis at {place}: {one_line(error)}") from error
    name = "Valkey" if "valkey_version" in facts else "Redis"
    return f"{name} {facts[f'{name.lower()}_version']} at {place}"


def ollama_address(given: str) -> str:
    """The address to call, from any form that Ollama itself takes: `host`, `host:port`, `0.0.0.0`, `http(s)://…`."""
    url = given if "://" in given else f"http://{given}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise StartFailed(f"OLLAMA_HOST is not an address (http://host:{OLLAMA_PORT}): {given}")
    if parts.hostname == "0.0.0.0":  # noqa: S104 - where a server listens is not where one calls it
        parts = parts._replace(netloc=parts.netloc.replace("0.0.0.0", "127.0.0.1"))  # noqa: S104
    if port is None and (parts.scheme == "http" or "://" not in given):
        parts = parts._replace(netloc=f"{parts.netloc}:{OLLAMA_PORT}")
    return parts.geturl().rstrip("/")


def check_ollama(url: str) -> str:
    parts = urlsplit(url)
    place = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()  # without user and password
    version = ollama_version(url)
    if not version:
        raise StartFailed(f"OLLAMA_HOST: no Ollama answers at {place}")
    return f"Ollama {version} at {place}"


def ollama_version(url: str) -> str:
    """Empty where nothing there speaks Ollama's protocol."""
    try:
        answer = httpx.get(f"{url}/api/version", timeout=CONNECTING, trust_env=False)
        return str(answer.json()["version"]) if answer.is_success else ""
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return ""


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())
