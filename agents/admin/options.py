"""Ollama's options in a form: an object in JSON, of what Ollama takes and a database can keep."""

import math
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

EXAMPLE = '{"temperature": 0.7, "num_ctx": 8192}'


class OptionsField(forms.JSONField):
    """An object; empty: none. Each value is a number or true or false, only `stop` is text or a list of texts."""

    def __init__(self, **options: Any) -> None:
        defaults: dict[str, Any] = {
            "required": False,
            "label": "Options",
            "help_text": f"As in a Modelfile, for example {EXAMPLE}. Empty: the model's own.",
            "error_messages": {"invalid": f"Write the options as an object in JSON, for example {EXAMPLE}."},
        }
        super().__init__(**defaults | options)

    def prepare_value(self, value: Any) -> Any:
        return super().prepare_value(value) if value else ""

    def to_python(self, value: Any) -> Any:
        found = super().to_python(value)
        return {} if found is None else found

    def validate(self, value: Any) -> None:
        super().validate(value)
        if not isinstance(value, dict):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        for name, given in value.items():
            if words := _why_not(name, given):
                raise ValidationError(words, code="invalid")


def _why_not(name: str, given: Any) -> str:
    if not name.isidentifier():
        return f"{name!r} is no option of Ollama's."
    if name == "stop":
        texts = given if isinstance(given, list) else [given]
        is_text = all(isinstance(text, str) and text and "\0" not in text for text in texts)
        return "" if is_text else 'stop is a text or a list of texts, for example ["END"].'
    if name == "num_ctx" and not (type(given) is int and given > 0):
        return "num_ctx is a whole number of tokens above 0, for example 8192."
    if not isinstance(given, int | float) or not math.isfinite(given):
        return f"{name} is a number, or true or false."
    return ""
