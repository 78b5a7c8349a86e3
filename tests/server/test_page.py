"""The page in a real browser, over a server with a small real model: every view, what a click changes, who can read it."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Dialog, Page, expect, sync_playwright

from penchant import artifact, workflow
from penchant.data import dataset
from penchant.interests.people import topics_of
from penchant.live import deployment
from penchant.live.events import Event
from penchant.live.records import Item
from penchant.models import create
from penchant.sequences import histories
from penchant.server.app import create_app, now
from penchant.server.run import make_server

HOSTILE = "<img src=x onerror=alert(1)>"
VIEWS = {
    "overview": ("#/overview", ".tile .value, .feed li time"),
    "people": ("#/people/1", ".list .add"),
    "items": ("#/items/50", ".list a"),
    "models": ("#/models", ".facts dd"),
    "privacy": ("#/privacy", "table, .empty"),
}
SPOKEN = {"overview": "概览", "people": "用户", "items": "物品", "models": "模型", "privacy": "隐私"}
PEOPLE = 60
pytestmark = pytest.mark.data
expect.set_options(timeout=20_000)  # milliseconds: a busy machine isn't a fault of the page's


@dataclass
class Site:
    """A server, and the folder of its model."""

    address: str
    model: Path
    service: Any


@dataclass
class Looking:
    """A page, and what went wrong in it."""

    page: Page
    address: str
    faults: list[str] = field(default_factory=list)

    def open(self, name: str, query: str = "") -> Page:
        """A view, once it shows what it has."""
        where, shown = VIEWS.get(name, (name, "h1"))
        self.page.goto("about:blank")
        self.page.goto(f"{self.address}/{query}{where}")
        expect(self.page.locator(shown).first).to_be_visible()
        return self.page


@pytest.fixture(scope="module")
def site(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    source = shared_data / "ml-100k"
    rows = (source / "ml-100k.inter").read_text().splitlines()
    kept = [rows[0], *(row for row in rows[1:] if int(row.split("\t")[0]) <= PEOPLE)]
    (folder / "ml.inter").write_text("\n".join(kept) + "\n")
    read = dataset.read(folder / "ml.inter", items=source / "ml-100k.item")
    dataset.write_dataset(read, folder / "dataset")
    log = dataset.load(folder / "dataset")
    for window in (2, 3):
        target = folder / ("model.previous" if window == 2 else "model")
        compared = {name: {"recall@10": 0.1 * window, "ndcg@10": 0.1} for name in ("champion", "challenger")}
        lineage = {"split": "none", "compared": compared}
        artifact.save(create("transitions", window=window).fit(histories(log)), target, lineage)
    workflow.write_report(workflow.compare(log, ["popularity", "transitions"], split="leave-one-out"), folder / "report")
    topics_of(
        artifact.load(folder / "model"), log, folder / "model", folder / "dataset", count=6
    )  # the server finds them there
    service = deployment.open_service(folder / "model", f"sqlite:///{folder}/s.db", dataset_folder=folder / "dataset")
    service.insight.begin(service.living.model, folder / "model")
    service.insight.wait()
    service.put_items([Item(HOSTILE, text=HOSTILE)]).result()
    moment = now()
    service.feedback([Event(HOSTILE, "50", moment), Event(HOSTILE, HOSTILE, moment)], moment).result()
    following = deployment.Following(service, folder / "model", f"sqlite:///{folder}/s.db")
    server = make_server(create_app(service, model=folder / "model", report=folder / "report", names=["named.example"]))
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield Site(f"http://127.0.0.1:{listening.getsockname()[1]}", folder / "model", service)
    server.should_exit = True
    thread.join()
    following.close()
    service.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        reason = "there is no Chromium; install it (Debian: apt install chromium)"
        if os.environ.get("PENCHANT_REQUIRE_DATA"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def look(site: Site, browser: Browser) -> Iterator[Callable[..., Looking]]:
    contexts = []

    def looking(**settings: Any) -> Looking:
        context = browser.new_context(**{"locale": "en-GB", "viewport": {"width": 1280, "height": 900}} | settings)
        contexts.append(context)
        made = Looking(context.new_page(), site.address)
        made.page.on("console", lambda said: made.faults.append(said.text) if said.type == "error" else None)
        made.page.on("pageerror", lambda error: made.faults.append(str(error)))
        made.page.on("dialog", lambda dialog: _refuse(made, dialog))
        made.page.on("request", lambda request: _check_address(made, request.url))
        return made

    yield looking
    for context in contexts:
        context.close()


def _refuse(looking: Looking, dialog: Dialog) -> None:
    looking.faults.append(dialog.message)
    dialog.dismiss()


def _check_address(looking: Looking, address: str) -> None:
    if not address.startswith((looking.address, "about:", "data:", "blob:")):
        looking.faults.append(f"asked {address}")


FOCUSABLE = "a[href], button:not(:disabled), input, select, summary, [tabindex='0']"
IN_ORDER = f"""() => {{
  window.order = [...document.querySelectorAll("{FOCUSABLE}")]
    .filter((one) => one.checkVisibility({{ visibilityProperty: true }}));
  document.activeElement.blur();
  return window.order.length;
}}"""
FOCUSED = """() => {
  const one = document.activeElement, box = one.getBoundingClientRect(), style = getComputedStyle(one);
  const seen = style.outlineStyle !== 'none' && box.bottom > 0 && box.top < innerHeight;
  return [window.order.indexOf(one), seen];
}"""


def walk(page: Page) -> None:
    """Tab leads through all that can be used, in the order it is read in, and shows where one is."""
    count = page.evaluate(IN_ORDER)
    assert count > 8  # the way past the bar, the name, five views, two switches
    passed = []
    for _ in range(count):
        page.keyboard.press("Tab")
        passed.append(page.evaluate(FOCUSED))
    assert passed == [[place, True] for place in range(count)]


def draw_all(page: Page) -> None:
    """Pictures are drawn as they come into view, and bring their numbers."""
    for picture in page.locator(".picture").all():
        picture.locator(".chart").scroll_into_view_if_needed()
        expect(picture.locator("svg.main-svg").first).to_be_visible()
    page.evaluate("scrollTo(0, 0)")


def pictures_in_numbers(page: Page) -> list[str]:
    """The names of the pictures, each of which has its numbers in a table beside it, opened by the keyboard; or is a map."""
    names = []
    for picture in page.locator(".picture").all():
        picture.locator(".chart").scroll_into_view_if_needed()
        expect(picture.locator("svg.main-svg").first).to_be_visible()
        names.append(picture.get_by_role("img").first.get_attribute("aria-label") or "")
        numbers = picture.locator("summary")
        if numbers.count():
            numbers.press("Enter")
            table = picture.get_by_role("table", name=names[-1])
            assert table.get_by_role("columnheader").count() > 0
            assert table.get_by_role("cell").filter(has_text="%").count() + table.get_by_role("rowheader").count() > 1
            numbers.press("Enter")
    return names


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_view_opens_in_both_themes_and_can_be_read_by_all(look: Callable[..., Looking], theme: str) -> None:
    looking = look(color_scheme=theme)
    pictures = []
    for name in VIEWS:
        page = looking.open(name)
        # What isn't colour is the same in the dark. Within a picture there is nothing to read; what it shows is beside it.
        if theme == "light":
            draw_all(page)
            walk(page)
            pictures += pictures_in_numbers(page)
        options = {} if theme == "light" else {"runOnly": ["color-contrast"]}
        found = Axe().run(page, context={"exclude": [[".canvas"]]}, options=options).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")] == [], name
    shown = ["Activity", "Habits", "Interests over time", "Map of items", "Champion and challenger", "Evaluation"]
    assert pictures == ([] if theme == "dark" else shown)
    assert looking.faults == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_report_can_be_read_by_all_and_fits_a_phone(look: Callable[..., Looking], theme: str) -> None:
    looking = look(color_scheme=theme, viewport={"width": 390, "height": 800})
    looking.page.goto(f"{looking.address}/report")
    expect(looking.page.locator("h1")).to_have_text("What the models are worth")
    assert looking.page.evaluate("document.documentElement.scrollWidth") == 390
    found = Axe().run(looking.page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")] == []
    assert looking.faults == []


def test_the_way_past_the_bar_leads_to_the_view(look: Callable[..., Looking]) -> None:
    page = look().open("people")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    read = page.locator("main").aria_snapshot()
    for said in ('heading "People" [level=1]', 'heading "Recommended now" [level=2]', 'img "Interests over time"', "searchbox"):
        assert said in read


def test_a_click_that_adds_an_event_changes_the_list_and_the_history(look: Callable[..., Looking]) -> None:
    looking = look()
    page = looking.open("people")
    items = page.locator(".list .named .text")
    before, first = items.all_inner_texts(), page.locator(".list").get_attribute("data-list")
    page.locator(".list .add").first.click()
    expect(page.locator("#said")).to_have_text("Stored. The list and the interests were made anew.")
    expect(page.locator(f'.list:not([data-list="{first}"])')).to_be_visible()
    after = items.all_inner_texts()
    assert before[0] not in after
    assert after != before[1:]
    assert page.locator(".moved").count() > 0
    expect(page.locator(".feed .text").first).to_have_text(before[0])
    overview = httpx.get(f"{looking.address}/api/overview").json()
    assert overview["since_start"]["hits"] >= 1  # the event named the list it came from
    assert looking.faults == []


def test_events_and_lists_come_live(look: Callable[..., Looking]) -> None:
    looking = look()
    page = looking.open("overview")
    expect(page.locator(".status.up")).to_be_visible()
    httpx.post(f"{looking.address}/api/feedback", json=[{"user_id": "just now", "item_id": "50"}]).raise_for_status()
    httpx.get(f"{looking.address}/api/recommend/just now").raise_for_status()
    expect(page.locator(".feed").first.get_by_text("just now").first).to_be_visible()
    expect(page.locator(".feed").nth(1).get_by_text("just now").first).to_be_visible()
    assert looking.faults == []


def test_language_and_theme_are_chosen_and_remembered(look: Callable[..., Looking]) -> None:
    looking = look()
    page = looking.open("overview", "?lang=zh")
    for name, words in SPOKEN.items():
        page.evaluate("([hash]) => { location.hash = hash; }", [VIEWS[name][0]])
        expect(page.locator("h1")).to_have_text(words)
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")  # a screen reader speaks by it
    page.locator("#language").click()
    expect(page.locator("h1")).to_have_text("Privacy")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.locator("#theme").click()
    page.locator("#theme").click()
    looking.open("models")
    expect(page.locator("h1")).to_have_text("Models")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).colorScheme") == "dark"
    assert looking.faults == []


def test_on_a_phone_nothing_scrolls_sideways(look: Callable[..., Looking]) -> None:
    looking = look(viewport={"width": 360, "height": 740}, has_touch=True)
    for name in VIEWS:
        page = looking.open(name)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
    assert looking.faults == []


def test_people_are_found_by_prefix_page_by_page_and_strangers_are_newcomers(look: Callable[..., Looking]) -> None:
    looking = look()
    page = looking.open("#/people")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("button", name="Previous")).to_be_enabled()
    page.get_by_label("Find a person").fill("60")
    expect(page.locator(".choices a")).to_have_count(1)
    page.get_by_label("Find a person").fill("nobody yet")
    page.get_by_role("link", name="See what a newcomer").click()
    expect(page.locator(".newcomer")).to_be_visible()
    expect(page.locator(".card .empty").filter(has_text="No events.")).to_have_count(3)  # no river, no history, no habits
    expect(page.locator(".chart")).to_have_count(0)
    expect(page.locator(".list .add")).to_have_count(10)
    expect(page.locator(".list .named .text").first).not_to_be_empty()
    assert looking.faults == []


def test_hostile_ids_and_titles_are_text(look: Callable[..., Looking]) -> None:
    looking = look()
    page = looking.open("#/people")
    page.get_by_label("Find a person").fill("<img")
    expect(page.locator(".choices a")).to_have_count(1)
    page.locator(".choices a").click()
    expect(page.locator(".who")).to_contain_text(HOSTILE)
    expect(page.locator(".feed .text").filter(has_text=HOSTILE)).to_be_visible()
    page = looking.open("items")
    page.get_by_label("Find an item").fill("<img")
    expect(page.locator(".choices a")).to_have_count(1)
    expect(page.locator(".choices .text")).to_have_text(HOSTILE)
    looking.open("overview")
    expect(page.locator(".feed").first.get_by_text(HOSTILE).first).to_be_visible()
    assert page.locator("main img").count() == 0
    assert looking.faults == []


def test_a_person_is_erased_only_when_the_id_is_typed_twice(look: Callable[..., Looking]) -> None:
    looking = look()
    page = looking.open("privacy")
    page.get_by_label("Id of the person").fill("7")
    page.get_by_role("button", name="Erase…").click()
    confirm = page.get_by_role("button", name="Erase for good")
    expect(confirm).to_be_disabled()
    page.locator("dialog input").fill("7")
    confirm.click()
    expect(page.locator(".done")).to_contain_text("Erased")
    expect(page.locator("tbody tr")).to_have_count(1)
    assert httpx.get(f"{looking.address}/api/user/7").status_code == 404
    kept = httpx.get(f"{looking.address}/api/erasures").json()["erasures"][0]
    assert "user_id" not in kept
    assert len(kept["fingerprint"]) == 24
    assert looking.faults == []


def test_roll_back_brings_the_model_before(look: Callable[..., Looking], site: Site) -> None:
    looking = look()
    page = looking.open("models")
    before = artifact.read_config(site.model.with_name("model.previous"))["id"]
    page.locator("#roll-back").click()
    page.locator("dialog button", has_text="Roll back").click()
    expect(page.locator(".serving dd").first).to_have_text(before)
    refused = httpx.post(f"{looking.address}/api/models/roll-back", json={"to": before})  # it serves already
    assert (refused.status_code, "isn't the model before" in refused.json()["error"]) == (400, True)
    assert looking.faults == []


def test_the_api_is_described_without_any_other_address(look: Callable[..., Looking]) -> None:
    looking = look()
    page = looking.open("#/overview")
    page.goto(f"{looking.address}/docs")
    expect(page.get_by_text("/api/recommend/{user_id}", exact=True).first).to_be_visible()
    assert looking.faults == []


def test_files_are_kept_small_and_from_here_and_other_sites_change_nothing(site: Site) -> None:
    with httpx.Client(base_url=site.address) as client:
        page = client.get("/")
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "http" not in policy
        assert client.get("/", headers={"If-None-Match": page.headers["etag"]}).status_code == 304
        script = client.get("/page/plotly.min.js?v=1")
        assert (script.headers["content-encoding"], "immutable" in script.headers["cache-control"]) == ("gzip", True)
        assert client.get("/page/nothing.js").status_code == 404
        own = [
            "localhost",
            "127.0.0.1:80",
            "[::1]:8080",
            "LOCALHOST:1",
            "page.localhost",
            "named.example:8080",
            "named.example.",
        ]
        others = [
            "elsewhere.example",
            "localhost.elsewhere.example",
            "127.0.0.1.elsewhere.example",
            "named.example.elsewhere",
            "[",
        ]
        told = {host: client.get("/api/overview", headers={"Host": host}).status_code for host in own + others}
        assert told == dict.fromkeys(own, 200) | dict.fromkeys(others, 400)
        assert "--allow-host" in client.get("/health/live", headers={"Host": "else.example"}).json()["error"]
        foreign = client.delete("/api/user/3", headers={"Origin": "http://elsewhere.example"})
        assert (foreign.status_code, set(foreign.json())) == (403, {"error"})
        assert client.delete("/api/user/3", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
        assert client.get("/api/user/3").status_code == 200
