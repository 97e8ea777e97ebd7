"""The lessons in JupyterLab, in a real browser: run from the menu, sliders moved by keyboard."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from browsing import CONTRAST, MINUTE, PATIENCE, in_a_browser, listen, playwright
from browsing import started_browser as started_browser

from metabin.course.lessons import read_notebook
from metabin.runs.provenance import ROOT

pytestmark = in_a_browser
LESSON = "02_bn_vs_in_failure_modes"
SETTINGS = {  # what JupyterLab would ask a newcomer, answered
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},  # all cells in the page
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address and the folder of a JupyterLab that serves a copy of the lessons, with settings of its own."""
    root = tmp_path_factory.mktemp("lab")
    for folder in ("notebooks", "figures"):
        shutil.copytree(ROOT / folder, root / folder)
    for name, values in SETTINGS.items():
        file = root / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = f"""-m jupyterlab --no-browser --allow-root --ip=127.0.0.1 --port={port}
        --ServerApp.port_retries=0 --IdentityProvider.token= --notebook-dir={root}""".split()
    folders = "JUPYTER_CONFIG_DIR JUPYTER_DATA_DIR JUPYTER_RUNTIME_DIR IPYTHONDIR".split()
    own = {name: str(root / name.lower()) for name in folders}
    own |= {
        "JUPYTERLAB_SETTINGS_DIR": str(root / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(root / "workspaces"),
        "PYTHONPATH": str(ROOT),
    }
    with open(root / "log", "w") as log:
        server = subprocess.Popen(
            [sys.executable, *command], env=os.environ | own, stdout=log, stderr=log
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/api/status", server, root / "log")
        yield f"http://127.0.0.1:{port}", root
    finally:
        server.terminate()  # shuts its kernels down as well
        server.wait(180)


def wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    for _ in range(PATIENCE // 1000):
        assert server.poll() is None, f"JupyterLab ended: {log.read_text()[-2000:]}"
        try:
            return urllib.request.urlopen(address, timeout=60).close()
        except OSError:
            time.sleep(1)  # it doesn't listen yet
    pytest.fail(f"JupyterLab did not answer: {log.read_text()[-2000:]}")


def until(page, true, what: str) -> None:
    """Wait until `true()` is; the page's own messages come in meanwhile."""
    ends = time.monotonic() + PATIENCE / 1000
    while not true():
        assert time.monotonic() < ends, f"it never came to this: {what}"
        page.wait_for_timeout(100)


PROMPTS = """[...document.querySelectorAll(".jp-Notebook .jp-CodeCell .jp-InputPrompt")]
    .map(prompt => prompt.textContent)
    .filter(text => text)"""  # a cell whose source is hidden has none
STARTED = f"{PROMPTS}.some(text => /\\[[*\\d]/.test(text))"  # a cell runs, or has run
ALL_RAN = f"""cells => {{
    const prompts = {PROMPTS};
    return prompts.length === cells && prompts.every(text => /\\[\\d+\\]/.test(text));
}}"""
OTHER_PICTURE = """([widget, before]) => {
    const image = widget.querySelector("img");
    return image && image.complete && image.src !== before;
}"""
FIGURES_FIT = """() => {
    const images = [...document.querySelectorAll(".jp-OutputArea-output figure img")];
    return images.length > 3
        && images.every(image => image.getBoundingClientRect().width <= image.closest(".jp-OutputArea").clientWidth);
}"""
GROUND = """image => {  // red, green, blue, alpha of a picture's corner
    const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight).getContext("2d");
    canvas.drawImage(image, 0, 0);
    return [...canvas.getImageData(0, 0, 1, 1).data];
}"""


def menu(page, *names: str) -> None:
    """Choose an item of JupyterLab's menus."""
    first, *items = names
    page.locator(f'.lm-MenuBar-itemLabel:text-is("{first}")').click()
    for item in items:
        page.locator(f'.lm-Menu-itemLabel:text-is("{item}")').click()


@pytest.fixture(scope="module")
def lesson(browser, lab):
    """The page of a lesson that was run from the menu, and what it complained of."""
    address, root = lab
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(PATIENCE)
    complaints, answers = listen(page), []
    page.on("websocket", lambda s: s.on("framereceived", lambda _: answers.append(s.url)))
    page.goto(f"{address}/lab/tree/notebooks/{LESSON}.ipynb")
    until(page, lambda: any("/channels" in url for url in answers), "the kernel answers")
    page.locator(".jp-Toolbar .jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
    for _ in range(5):  # what is run before the notebook has its kernel is lost
        menu(page, "Run", "Run All Cells")
        try:
            page.wait_for_function(STARTED, timeout=MINUTE)
            break
        except playwright.TimeoutError:
            pass
    shown = 0  # code cells whose source, and so their prompt, is to be seen
    for cell in read_notebook(root / "notebooks" / f"{LESSON}.ipynb").cells:
        hidden = cell.metadata.get("jupyter", {}).get("source_hidden", False)
        shown += cell.cell_type == "code" and not hidden
    page.wait_for_function(ALL_RAN, arg=shown, timeout=3 * PATIENCE, polling=500)
    page.locator(".jp-Toolbar .jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
    yield page, complaints
    page.close()


def test_a_lesson_run_from_the_menu_has_no_error(lesson, lab):
    page, complaints = lesson
    menu(page, "File", "Save Notebook")
    page.locator(".jp-mod-dirty").wait_for(state="detached")
    saved = read_notebook(lab[1] / "notebooks" / f"{LESSON}.ipynb")
    outputs = [output for cell in saved.cells for output in cell.get("outputs", [])]
    assert len(outputs) > 20
    assert [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"] == []
    assert complaints == []


def test_every_slider_moves_by_keyboard_and_changes_the_picture(lesson):
    page, complaints = lesson
    widgets = page.locator(".widget-interact")
    assert widgets.count() == 3
    for widget in widgets.all():
        sliders = widget.locator(".noUi-handle")
        for number, slider in enumerate(sliders.all()):
            image = widget.locator("img")
            image.wait_for()
            before, value = image.get_attribute("src"), float(slider.get_attribute("aria-valuenow"))
            if number == 0:
                slider.focus()
            else:  # from one slider to the next: its handle, then its number
                page.keyboard.press("Tab")
                page.keyboard.press("Tab")
            page.keyboard.press("ArrowRight")
            page.wait_for_function(OTHER_PICTURE, arg=[widget.element_handle(), before], polling=50)
            assert float(slider.get_attribute("aria-valuenow")) > value
            assert slider.evaluate("handle => handle === document.activeElement")
    assert complaints == []


def test_no_name_of_a_slider_is_cut_off(lesson):
    labels = lesson[0].locator(".widget-interact .widget-label").all()
    assert len(labels) > 5
    for label in labels:
        assert label.evaluate("e => e.scrollWidth <= e.clientWidth"), label.text_content()


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_a_lesson_can_be_read_in_both_themes(lesson, theme):
    page, complaints = lesson
    menu(page, "Settings", "Theme", theme)
    page.locator(f'body[data-jp-theme-name="{theme}"]').wait_for(state="attached")
    for kind in (".jp-RenderedMarkdown p", ".jp-RenderedText pre", ".widget-label"):
        texts = page.locator(kind)
        until(page, lambda texts=texts: 4.5 <= texts.evaluate_all(CONTRAST) <= 21, f"read {kind}")
    for image in page.locator(".jp-OutputArea-output figure img").all():
        assert image.evaluate(GROUND) == [255, 255, 255, 255], "a figure shines through"
    assert complaints == []


def test_in_a_narrow_window_no_figure_is_cut_off(lesson):
    page, _ = lesson
    page.set_viewport_size({"width": 620, "height": 900})
    page.wait_for_function("document.querySelector('.jp-Notebook').clientWidth <= 620")
    page.wait_for_function(FIGURES_FIT)
