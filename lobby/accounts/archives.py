from contextlib import ExitStack
from tempfile import TemporaryFile

from django.contrib.auth.models import User
from django.http import FileResponse, HttpRequest
from django.utils import timezone

from lobby.accounts import own_data


def send(request: HttpRequest, user: User) -> FileResponse:
    """All that is kept about the user, made in a file that is gone when it was sent.

    Raises TooManyExports, OSError.
    """
    with ExitStack() as opened:
        file = opened.enter_context(TemporaryFile())
        own_data.export(user, file, request=request)
        opened.pop_all()  # from here on it is closed with the response
    file.seek(0)
    name = f"agent-lobby-{user.get_username()}-{timezone.now():%Y-%m-%d}.zip"
    return FileResponse(file, as_attachment=True, filename=name, content_type="application/zip")
