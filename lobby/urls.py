from django.contrib import admin
from django.urls import include, path

from lobby.api import api

urlpatterns = [
    path("", include("chat.urls")),
    path("", include("debates.urls")),
    path("", include("lobby.accounts.urls")),
    path("", include("monitoring.urls")),
    path("api/", api.urls),
    path("admin/", admin.site.urls),
]
