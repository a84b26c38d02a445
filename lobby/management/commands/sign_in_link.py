from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from lobby import audit
from lobby.accounts import links, second_factor


class Command(BaseCommand):
    help = "Print the path of a one-time sign-in link for a user, or for the first admin, who is made if there is none."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", nargs="?", help="his user name")
        parser.add_argument("--reset-second-factor", action="store_true", help="take it away: it is lost")

    def handle(self, *args: Any, user: str | None, reset_second_factor: bool, **options: Any) -> None:
        found = get_user_model().objects.filter(username=user, is_active=True).first() if user else None
        if user and found is None:
            raise CommandError(f"There is no active user named {user}.")
        chosen = found or links.ensure_first_admin()
        if reset_second_factor and second_factor.reset(chosen):
            audit.record("second_factor.reset", subject=chosen)
        self.stdout.write(links.make(chosen))
