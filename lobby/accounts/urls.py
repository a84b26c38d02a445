from django.urls import path

from lobby.accounts import views

urlpatterns = [
    path("sign-in/", views.SignIn.as_view(), name="sign-in"),
    path("sign-out/", views.sign_out, name="sign-out"),
    path("sign-up/", views.sign_up, name="sign-up"),
    path("password/", views.password, name="password"),
    path("welcome/<str:token>/", views.welcome, name="welcome"),
]
