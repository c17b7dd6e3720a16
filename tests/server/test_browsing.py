"""The page of a memory: who may see it, and what a real browser makes of hostile memories."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import shutil
import subprocess
import threading
import time
import wave
from datetime import datetime, timedelta, timezone

import pytest
from starlette.testclient import TestClient
from tests.memory.fake_encoder import FakeEncoder

from arrowmind.config import ServerSettings
from arrowmind.faces import MemoryDesk
from arrowmind.memory import MemoryStore
from arrowmind.memory.keeping.lifecycle import Change, Derived
from arrowmind.memory.storage.lifecycle_tables import Quote
from arrowmind.server.browsing import create_page
from arrowmind.server.running import listen

SECRET = "a-path-nobody-guesses"
HOSTILE = (
    "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script> "
    "[key](javascript:alert(1))"
)


def png():
    from PIL import Image

    data = io.BytesIO()
    Image.new("RGB", (37, 11), (200, 30, 30)).save(data, "PNG")
    return data.getvalue()


def sound():
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(b"\0\0" * 1600)
    return data.getvalue()


@pytest.fixture
def store(tmp_path):
    with MemoryStore(tmp_path / "store", FakeEncoder()) as opened:
        opened.remember(f"{HOSTILE} one", category="<b>bold</b>", metadata={"<i>k</i>": "<u>v</u>"})
        opened.remember("a picture of a barn", image=png(), audio=sound(), origin="web")
        opened.remember_many([f"number {i}" for i in range(30)])
        yield opened


@pytest.fixture
def client(store):
    page = create_page(MemoryDesk(store, read_only=True), ServerSettings(), SECRET)
    with TestClient(page, base_url="http://127.0.0.1:8000") as opened:
        yield opened


def test_the_page_and_what_it_asks_for(client):
    page = client.get(f"/{SECRET}/")
    assert page.status_code == 200
    assert not re.search(r"https?://|\son\w+=\"|innerHTML|insertAdjacent|document\.write|eval\(", page.text)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    newest = client.get(f"/{SECRET}/memories?count=2").json()["memories"]
    assert [one["id"] for one in newest] == [32, 31]
    (found, *_) = client.get(f"/{SECRET}/search?text=barn").json()["memories"]
    assert (found["id"], found["explanation"]["text"]["words"]) == (2, ["barn"])
    assert client.get(f"/{SECRET}/memories/2").json()["origin"] == "web"
    assert client.get(f"/{SECRET}/memories/2/attachments/0").content == png()
    assert client.get(f"/{SECRET}/memories/99").status_code == 404
    assert "links" not in client.get(f"/{SECRET}/memories/5").json()
    assert client.get(f"/{SECRET}/memories?wrong=1").status_code == 400
    assert "path" not in client.get(f"/{SECRET}/stats").json()


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", {}, 404),
        ("/memories", {}, 404),
        ("/another-secret/stats", {}, 404),
        (f"/{SECRET}/stats", {"Host": "evil.example"}, 403),
        (f"/{SECRET}/stats", {"Host": "127.0.0.1.evil.example:8000"}, 403),
        (f"/{SECRET}/stats", {"Host": ""}, 403),
        (f"/{SECRET}/stats", {"Sec-Fetch-Site": "cross-site"}, 403),
        (f"/{SECRET}/stats", {"Sec-Fetch-Site": "same-site"}, 403),
        (f"/{SECRET}/stats", {"Host": "localhost:9", "Sec-Fetch-Site": "same-origin"}, 200),
        (f"/{SECRET}/stats", {"Host": "[::1]:9"}, 200),
    ],
)
def test_who_may_ask(client, path, headers, status):
    answer = client.get(path, headers=headers)
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_changed(client, store, method):
    assert client.request(method, f"/{SECRET}/memories/1").status_code == 403
    assert store.get(1) is not None


_DUMP = ("--virtual-time-budget=8000", "--dump-dom")


@contextlib.contextmanager
def listening(page):
    import uvicorn

    socket = listen("127.0.0.1", 0)
    config = uvicorn.Config(page, log_config=None, access_log=False, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[socket])))
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{socket.getsockname()[1]}/{SECRET}/"
    finally:
        server.should_exit = True
        thread.join()
        socket.close()


@pytest.fixture
def look(store, tmp_path):
    """The page as a browser has it when its script is done, and what the browser complained of."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no browser: install chromium")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    quiet = ["--disable-background-networking", "--disable-component-update", "--enable-logging=stderr"]

    def run(fragment=""):
        profile = f"--user-data-dir={tmp_path / 'profile'}"
        with listening(create_page(MemoryDesk(store, read_only=True), ServerSettings(), SECRET)) as address:
            done = subprocess.run(
                [browser, *options, *quiet, profile, *_DUMP, address + fragment],
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        told = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        assert done.returncode == 0, done.stderr
        return done.stdout, told

    return run


@pytest.mark.slow
def test_in_a_real_browser(look):
    page, complaints = look()
    assert complaints == []
    assert re.findall(r'data-id="(\d+)"', page) == [str(id_) for id_ in range(32, 12, -1)]
    assert "32 memories in all" in page
    assert "<title>Memories</title>" in page

    page, complaints = look("#q=picture%20barn")
    assert complaints == []
    assert re.search(r'data-id="(\d+)"', page)[1] == "2"
    assert 'data-width="37"' in page  # the picture was decoded
    assert "<audio" in page
    assert "parts.words" in page or "parts.meaning" in page
    assert "web, trust 0.3" in page


@pytest.mark.slow
def test_episodes_in_a_real_browser(look, store):
    then = datetime(2026, 3, 1, 10, tzinfo=timezone.utc)
    ids = store.remember_many(["<b>a kayak</b>", "an oar"], timestamp=[then, then + timedelta(minutes=5)])
    page, complaints = look("#e=kayak%20oar")
    assert complaints == []
    (first, *_) = re.findall(r"<section><h2>(.*?)</h2>(.*?)</section>", page, re.DOTALL)
    assert "2 memories" in first[0]
    assert sorted(map(int, re.findall(r'data-id="(\d+)"', first[1]))) == ids
    assert "&lt;b&gt;a kayak&lt;/b&gt;" in first[1]
    assert "<summary>all of it" in first[1]
    assert "<th>best</th>" in first[1]


def test_episodes_for_the_page(client, store):
    (one, *_) = client.get(f"/{SECRET}/episodes?text=barn&top_k=1&hits=1").json()["episodes"]
    assert (len(one["memories"]), len(one["ids"])) == (1, 32)
    assert "best" in one["explanation"]
    assert client.get(f"/{SECRET}/episodes?text=barn&by=wrong").status_code == 400
    by = client.get(f"/{SECRET}/episodes?text=barn&by=origin").json()["episodes"]
    assert {one["value"] for one in by} == {"user", "web"}


@pytest.mark.slow
def test_what_was_derived_leads_to_its_sources(look, store):
    quotes = (Quote(2, "a picture of a barn"), Quote(3, "number 0"))
    store.lifecycle.apply(Change("key", derived=(Derived("There is a barn.", quotes, made_by="hand"),)))
    page, complaints = look("#id=33")
    assert complaints == []
    assert "derived, trust 0.8" in page
    assert re.findall(r'href="#id=(\d+)"', page) == ["33", "2", "3"]
    assert "a picture of a barn" in page  # the quote


@pytest.mark.slow
def test_links_lead_to_what_belongs_together(look, store):
    assert "<summary>linked with" not in look("#id=5")[0]
    store.link()
    page, complaints = look("#id=5")
    assert complaints == []
    assert "<summary>linked with" in page
    found = re.findall(
        r'<th><a href="#id=(\d+)">#\d+</a></th><td>(similar|terms|recalled) (\d\.\d\d)</td>', page
    )
    assert [(int(id_), kind) for id_, kind, _ in found] == [(link.id, link.kind) for link in store.links(5)]
    assert len(found) > 3


@pytest.mark.slow
def test_hostile_memories_are_shown_as_text(look):
    page, complaints = look("#id=1")
    assert complaints == []
    assert "<title>Memories</title>" in page  # no script of theirs ran
    assert "&lt;img src=x onerror=" in page
    assert "&lt;script&gt;document.title='owned'" in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "&lt;i&gt;k&lt;/i&gt;" in page
    assert "&lt;u&gt;v&lt;/u&gt;" in page


@pytest.mark.slow
def test_the_browser_runs_no_other_script(monkeypatch, look):
    """If a memory did become markup, the policy would still stop it."""
    import arrowmind.server.browsing as browsing

    original = browsing.HTMLResponse
    bad = f'<main id="found">{HOSTILE}'
    monkeypatch.setattr(
        browsing, "HTMLResponse", lambda page: original(page.replace('<main id="found">', bad))
    )
    page, complaints = look("#q=nothing")
    assert "<title>Memories</title>" in page
    assert any("Content Security Policy" in line for line in complaints)
