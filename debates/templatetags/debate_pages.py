from typing import Any

from django import template

from debates.shown import recent

register = template.Library()


@register.inclusion_tag("debates/recent.html", takes_context=True)
def recent_debates(context: dict[str, Any]) -> dict[str, Any]:
    """For the lobby."""
    return {"debates": recent(context["request"].user), "perms": context["perms"]}
