"""Users and groups: what each may do, how much each may use."""

from datetime import timedelta
from typing import Any

from django import forms
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import UsernameField
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import ValidationError
from django.db.models import Case, Count, IntegerField, Q, QuerySet, Value, When
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.forms import AdminPasswordChangeForm, PaginationInlineFormSet, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from agents.models import Run
from lobby import audit
from lobby.accounts import mails, removal, second_factor, sessions
from lobby.accounts.admin import LimitValue, without_more
from lobby.accounts.models import Limit
from lobby.accounts.permissions import EVERYBODY
from lobby.accounts.standing import standings
from lobby.site import RecordedAdmin

admin.site.unregister([User, Group])
# What django-allauth would show of sign-ins, the secrets of second factors included, is nobody's to look at.
OF_SIGN_IN = [model for name in ("account", "mfa", "socialaccount") for model in apps.get_app_config(name).get_models()]
admin.site.unregister([model for model in OF_SIGN_IN if admin.site.is_registered(model)])

# What means something here, in the order in which it is shown. All but the first four need staff status.
RIGHTS = {
    "accounts.chat": "Chat with agents",
    "accounts.debate": "Start debates",
    "accounts.manage_agents": "Manage agents and model hosts (with staff status)",
    "monitoring.see_metrics": "See the dashboard and the metrics",
    "agents.view_run": "Admin: see runs, and read prompts and answers (each reading is recorded)",
    "agents.change_run": "Admin: stop and repeat runs",
    "agents.view_pull": "Admin: see which models were pulled",
    "agents.view_worker": "Admin: see workers",
    "chat.view_conversation": "Admin: read the chats of others (each reading is recorded)",
    "debates.view_debate": "Admin: read the debates of others (each reading is recorded)",
    "debates.view_calibration": "Admin: see what the confidence of models is worth",
    "accounts.view_limit": "Admin: see limits",
    "accounts.add_limit": "Admin: add limits",
    "accounts.change_limit": "Admin: change limits",
    "accounts.delete_limit": "Admin: delete limits",
    "accounts.view_apikey": "Admin: see who has API keys",
    "accounts.change_apikey": "Admin: revoke API keys",
    "accounts.view_invitation": "Admin: see invitations",
    "accounts.add_invitation": "Admin: invite people",
    "accounts.delete_invitation": "Admin: take invitations back",
    "monitoring.view_alert": "Admin: see alerts",
    "monitoring.change_alert": "Admin: acknowledge alerts",
    "monitoring.view_alertrule": "Admin: see alert rules",
    "monitoring.add_alertrule": "Admin: add alert rules",
    "monitoring.change_alertrule": "Admin: change alert rules",
    "monitoring.delete_alertrule": "Admin: delete alert rules",
    "monitoring.view_receiver": "Admin: see who is told of alerts",
    "monitoring.add_receiver": "Admin: add receivers of alerts",
    "monitoring.change_receiver": "Admin: change and test receivers of alerts",
    "monitoring.delete_receiver": "Admin: delete receivers of alerts",
    "monitoring.view_auditevent": "Admin: read the audit log",
}


USER_WORDS = {
    "username": "At most 150 characters: letters, digits and @/./+/-/_.",
    "is_active": "May sign in. Switch this off rather than delete somebody.",
    "is_staff": "May open the admin, and see there what is ticked below.",
    "is_superuser": "May do everything, users included.",
    "groups": "What a group may do, its members may.",
}


def rights() -> QuerySet[Permission]:
    known = [Q(content_type__app_label=app, codename=name) for app, name in (right.split(".") for right in RIGHTS)]
    order = Case(*(When(each, then=Value(place)) for place, each in enumerate(known)), output_field=IntegerField())
    rows = Permission.objects.select_related("content_type").alias(place=order)
    return rows.filter(place__isnull=False).order_by("place")


class RightsField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """What somebody may do, as plain checkboxes."""

    def __init__(self, **options: Any) -> None:
        widget = UnfoldAdminCheckboxSelectMultipleWidget()
        super().__init__(queryset=rights(), required=False, widget=widget, **options)

    def label_from_instance(self, obj: Any) -> str:
        return RIGHTS[f"{obj.content_type.app_label}.{obj.codename}"]


class ForSuperusers(RecordedAdmin):
    """Who may change users can make himself anything, so the permission to change users is not handed out at all."""

    rights_field = ""
    filter_horizontal = ()

    def has_module_permission(self, request: HttpRequest) -> bool:
        return _is_superuser(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_superuser(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_superuser(request)

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name == self.rights_field:
            return RightsField(label="May", help_text="What a superuser, or a member of a group, may do comes on top.")
        if db_field.name == "groups":
            options["widget"] = UnfoldAdminCheckboxSelectMultipleWidget()
        return super().formfield_for_manytomany(db_field, request, **options)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Permissions that are not shown stay as they were."""
        field = getattr(form.instance, self.rights_field)
        others = list(field.exclude(pk__in=rights().values("pk")))
        super().save_related(request, form, formsets, change)
        field.add(*others)


class OneOfEach(PaginationInlineFormSet):  # type: ignore[misc]
    """Limits of one user or group: of each kind one."""

    def clean(self) -> None:
        super().clean()
        kept = [form.cleaned_data for form in self.forms if form not in self.deleted_forms]
        kinds = [data["kind"] for data in kept if data.get("kind")]
        if twice := {kind for kind in kinds if kinds.count(kind) > 1}:
            named = ", ".join(sorted(Limit.Kind(kind).label for kind in twice))
            raise ValidationError(f"There can be only one limit of a kind. Given twice: {named}.")

    def save_new(self, form: Any, commit: bool = True) -> Any:
        form.instance.scope = Limit.Scope.USER if self.fk.name == "user" else Limit.Scope.GROUP
        return super().save_new(form, commit=commit)


class LimitInline(LimitValue, TabularInline):  # type: ignore[misc]
    model = Limit
    formset = OneOfEach
    fields = ["kind", "value"]
    extra = 0


class UserLimits(LimitInline):
    fk_name = "user"
    verbose_name_plural = "limits of this user: they stand before those of groups and of everybody"


class GroupLimits(LimitInline):
    fk_name = "group"
    verbose_name_plural = "limits of each member: of several groups the most generous holds"


class NewUserForm(UserCreationForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        way = self.fields["usable_password"]
        way.label, way.help_text = "Signs in", "Without a password single sign-on is the only way in."
        way.choices = way.widget.choices = [("true", "with the password below"), ("false", "without a password")]


class UserForm(forms.ModelForm):  # type: ignore[type-arg]
    """Without the password, which has a page of its own."""

    class Meta:
        model = User
        fields = "__all__"  # noqa: DJ007  (of those that the admin names)
        field_classes = {"username": UsernameField}


@admin.register(User)
class UserAdmin(ForSuperusers, DjangoUserAdmin):  # type: ignore[misc,type-arg]
    form = UserForm
    add_form = NewUserForm
    change_password_form = AdminPasswordChangeForm
    rights_field = "user_permissions"
    list_display = ["username", "email", "is_active", "is_staff", "is_superuser", "date_joined", "last_login"]
    list_filter = ["is_active", "is_staff", "is_superuser", "groups"]
    sortable_by = ["username"]
    readonly_fields = ["password_set", "use", "last_login", "date_joined"]
    inlines = [UserLimits]
    actions = ["sign_out", "reset_second_factor"]
    # Named here: those of Django are hidden by unfold's, which are none.
    add_fieldsets = [(None, {"fields": [("username", "email"), "usable_password", ("password1", "password2")]})]
    fieldsets = [
        (None, {"fields": [("username", "password_set"), ("first_name", "last_name", "email")]}),
        (
            "What this user may do",
            {"fields": [("is_active", "is_staff", "is_superuser"), "groups", "user_permissions"]},
        ),
        ("Use", {"fields": ["use", ("date_joined", "last_login")]}),
    ]

    def get_inlines(self, request: HttpRequest, obj: Any) -> list[Any]:
        return self.inlines if obj else []

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if words := USER_WORDS.get(db_field.name):
            options["help_text"] = words
        return without_more(super().formfield_for_dbfield(db_field, request, **options))

    @admin.display(description="password")
    def password_set(self, user: User) -> SafeString:
        words, act = ("Set.", "Change it") if user.has_usable_password() else ("None.", "Set one")
        return format_html('{} <a class="link" href="../password/">{}</a>', words, act)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """All that is kept about them goes with them; one admin has to stay."""
        users = list(objs)
        kept = [] if removal.leaves_an_admin(users) else [str(removal.LastAdmin())]
        return [f"{user} and all that is theirs" for user in users], {"users": len(users)}, set(), kept

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        removal.remove(obj, by=request.user, request=request)

    @admin.action(description="Sign out everywhere: end all sessions", permissions=["change"])
    def sign_out(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset:
            ended = sessions.end_everywhere(user)
            audit.record("session.all_ended", request=request, subject=user, count=ended)
            self.message_user(request, f"{user}: signed out in {ended} browser{'' if ended == 1 else 's'}.")

    @admin.action(description="Take the second factor away: it is lost", permissions=["change"])
    def reset_second_factor(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset:
            words = "had none"
            if second_factor.reset(user):
                audit.record("second_factor.reset", request=request, subject=user)
                mails.tell(user, "Its second factor was taken away by an admin.")
                words = "taken away; the password alone signs in now"
            self.message_user(request, f"Second factor of {user}: {words}.")

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset:
            removal.remove(user, by=request.user, request=request)

    @admin.display(description="has used")
    def use(self, user: User) -> SafeString:
        """How much there is of this user, and how far the limits are used."""
        recent = Run.objects.filter(owner=user, queued_at__gt=Now() - timedelta(days=30)).order_by()
        of_a_day = Count("pk", filter=Q(queued_at__gt=Now() - timedelta(days=1)))
        runs = recent.aggregate(month=Count("pk"), day=of_a_day)
        counts = [
            ("chats", user.conversations.count()),
            ("debates", user.debates.count()),
            ("runs in 24 hours", runs["day"]),
            ("runs in 30 days", runs["month"]),
        ]
        limited = [each for each in standings(user.pk) if each.share]
        lines = [
            *(f"{name}: {number:,}" for name, number in counts),
            *(
                f"{each.label.replace('your ', '')}: {each.used_words} of {each.limit_words} ({each.percent} %)"
                for each in limited
            ),
        ]
        return format_html_join("", "{}<br>", ((line,) for line in lines))


@admin.register(Group)
class GroupAdmin(ForSuperusers, DjangoGroupAdmin):  # type: ignore[misc]
    rights_field = "permissions"
    list_display = ["name", "members", "may"]
    inlines = [GroupLimits]
    fieldsets = [
        (
            None,
            {
                "fields": ["name", "permissions"],
                "description": "What the group “Everybody” is given holds for every active user, member or not.",
            },
        )
    ]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """It is the place where everybody's permissions are taken away; without it they would be as at first."""
        return super().has_delete_permission(request, obj) and getattr(obj, "name", "") != EVERYBODY

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["name"] if obj and obj.name == EVERYBODY else []

    def complete(self, rows: list[Any]) -> None:
        counted = User.groups.through.objects.filter(group__in=rows).order_by().values_list("group")
        members = dict(counted.annotate(count=Count("*")))
        given = rights().filter(group__in=rows).values_list("group", "content_type__app_label", "codename")
        for group in rows:
            group.number = members.get(group.pk, 0)
            group.given = [RIGHTS[f"{app}.{name}"] for key, app, name in given if key == group.pk]

    @admin.display(description="members")
    def members(self, group: Any) -> int | str:
        return "all users" if group.name == EVERYBODY else int(group.number)

    @admin.display(description="may")
    def may(self, group: Any) -> str:
        return "; ".join(group.given) or "–"


def _is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_superuser)
