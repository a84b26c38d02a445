"""What the clock rings for."""

from monitoring import beats  # noqa: F401  (the beat's process marks its signs of life)
