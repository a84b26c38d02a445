"""How the admin looks and what its side bar leads to: the lobby's own pine and paper (static/css/tokens.css)."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy

PINE = {
    "50": "oklch(97.5% 0.012 168)",
    "100": "oklch(95% 0.022 168)",
    "200": "oklch(90% 0.045 168)",
    "300": "oklch(86% 0.075 166)",
    "400": "oklch(80% 0.085 168)",
    "500": "oklch(72% 0.085 169)",
    "600": "oklch(42% 0.068 172)",
    "700": "oklch(35.5% 0.06 174)",
    "800": "oklch(31% 0.045 173)",
    "900": "oklch(27.5% 0.032 172)",
    "950": "oklch(20% 0.03 175)",
}
PAPER = {
    "50": "oklch(98.4% 0.004 112)",
    "100": "oklch(96.4% 0.006 116)",
    "200": "oklch(91.6% 0.011 125)",
    "300": "oklch(83.5% 0.013 140)",
    "400": "oklch(72% 0.014 150)",
    "500": "oklch(48% 0.017 180)",
    "600": "oklch(42% 0.018 185)",
    "700": "oklch(37% 0.018 175)",
    "800": "oklch(28.5% 0.016 175)",
    "900": "oklch(19.5% 0.012 175)",
    "950": "oklch(16.6% 0.012 175)",
}

Item = dict[str, Any]


def may_view(permission: str) -> Callable[[HttpRequest], bool]:
    return lambda request: request.user.has_perm(permission)


def is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_superuser)


def rows(title: str, icon: str, model: str, *, permission: Callable[[HttpRequest], bool] | None = None) -> Item:
    """A link to the list of `app.model`, for whoever may see its rows."""
    app, _, name = model.partition(".")
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{name}_changelist"),
        "permission": permission or may_view(f"{app}.view_{name}"),
    }


NAVIGATION = [
    {
        "items": [
            {"title": "Overview", "icon": "home", "link": reverse_lazy("admin:index")},
            {"title": "Back to the lobby", "icon": "arrow_back", "link": "/", "active": lambda _: False},
        ]
    },
    {
        "title": "People",
        "items": [
            rows("Users", "person", "auth.user", permission=is_superuser),
            rows("Groups", "group", "auth.group", permission=is_superuser),
            rows("Invitations", "mail", "accounts.invitation"),
            rows("Limits", "speed", "accounts.limit"),
        ],
    },
    {
        "title": "Agents and hosts",
        "items": [
            rows("Agents", "smart_toy", "agents.agent"),
            rows("Hosts", "dns", "agents.host"),
            rows("Pulls", "download", "agents.pull"),
            rows("Runs", "bolt", "agents.run"),
            rows("Workers", "memory", "agents.worker"),
            rows("Calibrations", "tune", "debates.calibration"),
        ],
    },
    {
        "title": "Conversations",
        "items": [
            rows("Chats", "chat", "chat.conversation"),
            rows("Debates", "forum", "debates.debate"),
        ],
    },
    {
        "title": "Monitoring",
        "items": [
            {
                "title": "Dashboard",
                "icon": "monitoring",
                "link": "/dashboard/",
                "permission": may_view("monitoring.see_metrics"),
            },
            rows("Alerts", "notifications", "monitoring.alert"),
            rows("Alert rules", "rule", "monitoring.alertrule"),
            rows("Receivers", "outgoing_mail", "monitoring.receiver"),
        ],
    },
    {
        "title": "Security",
        "items": [
            rows("API keys", "key", "accounts.apikey"),
            rows("Audit log", "history", "monitoring.auditevent"),
        ],
    },
]


def with_alerts(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the overview shows; without alerts for who may not see them."""
    from monitoring.alerts import open_alerts as still_open  # noqa: PLC0415  (the settings are read before models can be)

    may_see = request.user.has_perm("monitoring.view_alert")
    return context | {"open_alerts": list(still_open()) if may_see else None}


UNFOLD = {
    "SITE_TITLE": "Agent Lobby",
    "SITE_HEADER": "Agent Lobby",
    "SITE_SUBHEADER": "Admin",
    "SITE_SYMBOL": "concierge",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda _: static("favicon.svg")}],
    "SHOW_BACK_BUTTON": True,
    "STYLES": [lambda _: static("css/admin.css")],
    "SCRIPTS": [lambda _: static("js/admin-names.js")],
    "COLORS": {"base": PAPER, "primary": PINE},
    "DASHBOARD_CALLBACK": "lobby.appearance.with_alerts",
    "SIDEBAR": {"show_search": True, "show_all_applications": False, "navigation": NAVIGATION},
}
