"""`lobby backup` and `lobby restore`: one file that holds an installation as it was at one moment, verified both ways.

It is a zip: `manifest.json` (what it holds, with sizes and hashes), `database.dump` (pg_dump's custom format) and,
where asked for, `secret_key`. What Valkey holds may be lost (docs/operating.md).
"""


class NotDone(Exception):
    """It was refused or went wrong, and nothing was changed or left behind; the text is for the user."""
