"""The served report of an inspection: any part of a map on demand, in a real browser and by requests."""

import asyncio
import threading

import httpx
import numpy as np
import pytest
import uvicorn

from clearhead.models import load
from clearhead.models.surveying import survey
from clearhead.models.walking import Asked
from clearhead.web import report
from clearhead.web.guard import hosts_of
from clearhead.web.report import Kept, report_application

from ..models.conftest import small  # noqa: F401 - a fixture

TOKENS = 150
IDS = [n * 7 % 17 for n in range(TOKENS)]


@pytest.fixture
def model(small):  # noqa: F811
    return load(small)


@pytest.fixture
def served(model):
    """The address of a report on 150 tokens, two layers, that is being served."""
    kept = Kept()
    found = survey(model, IDS, None, Asked(), None, kept)
    config = uvicorn.Config(lambda: None, port=0, log_level="critical")
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    port = socket.getsockname()[1]
    config.app = report_application(found, kept.layers, hosts_of("127.0.0.1", port))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([socket])))
    thread.start()
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def weights(model):
    """All weights of a layer (head, query, key), of a trace."""
    trace = model.trace(IDS, keep=("*.attention.weights",))
    return lambda layer: trace.numpy(f"layers.{layer}.attention.weights").astype(np.float64)


def ask(address, **part):
    whole = {"layer": 0, "head": 0, "rows": [0, 1], "columns": [0, 1]} | part
    return httpx.post(f"{address}/map", json=whole, headers={"origin": address}, timeout=60)


def test_a_map_is_zoomed_to_single_tokens(served, sheet, weights):
    """The keys and the buttons zoom to squares of one token, whose weights stand there; and back to the whole text."""
    sheet.goto(served)
    sheet.wait_for_selector('html[data-shown="0,0"]')
    said = sheet.locator(".map .said")
    sheet.locator(".map canvas").focus()
    sheet.keyboard.press("+")
    sheet.get_by_role("button", name="Zoom in").click()
    sheet.get_by_text("Shown are queries").wait_for()
    sheet.wait_for_selector(".map .said b")
    text = said.inner_text()
    query, key = (int(part.split()[1]) for part in text.split("weight of ")[1].split("goes to ")[:2])
    assert text.split("weight of ")[1].startswith(f"token {query} ")
    share = float(sheet.locator(".map .said b").inner_text()[:-2])
    assert share == pytest.approx(100 * weights(0)[0, query, key], rel=6e-3, abs=1e-3)
    sheet.locator(".map canvas").focus()
    sheet.keyboard.press("0")
    sheet.wait_for_selector('.map button:has-text("Whole text"):disabled')
    assert "tokens" in said.inner_text()


def test_a_part_is_that_of_all_weights(served, weights):
    """What is answered is the mean of the weights of a trace."""
    found = ask(served, layer=1, head=3, rows=[10, 12, 60], columns=[0, 1, 50]).json()
    whole = weights(1)[3]
    expected = [[whole[a:b, c:d].sum() / (b - a) for c, d in ((0, 1), (1, 50))] for a, b in ((10, 12), (12, 60))]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"layer": 7}, "layer: 7 was not inspected"),
        ({"head": 99}, "heads 0 to 5"),
        ({"rows": [5, 5]}, "rising"),
        ({"columns": [0, TOKENS + 1]}, "rising"),
        ({"rows": list(range(80))}, "length"),
        ({"rows": [-1, 3]}, ">= 0"),
        ({"more": 1}, "more"),
    ],
)
def test_what_cannot_be_answered_is_said(served, part, says):
    """A layer, head or token that there is not, too many blocks, unknown fields: refused in words."""
    answer = ask(served, **part)
    assert answer.status_code == 422
    assert says in answer.text


def test_too_much_at_once_is_refused(served, monkeypatch):
    """One request takes a bounded number of weights."""
    monkeypatch.setattr(report, "MAX_MAP_WEIGHTS", 10 * TOKENS)
    assert ask(served, rows=[0, 10]).status_code == 200
    assert "at most 10 queries at once, got 11" in ask(served, rows=[0, 11]).text


def test_only_the_page_itself_may_ask(served):
    """Another origin gets nothing, and the page runs the served script alone."""
    assert httpx.post(f"{served}/map", json={}, headers={"origin": "http://evil.example"}).status_code == 403
    page = httpx.get(served)
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert '<script type="module" src="/report.js">' in page.text
