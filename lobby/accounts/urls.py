from django.urls import path

from lobby.accounts import account_views, security_views, use_views, views

urlpatterns = [
    path("sign-in/", views.SignIn.as_view(), name="sign-in"),
    path("sign-in/", views.SignIn.as_view(), name="account_login"),  # as django-allauth calls it
    path("sign-in/code/", views.code, name="sign-in-code"),
    path("sign-in/second-factor/", views.set_up_first, name="sign-in-set-up"),
    path("sign-in/single/", views.single, name="sign-in-single"),
    path("sign-in/single/back/", views.single_back, name="single-back"),
    path("sign-out/", views.sign_out, name="sign-out"),
    path("sign-up/", views.sign_up, name="sign-up"),
    path("sign-up/<str:token>/", views.sign_up, name="sign-up-invited"),
    path("password/", views.password, name="password"),
    path("password/forgotten/", views.forgotten, name="forgotten"),
    path("password/new/<str:key>/", views.new_password, name="new-password"),
    path("email/sent/", views.look_into_mail, name="look-into-mail"),
    path("email/confirm/<str:key>/", views.confirm_email, name="confirm-email"),
    path("welcome/<str:token>/", views.welcome, name="welcome"),
    path("account/", account_views.account, name="account"),
    path("account/keys/", account_views.my_keys, name="keys"),
    path("account/keys/<uuid:pk>/rotate/", account_views.rotate_key, name="rotate-key"),
    path("account/keys/<uuid:pk>/revoke/", account_views.revoke_key, name="revoke-key"),
    path("account/use/", use_views.use, name="use"),
    path("account/data/", account_views.my_data, name="export"),
    path("account/delete/", account_views.delete, name="delete-account"),
    path("account/confirm/", security_views.confirm, name="confirm"),
    path("account/security/", security_views.security, name="security"),
    path("account/security/second-factor/", security_views.turn_on, name="second-factor"),
    path("account/security/second-factor/off/", security_views.turn_off, name="second-factor-off"),
    path("account/security/recovery-codes/", security_views.renew_codes, name="recovery-codes"),
    path("account/security/connect/", security_views.connect, name="connect"),
    path("account/security/disconnect/", security_views.disconnect, name="disconnect"),
    path("account/sessions/", security_views.open_sessions, name="sessions"),
    path("account/email/", security_views.email, name="email"),
    path("account/invitations/", security_views.invite, name="invitations"),
    path("account/invitations/<uuid:pk>/revoke/", security_views.revoke_invitation, name="revoke-invitation"),
]
