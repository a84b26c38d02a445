from typing import Any

from django import template

from chat.shown import listed

register = template.Library()


@register.inclusion_tag("chat/sidebar.html", takes_context=True)
def sidebar(context: dict[str, Any]) -> dict[str, Any]:
    """The side bar, on pages that are not the chat's."""
    user = context["request"].user
    return listed(user) | {"user": user, "request": context["request"], "perms": context["perms"]}
