"""Pictures of every page of the admin, light and dark, wide and on a phone, into the ignored folder pictures/admin.

Forms are taken once more when they were refused, lists with a row chosen and with their filters open. Starts
PostgreSQL, Valkey, a scripted Ollama and a web process on throw-away data with some rows of every kind. Names of
pictures as arguments take these alone.
"""

import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from playwright.sync_api import Browser, Page, sync_playwright  # noqa: E402

from lobby.bench.stack import Stack, running  # noqa: E402
from tests.chromium import find  # noqa: E402

FOLDER = PROJECT / "pictures" / "admin"
SIZES: dict[str, Any] = {
    "wide": {"viewport": {"width": 1280, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
}
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--no-first-run"]
SETTLED = 400  # milliseconds for what Alpine and the sockets still draw
TALLEST = 3000  # pixels of a picture
REFUSED = {  # page → what is filled in before it is saved, besides what stands there
    "agent-add": {"options": "temperature 1"},
    "host-add": {"base_url": "ftp://x", "max_parallel": "0"},
    "user-add": {"password1": "abc", "password2": "abd"},
    "group-add": {},
    "invitation-add": {"email": "nobody", "days": "0"},
    "limit-add": {"value": "-1"},
    "receiver-add": {"address": "nonsense"},
    "alertrule-add": {},
    "user-password": {"password1": "abc", "password2": "abd"},
}
CHOSEN = ("run", "host", "agent")
FILTERED = ("run", "debate", "user")


def pages(stack: Stack) -> dict[str, str]:
    """Name of the picture → address, on rows that are made here. The rows of the matrix that tests walk serve well."""
    from django.contrib import admin  # noqa: PLC0415 - not before the settings can be read
    from django.http import HttpRequest  # noqa: PLC0415

    from tests.factories import make_admin  # noqa: PLC0415
    from tests.lobby.test_site import MAKERS, list_of  # noqa: PLC0415

    make_host_that_answers(stack)
    by_admin = HttpRequest()
    by_admin.user = make_admin()
    found = {"index": "/admin/"}
    for model, make in MAKERS.items():
        rows = [make() for _ in range(3)]
        name = str(model._meta.model_name)
        found |= {name: list_of(model), f"{name}-one": f"{list_of(model)}{rows[0].pk}/change/"}
        if admin.site._registry[model].has_add_permission(by_admin):
            found[f"{name}-add"] = f"{list_of(model)}add/"
    return found | more_pages()


def chosen(found: dict[str, str], names: list[str]) -> dict[str, str]:
    return {name: path for name, path in found.items() if not names or name in names}


def make_host_that_answers(stack: Stack) -> None:
    from agents import hosts  # noqa: PLC0415
    from agents.models import Host  # noqa: PLC0415

    hosts.probe_now([Host.objects.create(name="A real host", base_url=stack.url("fake"), is_draining=False)])


def more_pages() -> dict[str, str]:
    from agents.models import Host, Pull, Run  # noqa: PLC0415
    from tests.factories import make_run  # noqa: PLC0415

    host = Host.objects.get(name="A real host")
    Pull.objects.create(host=host, model="llama3.2:3b", status="pulling", completed=1_200_000_000, total=2_000_000_000,
                        step="pulling 941f309b54ca", worker=host.pk)  # fmt: skip
    Pull.objects.create(host=host, model="llama9", status="failed", error="pull model manifest: file does not exist")
    run: Run = make_run(status="done", text="A promise with an end.", host=host)
    return {
        "host-with-models": f"/admin/agents/host/{host.pk}/change/",
        "run-prompt": f"/admin/agents/run/{run.pk}/prompt/",
        "user-password": f"/admin/auth/user/{run.owner_id}/password/",
        "receiver-none": "/admin/monitoring/receiver/?q=nobody",
        "dashboard": "/dashboard/",
        "condition": "/health/deep",
        "audit": "/audit/",
    }


def take(stack: Stack) -> int:
    from django.contrib.auth.models import User  # noqa: PLC0415

    from lobby.bench.rows import sign_in  # noqa: PLC0415

    shown, session = chosen(pages(stack), sys.argv[1:]), sign_in(User.objects.get(username="carol"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=ARGUMENTS)
        for size, options in SIZES.items():
            for theme in ("light", "dark"):
                take_all(browser, stack, session, shown, name=f"{theme}-{size}", color_scheme=theme, **options)
        browser.close()
    return len(list(FOLDER.glob("*.png")))


def take_all(browser: Browser, stack: Stack, session: str, shown: dict[str, str], *, name: str, **options: Any) -> None:
    context = browser.new_context(base_url=stack.addresses[0], **options)
    context.add_cookies([{"name": "sessionid", "value": session, "url": stack.addresses[0]}])
    page = context.new_page()
    for noun, path in shown.items():
        open_page(page, path)
        picture(page, f"{noun}-{name}", size=options["viewport"])
        if noun in REFUSED:
            send(page, REFUSED[noun])
            picture(page, f"{noun}-refused-{name}", size=options["viewport"])
        if noun in CHOSEN:
            page.locator(".action-select").first.check()
            picture(page, f"{noun}-chosen-{name}", size=options["viewport"])
        if noun in FILTERED:
            open_page(page, path)
            page.locator("#changelist a", has_text="Filters").click()
            page.wait_for_timeout(SETTLED)
            picture(page, f"{noun}-filters-{name}", size=options["viewport"])
    context.close()


def picture(page: Page, name: str, *, size: dict[str, int]) -> None:
    """In a window as high as the page: what sticks to its bottom would cover the middle of the picture."""
    height = int(page.evaluate("document.documentElement.scrollHeight"))
    page.set_viewport_size({"width": size["width"], "height": max(size["height"], min(height, TALLEST))})
    page.screenshot(path=FOLDER / f"{name}.png")
    page.set_viewport_size({"width": size["width"], "height": size["height"]})


def send(page: Page, fields: dict[str, str]) -> None:
    for name, value in fields.items():
        page.evaluate("([name, value]) => (document.getElementsByName(name)[0].value = value)", [name, value])
    page.evaluate("document.querySelectorAll('form').forEach((form) => (form.noValidate = true))")
    page.locator("main [type=submit]").last.click()
    page.wait_for_load_state()
    page.wait_for_timeout(SETTLED)


def open_page(page: Page, path: str) -> None:
    answer = page.goto(path)
    if answer is None or not answer.ok:
        print(f"{path} answered {answer.status if answer else 'nothing'}", file=sys.stderr)
    page.wait_for_timeout(SETTLED)
    width = page.evaluate("document.documentElement.scrollWidth - screen.width")
    if width > 0:
        print(f"{path} is {width} px too wide", file=sys.stderr)


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    with running(web=1, workers=0, doing=lambda words: print(words, file=sys.stderr)) as stack:
        number = take(stack)
    print(f"There are {number} pictures in {FOLDER.relative_to(PROJECT)}.")
