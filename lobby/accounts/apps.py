from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    """Who may come in, and what each may do and use."""

    name = "lobby.accounts"
    label = "accounts"

    def ready(self) -> None:
        from lobby.accounts import allowances, permissions, records
        from lobby.accounts.own_data import PARTS

        PARTS["account"] = records.PART
        permissions.connect()
        allowances.connect()
        post_migrate.connect(permissions.ensure_everybody, sender=self)
