from tempfile import TemporaryFile

from django.contrib.auth.models import User
from django.http import FileResponse, HttpRequest
from django.utils import timezone

from lobby.accounts import own_data


def send(request: HttpRequest, user: User) -> FileResponse:
    """All that is kept about the user, made in a file that is gone when it was sent.

    Raises TooManyExports, OSError.
    """
    file = TemporaryFile()  # noqa: SIM115  (the response closes it)
    own_data.export(user, file, request=request)
    file.seek(0)
    name = f"agent-lobby-{user.get_username()}-{timezone.now():%Y-%m-%d}.zip"
    return FileResponse(file, as_attachment=True, filename=name, content_type="application/zip")
