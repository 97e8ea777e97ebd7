"""What the tests in a browser share: headless Chromium, and what a page complains of."""

import shutil
from pathlib import Path

import pytest

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install -e '.[all]'"
)
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
in_a_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="install the system's package `chromium`"),
]
FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync
    --disable-background-networking --disable-component-update""".split()
MINUTE = 60_000  # milliseconds
PATIENCE = 10 * MINUTE  # for one condition: a busy machine is slow
CONTRAST = """elements => {  // of texts with what lies behind them, as WCAG counts it; the least of all that can be seen
    const parts = colour => colour.match(/[\\d.]+/g).map(Number);
    const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
    const ground = element => {
        while (element && parts(getComputedStyle(element).backgroundColor)[3] === 0) element = element.parentElement;
        return element ? parts(getComputedStyle(element).backgroundColor) : [255, 255, 255];
    };
    const seen = elements.filter(element => element.checkVisibility());
    return Math.min(...seen.map(element => {
        const both = [light(parts(getComputedStyle(element).color)), light(ground(element))];
        return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    }));
}"""


@pytest.fixture(scope="module", name="browser")
def started_browser():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=PATIENCE)
        yield browser
        browser.close()


def listen(page) -> list[str]:
    """Everything that the page complains of from here on: errors in its console, and what it could not fetch."""
    complaints = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "requestfailed",
        lambda request: complaints.append(failure(request)) if failure(request) else None,
    )
    return complaints


def failure(request) -> str | None:
    """Why a request failed; nothing where the page itself took it back, as JupyterLab does with questions that are outdated."""
    return (
        None if request.failure == "net::ERR_ABORTED" else f"{request.url[:200]}: {request.failure}"
    )


@pytest.fixture(name="offline")
def opened_offline(browser):
    """Opens a file where there is no web and returns its page and what it complains of."""
    context = browser.new_context(offline=True, viewport={"width": 1200, "height": 900})
    context.set_default_timeout(PATIENCE)
    local = ("file:", "data:", "blob:")

    def opened(path: Path):
        page = context.new_page()
        complaints = listen(page)
        page.on("request", lambda r: None if r.url.startswith(local) else complaints.append(r.url))
        page.goto(path.as_uri())
        return page, complaints

    yield opened
    context.close()


def assert_every_picture_is_drawn(page) -> None:
    images = page.locator("img").all()
    assert images
    for image in images:
        width = image.evaluate("i => i.decode().then(() => i.naturalWidth)")
        assert width > 50 and image.get_attribute("alt")
