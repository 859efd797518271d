"""One Chromium for all tests of a worker that look at pages."""

import pytest

CHROMIUM = "/usr/bin/chromium"
REFUSED = "the server responded with a status of 422"
"""What the browser notes when a page is told that what was typed cannot be used."""

ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]


@pytest.fixture(scope="session")
def chromium():
    """The browser; it is started when the first test asks for it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def sheet(chromium):
    """An empty page, on which nothing may go wrong: no error, no message, no request for what is not in the file."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(60_000)
    wrong = []
    page.on("console", lambda message: wrong.append(message.text) if REFUSED not in message.text else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: wrong.append(request.url) if outside(request.url) else None)
    yield page
    context.close()
    if wrong:
        pytest.fail("\n".join(wrong))


def outside(url):
    """Whether an address is neither a file, nor data, nor this machine."""
    return not url.startswith(("file:", "data:", "blob:", "about:", "http://127.0.0.1:"))
