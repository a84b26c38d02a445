from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from agents.seed import seed
from lobby.accounts import links


class Command(BaseCommand):
    help = (
        "Migrate, make what a new Agent Lobby lacks, and print the path of a one-time sign-in link for its first admin."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", verbosity=0, interactive=False)
        seed()
        self.stdout.write(links.make(links.ensure_first_admin()))
