from typing import Any

from django import forms
from django.http import HttpRequest

from lobby.accounts import keys

LASTING = [("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("", "for ever")]


class KeyForm(forms.Form):
    name = forms.CharField(label="What it is for", max_length=80, help_text="For example the program that uses it.")
    scopes = forms.MultipleChoiceField(
        label="What it may do",
        choices=[(scope, f"{scope}: {words}") for scope, words in keys.SCOPES.items()],
        widget=forms.CheckboxSelectMultiple,
        initial=["read"],
    )
    days = forms.TypedChoiceField(
        label="How long it works", choices=LASTING, initial="365", required=False, coerce=int, empty_value=None
    )

    def __init__(self, data: Any = None) -> None:
        super().__init__(data, label_suffix="")

    def make(self, user: Any, *, request: HttpRequest) -> str | None:
        """The key; None: the form says what is wrong."""
        if not self.is_valid():
            return None
        try:
            return keys.make(user, **self.cleaned_data, request=request)[1]
        except keys.BadKeyRequest as error:
            self.add_error(None, str(error))
            return None
