from time import monotonic, sleep
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from agents import hosts
from agents.models import Host
from agents.seed import seed
from lobby.accounts import links
from monitoring import alerts, notices

LOADING = 30  # seconds that our own model gets


class Command(BaseCommand):
    help = (
        "Migrate, make what a new Agent Lobby lacks, and print the path of a one-time sign-in link for its first admin."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", verbosity=0, interactive=False)
        seed()
        alerts.seed()
        notices.renew_secrets()
        if settings.EMBEDDED_MODEL:
            wait_for_embedded_model()
        self.stdout.write(links.make(links.ensure_first_admin()))


def wait_for_embedded_model() -> None:
    """It loads while we work; a worker that asked it too early would have it down until the next probe."""
    embedded = Host.objects.filter(is_embedded=True)
    deadline = monotonic() + LOADING
    hosts.probe_now(embedded)
    while not embedded.filter(state=Host.State.UP).exists() and monotonic() < deadline:
        sleep(0.2)
        hosts.probe_now(embedded)
