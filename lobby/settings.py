"""One settings file. Every variable read here stands in docs/configuration.md; a test compares the two."""

import os
import secrets
import sys
from pathlib import Path
from typing import Any

import psycopg.conninfo
import structlog
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from lobby import env, mail
from lobby.appearance import UNFOLD  # noqa: F401  (the look of the admin)
from lobby.logs import add_request, hide_secrets

BASE_DIR = Path(__file__).resolve().parent.parent
LOBBY_HOME = Path(env.text("LOBBY_HOME", str(BASE_DIR / ".lobby")))

DEBUG = env.flag("DEBUG", False)
PRODUCTION = env.flag("LOBBY_PRODUCTION", False)


def _secret_key() -> str:
    """The given key, or one that is made once and kept in LOBBY_HOME, readable by its owner alone."""
    if key := env.text("LOBBY_SECRET_KEY"):
        return key
    path = LOBBY_HOME / "secret_key"
    if not path.exists():
        if PRODUCTION:
            raise ImproperlyConfigured("LOBBY_SECRET_KEY (or LOBBY_SECRET_KEY_FILE) must be set in production")
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(50))
    return path.read_text().strip()


SECRET_KEY = _secret_key()
SECRET_KEY_FALLBACKS = env.words("LOBBY_OLD_SECRET_KEYS")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env.words("TRUSTED_ORIGINS")

OIDC_URL = env.address("LOBBY_OIDC_URL")  # of the provider that people may sign in with; empty: none

INSTALLED_APPS = [
    # First, so that runserver speaks WebSocket; nowhere else, as it costs every process 22 MB and 0.3 s.
    *(["daphne"] if "runserver" in sys.argv else []),
    "unfold.apps.BasicAppConfig",  # its other one would put its own site in place of ours
    "lobby.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "channels",
    "csp",
    "ninja",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    *(["allauth.socialaccount.providers.openid_connect"] if OIDC_URL else []),
    "lobby",
    "lobby.accounts",
    "agents",
    "chat",
    "debates",
    "monitoring",
]

MIDDLEWARE = [
    "monitoring.requests.measure",
    "lobby.logs.name_request",
    "monitoring.probes.answer",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "lobby.middleware.show_wrong_method",
    "lobby.middleware.speak_problems",
    "lobby.middleware.refuse_nul",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "lobby.accounts.browsers.note",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "lobby.accounts.gate.have_set_up",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "lobby.urls"
ASGI_APPLICATION = "lobby.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]


def _database() -> dict[str, Any]:
    """DATABASE_URL is any libpq URI: `postgresql://user:password@host/name`, or with `?host=/socket/folder`."""
    url = env.text("DATABASE_URL", "postgresql://lobby@localhost/lobby")
    try:
        parts = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise ImproperlyConfigured(
            f"DATABASE_URL is not a PostgreSQL address (postgresql://user:password@host/name): {error}"
        ) from error
    options: dict[str, Any] = {
        key: parts[key] for key in parts if key not in {"user", "password", "host", "port", "dbname"}
    }
    options.setdefault("connect_timeout", 5)
    # A server that has vanished from the network is noticed within seconds, not after the kernel's quarter of an hour.
    options.setdefault("tcp_user_timeout", 10_000)  # milliseconds
    options.setdefault("keepalives_idle", 30)  # seconds
    options.setdefault("keepalives_interval", 5)
    options.setdefault("keepalives_count", 3)
    in_web = os.environ.get("LOBBY_PROCESS") == "web"
    if in_web:  # views run in threads: a pool. A worker's few threads each keep their one connection instead.
        options["pool"] = {"min_size": 1, "max_size": env.number("DATABASE_POOL", 12, least=2), "timeout": 10}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.get("dbname") or parts.get("user") or "lobby",
        "USER": parts.get("user", ""),
        "PASSWORD": parts.get("password", ""),
        "HOST": parts.get("host", ""),
        "PORT": parts.get("port", ""),
        "CONN_MAX_AGE": 0 if in_web else None,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = env.text("REDIS_URL", "redis://localhost:6379/0")
SESSION_ENGINE = "lobby.accounts.session_store"  # not in Redis: pages work while that is away

# The broker carries doorbells only (docs/architecture.md): a lost or repeated message does no harm.
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3600, "socket_keepalive": True}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_STORE_ERRORS_EVEN_IF_IGNORED = False
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "lobby"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "reap": {"task": "agents.tasks.reap", "schedule": 5, "options": {"expires": 5}},
    "probe-hosts": {"task": "agents.tasks.probe_hosts", "schedule": 15, "options": {"expires": 15}},
    "debates": {"task": "debates.tasks.sweep", "schedule": 5, "options": {"expires": 5}},
    "render-missed": {"task": "chat.tasks.render_missed", "schedule": 60, "options": {"expires": 60}},
    "snapshot": {"task": "monitoring.tasks.take_snapshot", "schedule": 60, "options": {"expires": 60}},
    "seal-totals": {"task": "monitoring.tasks.seal_totals", "schedule": 30, "options": {"expires": 30}},
    "alerts": {"task": "monitoring.tasks.watch", "schedule": 15, "options": {"expires": 15}},
    "empty-bin": {"task": "chat.tasks.empty_bin", "schedule": 3600, "options": {"expires": 3600}},
    "retention": {"task": "monitoring.tasks.let_go", "schedule": 3600, "options": {"expires": 3600}},
}

SITE_URL = env.address("LOBBY_URL")  # where people find us, for links in mails and webhooks; empty: no links
MAIL = mail.read_server(env.text("LOBBY_EMAIL_URL"))  # None: no mail is sent, and what needs it is not offered
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if MAIL else 'dummy'}.EmailBackend"
EMAIL_TIMEOUT = 10
if MAIL:
    EMAIL_HOST, EMAIL_PORT, EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = MAIL.host, MAIL.port, MAIL.user, MAIL.password
    EMAIL_USE_TLS, EMAIL_USE_SSL = MAIL.starts_tls, MAIL.is_tls
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.text("LOBBY_EMAIL_FROM", "Agent Lobby <lobby@localhost>")
WEBHOOK_NETWORKS = env.networks("LOBBY_WEBHOOK_NETWORKS")  # private ones that webhooks may be sent to

AUTHENTICATION_BACKENDS = [
    "lobby.accounts.permissions.Everybody",  # before the one that has to ask the database
    "django.contrib.auth.backends.ModelBackend",
]


def _oidc() -> dict[str, Any]:
    """This installation as its provider knows it."""
    client, secret = env.text("LOBBY_OIDC_CLIENT_ID"), env.text("LOBBY_OIDC_CLIENT_SECRET")
    if not client:
        raise ImproperlyConfigured("LOBBY_OIDC_URL needs LOBBY_OIDC_CLIENT_ID, as the provider knows this lobby")
    details = {"server_url": OIDC_URL, "oauth_pkce_enabled": True}
    return {"provider_id": "sso", "name": OIDC_NAME, "client_id": client, "secret": secret, "settings": details}


AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "sign-in"
METRICS_TOKEN = env.text("LOBBY_METRICS_TOKEN")  # who scrapes /metrics without signing in; empty: nobody
METRICS_NETWORKS = env.networks("LOBBY_METRICS_NETWORKS")  # whoever asks from there may scrape as well
LOBBY_SIGNUP = env.choice("LOBBY_SIGNUP", "closed", among={"closed", "invited", "open"})
PASSWORD_RESET_TIMEOUT = 3600  # seconds that the link in a mail works

# django-allauth does second factors, mails and single sign-on, behind our own pages, throttle and words.
REQUIRE_MFA = env.choice("LOBBY_REQUIRE_MFA", "no", among={"no", "staff", "everybody"})
ACCOUNT_ADAPTER = "lobby.accounts.adapters.AccountAdapter"
ACCOUNT_RATE_LIMITS = False  # lobby/accounts/attempts.py counts, in Redis and over all processes
ACCOUNT_EMAIL_VERIFICATION = "none"  # lobby/accounts/entrance.py says when
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # no mail to whoever has no account here
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_CHANGE_EMAIL = True  # one address each; a new one takes its place once it is confirmed
MFA_ADAPTER = "lobby.accounts.adapters.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_TOLERANCE = 1  # a telephone's clock may be 30 s off
SOCIALACCOUNT_ADAPTER = "lobby.accounts.adapters.SingleSignOnAdapter"
SOCIALACCOUNT_REQUESTS_TIMEOUT = 5
OIDC_NAME = env.text("LOBBY_OIDC_NAME", "single sign-on")
OIDC_SIGNUP = env.flag("LOBBY_OIDC_SIGNUP", False)  # who comes by it for the first time gets an account
OIDC_GROUPS = env.text("LOBBY_OIDC_GROUPS")  # the claim that names groups; empty: groups are given here
if OIDC_URL:
    SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [_oidc()]}}

# Limits: each is said to whoever meets it. These hold where no row of accounts.Limit says otherwise; None: no limit.
RUNS_PER_USER = env.limit("LOBBY_RUNS_PER_USER", 20)  # being written at once; those of debates count apart
QUEUED_PER_USER = env.limit("LOBBY_QUEUED_PER_USER", 50)  # waiting in line
RUNS_PER_HOUR = env.limit("LOBBY_RUNS_PER_HOUR", 600)
TOKENS_PER_DAY = env.limit("LOBBY_TOKENS_PER_DAY", 10_000_000)  # read and written, those of debates too
DEBATES_PER_USER = env.limit("LOBBY_DEBATES_PER_USER", 10)  # under way at once
DEBATES_PER_HOUR = env.limit("LOBBY_DEBATES_PER_HOUR", 60)
DEBATE_SEATS = env.limit("LOBBY_DEBATE_SEATS", 15)
DEBATE_TOKENS = env.limit("LOBBY_DEBATE_TOKENS", 10_000_000)  # the budget of one debate
STORAGE_MB = env.limit("LOBBY_STORAGE_MB", 500)  # text of one's chats
MAX_QUESTION = env.number("LOBBY_MAX_QUESTION", 500_000, least=1)  # characters of one question
FRAMES_PER_SECOND = env.number("LOBBY_FRAMES_PER_SECOND", 40, least=5)  # what one socket may send us
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024  # a question of MAX_QUESTION characters, in the longest encoding

# How long what is kept (monitoring/retention.py), in days; 0: for ever
KEEP_PROMPTS = env.number("LOBBY_KEEP_PROMPTS", 30)  # of runs that ended
KEEP_RUNS = env.number("LOBBY_KEEP_RUNS", 90)  # that belong to nothing any more
KEEP_DELETED = env.number("LOBBY_KEEP_DELETED", 30)  # chats in the bin
KEEP_EXPIRED = env.number("LOBBY_KEEP_EXPIRED", 90)  # API keys and invitations that no longer work
KEEP_ALERTS = env.number("LOBBY_KEEP_ALERTS", 180)  # that were resolved, and what was sent about them

# Model hosts
OLLAMA_HOST = env.text("OLLAMA_HOST", "http://127.0.0.1:11434")
OLLAMA_PARALLEL = env.number("OLLAMA_NUM_PARALLEL", 1, least=1)
DEFAULT_MODEL = env.text("LOBBY_MODEL")
EMBEDDED_MODEL = env.flag("LOBBY_EMBEDDED_MODEL", False)  # set by `lobby up` where it runs its own model server

LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = "lobby.formats"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
# Filled by collectstatic in production only; without it whitenoise finds the files where they lie.
STATIC_ROOT = BASE_DIR / ".static" if PRODUCTION else None
# Browser libraries come from npm; only the folders that pages use are served.
STATICFILES_DIRS = [
    BASE_DIR / "static",
    *(
        (f"npm/{name}", BASE_DIR / "node_modules" / name)
        for name in ("streaming-markdown", "open-props", "uplot")
        if (BASE_DIR / "node_modules" / name).exists()
    ),
]
WHITENOISE_USE_FINDERS = not PRODUCTION  # development and `lobby up` need no collectstatic

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SECURE_SSL_REDIRECT = PRODUCTION
SECURE_REDIRECT_EXEMPT = ["^metrics$"]  # asked by a scraper beside us, not through the proxy that speaks HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = PRODUCTION
if PRODUCTION:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "lines": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processor": structlog.processors.JSONRenderer()
            if PRODUCTION
            else structlog.dev.ConsoleRenderer(colors=False),
            # Formatted here, as the renderers would print what local variables held.
            "foreign_pre_chain": [add_request, structlog.processors.format_exc_info, hide_secrets],
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "lines"}},
    "root": {"handlers": ["console"], "level": env.text("LOG_LEVEL", "INFO").upper()},
    "loggers": {
        # Four doorbells a minute say nothing; what fails is logged as a warning or worse.
        name: {"level": "WARNING"}
        for name in ("httpx", "celery.app.trace", "celery.worker.strategy", "celery.beat")
    },
}
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        structlog.contextvars.merge_contextvars,
        add_request,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.stdlib.add_log_level,
        structlog.processors.format_exc_info,
        hide_secrets,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
