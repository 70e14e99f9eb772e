"""The demo's page in Chromium: `make test-browser`."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

import pytest

from demo import build

pytestmark = pytest.mark.browser

BAD = ("serious", "critical")
LONG = 120_000  # milliseconds that a wait may take on a slow machine


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """The page, which must say nothing in the console and ask for nothing."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield from _watched(context)


def _watched(context: Any) -> Iterator[Any]:
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    yield page
    outside = [url for url in asked if not url.startswith(("data:", "blob:", "file:"))]
    assert not said and not outside
    assert {url.split("#")[0] for url in asked if url.startswith("file:")} == {address()}
    context.close()


def address(settings: str = "") -> str:
    return build.PAGE.as_uri() + (f"#{settings}" if settings else "")


def wait(page: Any, words: str) -> None:
    page.wait_for_function(
        "words => document.getElementById('readout').textContent.includes(words)",
        arg=words,
        timeout=LONG,
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_page(browser: Any, width: int, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    size = {"width": width, "height": 900}
    context = browser.new_context(viewport=size, color_scheme=scheme, bypass_csp=True)
    for page in _watched(context):
        page.goto(address())
        wait(page, "Train")
        page.locator("summary").focus()
        page.keyboard.press("Enter")
        page.locator("#table td").first.wait_for(timeout=LONG)
        assert page.locator("svg[role=img]").count() == 5
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = axe.Axe().run(page).response["violations"]
        assert not [(x["id"], x["nodes"][0]["html"]) for x in found if x["impact"] in BAD]


@pytest.mark.parametrize("seed", range(5))
def test_it_learns_and_the_pole_survives_a_push(page: Any, seed: int) -> None:
    page.goto(address(f"seed={seed}"))
    wait(page, "Trained")
    assert "475 after" in page.locator("#readout").text_content()
    page.locator("#right").click()
    before = page.evaluate("document.getElementById('pole').toDataURL()")
    page.wait_for_function("b => document.getElementById('pole').toDataURL() !== b", arg=before)


def test_controls_by_keyboard_and_a_link_that_holds_them(page: Any) -> None:
    page.goto(address("motion=500"))
    for slider in page.locator("input[type=range]").all():
        slider.focus()
        page.keyboard.press("ArrowRight")
    page.locator("#clipping").select_option("0")
    page.locator("#bootstrap").select_option("0")
    read = "CONTROLS.map((id) => document.getElementById(id).value)"
    chosen, link = page.evaluate(read), page.locator("#link").evaluate("link => link.href")
    assert link == page.url and len(link.split("&")) == 10
    page.goto("about:blank")
    page.goto(link)
    assert page.evaluate(read) == chosen and page.evaluate("learners.length") == 2
    page.locator("[data-preset='lambda=0']").click()
    assert page.evaluate("settings().lambda") == 0 and page.evaluate("settings().clipping") == 1
    assert "critic" in page.locator("#lesson").text_content()


def test_pause_waits(page: Any) -> None:
    page.goto(address("motion=100"))
    wait(page, "Training")
    page.locator("#pause").click()
    assert page.locator("#pause").get_attribute("aria-pressed") == "true"
    page.wait_for_timeout(500)  # what was under way arrives
    before = page.evaluate("learners[0].report")
    page.wait_for_timeout(500)
    assert page.evaluate("learners[0].report") == before
    page.locator("#pause").click()
    steps = before["steps"]
    page.wait_for_function("n => learners[0].report.steps > n", arg=steps, timeout=LONG)


def test_a_link_with_what_the_page_does_not_have_is_said(page: Any) -> None:
    page.goto(address("epsilon=7&speed=3&gamma=x"))
    wait(page, "The link asks for epsilon=7, speed=3, gamma=x, which this page does not have")
    assert page.evaluate("settings().epsilon") == 0.2


def test_the_same_kernels_come_out_again() -> None:
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("ziglang is not installed: pip install -e '.[demo]'")
    assert build.compile_kernels() == build.committed_kernels()
