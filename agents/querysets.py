from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import F

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    from agents.models import Agent, Host, Run, Worker  # noqa: F401  (named by the generics below)

    User = AbstractBaseUser | AnonymousUser


class HostQuerySet(models.QuerySet["Host"]):
    def enabled(self) -> HostQuerySet:
        return self.filter(is_enabled=True)

    def having(self, model: str) -> HostQuerySet:
        return self.filter(installed__contains=[{"name": model}])


class AgentQuerySet(models.QuerySet["Agent"]):
    def visible_to(self, user: User) -> AgentQuerySet:
        """Everybody signed in may talk with every active agent."""
        return self.filter(is_active=True) if user.is_authenticated else self.none()


class WorkerQuerySet(models.QuerySet["Worker"]):
    pass


class RunQuerySet(models.QuerySet["Run"]):
    def visible_to(self, user: Any) -> RunQuerySet:
        return self.filter(owner=user) if user.is_authenticated else self.none()

    def with_names(self) -> RunQuerySet:
        """Each with `agent_slug` and `host_name`: cheaper than the rows that they are of."""
        return self.annotate(agent_slug=F("agent__slug"), host_name=F("host__name"))

    def queued(self) -> RunQuerySet:
        return self.filter(status="queued")

    def running(self) -> RunQuerySet:
        return self.filter(status="running")

    def unfinished(self) -> RunQuerySet:
        return self.filter(status__in=["queued", "running"])
