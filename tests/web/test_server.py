"""What the server lets in, what it lets the page do, and the page it serves."""

from concurrent.futures import ThreadPoolExecutor

import anyio
import httpx
import pytest

from clearhead.budgets import MAX_REQUEST_BYTES
from clearhead.problems import format_problem, read_problem
from clearhead.web import application
from clearhead.web.guard import hosts_of

HOST = "127.0.0.1:8765"
ORIGIN = f"http://{HOST}"


@pytest.fixture
def ask():
    """A function that asks the application without a network."""
    text = "</script><script>alert(1)</script>"
    problem = format_problem(read_problem("soccer")).replace("Chaky loves soccer", text)
    app = application(problem, hosts_of("127.0.0.1", 8765))

    def asked(method, path, **request):
        async def run():
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
                return await client.request(method, path, **request)

        # In a thread of its own, since a browser of other tests may have a loop running in this one.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(anyio.run, run).result()

    return asked


def post(ask, path="/work", json=None, **headers):
    return ask("POST", path, json=json or {"problem": "soccer"}, headers={"origin": ORIGIN, **headers})


def test_the_page_may_run_its_own_scripts_and_nothing_else(ask):
    """The policy allows no inline script and no other site, and names in the problem are no markup."""
    answer = ask("GET", "/")
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'")
    assert "<script>alert" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8765", "127.0.0.1", "127.0.0.1:80", ""])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_name_for_this_machine_is_refused(ask, host, method):
    """A site whose name is made to lead here (DNS rebinding) gets nothing."""
    assert ask(method, "/", headers={"host": host, "origin": ORIGIN}).status_code == 421


@pytest.mark.parametrize("host", ["localhost:8765", "[::1]:8765"])
def test_the_other_names_of_this_machine_are_served(ask, host):
    """localhost is this machine too."""
    assert ask("GET", "/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "https://127.0.0.1:8765", "http://127.0.0.1:1"])
def test_another_page_may_not_ask(ask, origin):
    """A request from another origin, or without one, is refused."""
    assert post(ask, origin=origin).status_code == 403


def test_a_request_is_bounded(ask):
    """What says that it is too large is refused unread, and what does not say so as soon as it is."""
    assert post(ask, json={"problem": "x" * MAX_REQUEST_BYTES}).status_code == 413

    async def parts():
        for _ in range(8):
            yield b'"' + b"x" * (MAX_REQUEST_BYTES // 4)

    assert ask("POST", "/work", content=parts(), headers={"origin": ORIGIN}).status_code == 413


@pytest.mark.parametrize("body", [b"", b"[]", b'{"problem": 3}', b'{"problem": "soccer", "path": "/"}', b"\xff"])
def test_what_is_no_request_is_refused_in_words(ask, body):
    """The answer says what was expected."""
    answer = ask("POST", "/work", content=body, headers={"origin": ORIGIN})
    assert answer.status_code == 422
    assert answer.text


@pytest.mark.parametrize("path", ["/page/secrets.js", "/page/..%2f..%2ftrace.py", "/page/tsconfig.json", "/etc/passwd"])
def test_nothing_else_is_served(ask, path):
    """Only the page's own modules."""
    assert ask("GET", path).status_code == 404


def test_answers_and_files(ask):
    """A change, its diagnosis, the deviations and a file, each by its own path."""
    worked = post(ask).json()
    assert worked["content"]["title"] == "Chaky loves soccer"
    assert "softmax-over-queries" in post(ask, "/diagnosis").json()["diagnosis"]
    assert "Norms" in [each["theme"] for each in post(ask, "/deviations").json()]
    assert post(ask, "/export/toml").text == worked["problem"]
    assert post(ask, "/export/exe").status_code == 422
    assert post(ask, json={"problem": "no problem"}).status_code == 422
