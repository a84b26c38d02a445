"""Agents, their hosts and their runs, for those who keep the lobby."""

from agents.admin.agents import AgentAdmin
from agents.admin.hosts import HostAdmin, PullAdmin
from agents.admin.runs import RunAdmin, WorkerAdmin

__all__ = ["AgentAdmin", "HostAdmin", "PullAdmin", "RunAdmin", "WorkerAdmin"]
