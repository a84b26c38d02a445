from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Who may come in, and what each may do and use."""

    name = "lobby.accounts"
    label = "accounts"
