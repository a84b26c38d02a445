from typing import Any

from django.core.management.base import BaseCommand

from lobby.accounts import links


class Command(BaseCommand):
    help = "Print the path of a one-time sign-in link for the first admin, who is made if there is none."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(links.make(links.ensure_first_admin()))
