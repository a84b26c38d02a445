import uuid
from functools import partial

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models.functions import Now

from agents.addresses import why_not
from agents.querysets import AgentQuerySet, HostQuerySet, RunQuerySet, WorkerQuerySet
from lobby.quick_json import JSONDecoder, JSONEncoder

# Unlike Django's own, it takes the short names of a container network.
address = RegexValidator(
    r"^https?://([A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?\Z",
    "An address is http://host:port, without user name and password.",
)
colour = RegexValidator(r"^#[0-9a-fA-F]{6}$", "A colour is written #rrggbb.")


# A chat's whole prompt, or twenty alternatives for each token: the standard library takes milliseconds for them.
large_json = partial(models.JSONField, encoder=JSONEncoder, decoder=JSONDecoder)


class Host(models.Model):
    """An Ollama server: where it is, how much it takes at once, and what the last probe found."""

    class State(models.TextChoices):
        UNKNOWN = "unknown", "not asked yet"
        UP = "up", "up"
        DOWN = "down", "down"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=80, unique=True)
    base_url = models.CharField(
        "address", max_length=200, unique=True, validators=[address], help_text="For example http://127.0.0.1:11434"
    )
    max_parallel = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(256)],
        help_text="Replies at once: what the server's OLLAMA_NUM_PARALLEL is.",
    )
    is_enabled = models.BooleanField("enabled", default=True)
    is_draining = models.BooleanField(
        "draining", default=False, help_text="Finishes what it writes and takes nothing new."
    )
    is_embedded = models.BooleanField(default=False, editable=False, help_text="The demonstration model we start.")

    state = models.CharField(max_length=8, choices=State, default=State.UNKNOWN, editable=False)
    state_reason = models.TextField(blank=True, editable=False)
    version = models.CharField(max_length=40, blank=True, editable=False)
    latency_ms = models.FloatField(null=True, editable=False)
    probed_at = models.DateTimeField(null=True, editable=False)
    # [{"name": …, "context_length": …, "capabilities": […], …}] as /api/tags told
    installed = models.JSONField(default=list, editable=False)
    # {"<model>": <context length it is loaded with>} as /api/ps told
    loaded = models.JSONField(default=dict, editable=False)

    objects = HostQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if reason := why_not(self.base_url):
            raise ValidationError({"base_url": [reason]})

    @property
    def model_names(self) -> list[str]:
        return [model["name"] for model in self.installed]


class Agent(models.Model):
    """A role and a model: somebody to talk with."""

    class Role(models.TextChoices):
        ASSISTANT = "assistant", "Assistant"
        ANALYST = "analyst", "Analyst"
        RESEARCHER = "researcher", "Researcher"
        SPECIALIST = "specialist", "Domain Specialist"
        QUANTIFIER = "quantifier", "Quantifier"
        SKEPTIC = "skeptic", "Skeptic"
        PRAGMATIST = "pragmatist", "Pragmatist"
        DEVILS_ADVOCATE = "devils-advocate", "Devil's Advocate"
        FACT_CHECKER = "fact-checker", "Fact-Checker"
        MODERATOR = "moderator", "Moderator"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=80)
    role = models.CharField(max_length=20, choices=Role, default=Role.ASSISTANT)
    description = models.CharField(max_length=200, blank=True)
    system_prompt = models.TextField(blank=True, max_length=8000)
    model = models.CharField(max_length=120, blank=True, help_text="Empty: the first model that a host has.")
    host = models.ForeignKey(
        Host, null=True, blank=True, on_delete=models.SET_NULL, help_text="Empty: any host that has the model."
    )
    options = models.JSONField(default=dict, blank=True, help_text="Ollama's options, e.g. temperature, num_ctx.")
    think = models.BooleanField(null=True, blank=True, help_text="Thinking: unknown leaves it to the model.")
    capabilities = models.JSONField(default=list, blank=True)
    votes = models.BooleanField(default=True, help_text="Has a ballot in debates.")
    colour = models.CharField(max_length=7, default="#4c6ef5", validators=[colour])
    initials = models.CharField(max_length=2, default="A")
    is_active = models.BooleanField("active", default=True)
    position = models.PositiveSmallIntegerField(default=100)

    objects = AgentQuerySet.as_manager()

    class Meta:
        ordering = ["position", "name"]

    def __str__(self) -> str:
        return self.name


class Worker(models.Model):
    """A runner that is alive: its row is its lease. Who declares it dead deletes the row (agents/leases.py)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    machine = models.CharField(max_length=200)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now(), db_index=True)

    objects = WorkerQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.machine}:{self.pid}"


class Pull(models.Model):
    """A model that a host is to download, asked for by an admin. Carried out by a runner (agents/pulls.py)."""

    class Status(models.TextChoices):
        WAITING = "waiting", "waiting"
        PULLING = "pulling", "under way"
        DONE = "done", "done"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "stopped"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="pulls")
    model = models.CharField(max_length=120)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    status = models.CharField(max_length=9, choices=Status, default=Status.WAITING)
    worker = models.UUIDField(null=True)
    step = models.CharField(max_length=200, blank=True)  # in the host's words
    completed = models.PositiveBigIntegerField(default=0)  # bytes, of the parts named so far
    total = models.PositiveBigIntegerField(default=0)
    error = models.TextField(blank=True)
    request_id = models.CharField(max_length=36, blank=True)  # of the request that asked for it: one id in all logs
    cancel_requested_at = models.DateTimeField(null=True)
    asked_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-asked_at"]
        indexes = [models.Index(fields=["-asked_at"], name="pull_by_age")]
        constraints = [
            models.UniqueConstraint(
                fields=["host", "model"],
                condition=models.Q(status__in=["waiting", "pulling"]),
                name="one_pull_of_a_model_at_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.model} on {self.host}"

    @property
    def is_over(self) -> bool:
        return self.status not in (Pull.Status.WAITING, Pull.Status.PULLING)


class Run(models.Model):
    """One generation by one agent, whoever asked for it. The prompt is frozen, so any worker can repeat it."""

    class Status(models.TextChoices):
        QUEUED = "queued", "in line"
        RUNNING = "running", "running"
        DONE = "done", "done"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "stopped"
        INTERRUPTED = "interrupted", "broken off"  # failed after text had come: the text stays

    class Priority(models.IntegerChoices):
        CHAT = 0, "chat"
        DEBATE = 10, "debate"
        BACKGROUND = 20, "background"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    purpose = models.CharField(max_length=40)
    subject = models.UUIDField(db_index=True)
    topic = models.CharField(max_length=80, help_text="Live stream it speaks on; empty: none.", blank=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="runs")
    agent = models.ForeignKey(Agent, null=True, on_delete=models.SET_NULL, related_name="runs")
    model = models.CharField(max_length=120)
    messages = large_json()
    format = large_json(null=True)
    options = models.JSONField(default=dict)
    think = models.BooleanField(null=True)
    top_logprobs = models.PositiveSmallIntegerField(default=0)
    priority = models.PositiveSmallIntegerField(choices=Priority, default=Priority.CHAT)

    wanted_host = models.ForeignKey(Host, null=True, on_delete=models.SET_NULL, related_name="+")
    host = models.ForeignKey(Host, null=True, on_delete=models.SET_NULL, related_name="runs")
    avoided_hosts = models.JSONField(default=list)  # ids of hosts that failed it

    status = models.CharField(max_length=12, choices=Status, default=Status.QUEUED)
    attempt = models.PositiveSmallIntegerField(default=0)
    worker = models.UUIDField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)

    text = models.TextField(blank=True)
    thinking = models.TextField(blank=True)
    cursor = models.CharField(max_length=40, blank=True)  # stream id of the last delta that text and thinking hold
    logprobs = large_json(null=True)
    error_kind = models.CharField(max_length=40, blank=True)
    error = models.TextField(blank=True)
    error_detail = models.JSONField(default=dict)  # numbers of the error, e.g. n_prompt_tokens and n_ctx

    request_id = models.CharField(max_length=36, blank=True)  # of the request that asked for it: one id in all logs
    request_span = models.CharField(max_length=16, blank=True)  # where it is traced: what the run hangs under

    queued_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    first_token_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    done_reason = models.CharField(max_length=12, blank=True)
    prompt_tokens = models.PositiveIntegerField(null=True)
    output_tokens = models.PositiveIntegerField(null=True)
    tokens_per_second = models.FloatField(null=True)
    load_seconds = models.FloatField(null=True)
    context_length = models.PositiveIntegerField(null=True)  # of the loaded model, in tokens

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ["-queued_at"]
        indexes = [
            models.Index(fields=["priority", "queued_at"], condition=models.Q(status="queued"), name="run_queue"),
            models.Index(fields=["host", "owner"], condition=models.Q(status="running"), name="run_running"),
            models.Index(fields=["owner", "-queued_at"], name="run_of_owner"),
            # How fast a model has been lately is asked before every debate
            models.Index(fields=["model", "-finished_at"], condition=models.Q(status="done"), name="run_speed"),
            # The admin's list and the dashboard's windows, among a million
            models.Index(fields=["-queued_at"], name="run_by_age"),
            models.Index(fields=["-finished_at"], name="run_by_end"),
            # The few that went wrong among them
            models.Index(
                fields=["status", "-queued_at"],
                condition=models.Q(status__in=["failed", "interrupted", "cancelled"]),
                name="run_unwell",
            ),
            models.Index(fields=["error_kind", "-queued_at"], condition=~models.Q(error_kind=""), name="run_by_error"),
            # Whose prompt goes with age (monitoring/retention.py); a failed one's stays, to be tried again
            models.Index(
                fields=["finished_at"],
                condition=models.Q(finished_at__isnull=False) & ~models.Q(status="failed") & ~models.Q(messages=[]),
                name="run_with_prompt",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} {self.id}"

    @property
    def is_over(self) -> bool:
        return self.status not in (Run.Status.QUEUED, Run.Status.RUNNING)

    @property
    def first_token_ms(self) -> int | None:
        """Milliseconds from the question to the first token, waiting in line included."""
        if self.first_token_at is None:
            return None
        return round((self.first_token_at - self.queued_at).total_seconds() * 1000)
