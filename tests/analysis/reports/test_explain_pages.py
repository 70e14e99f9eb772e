"""The interactive pages in Chromium: `make test-browser`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from analysis.reports.explain.pages import PAGES

DIRECTORY = Path(__file__).parents[3] / "docs" / "explain"
pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", PAGES)
def test_page(browser: Any, name: str, width: int, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
    )
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    address = (DIRECTORY / f"{name}.html").as_uri()
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("svg[role=img]").count() == 2
    _every_slider_by_keyboard(page)
    page.locator("summary").focus()
    page.keyboard.press("Enter")
    assert page.locator("table").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = axe.Axe().run(page).response["violations"]
    assert not [(x["id"], x["nodes"][0]["html"]) for x in found if x["impact"] in BAD]
    assert not said and [url for url in asked if not url.startswith("data:")] == [address]
    context.close()


BAD = ("serious", "critical")


def _every_slider_by_keyboard(page: Any) -> None:
    for slider in page.locator("input[type=range]").all():
        slider.focus()
        before = slider.input_value(), page.locator(".charts").inner_html()
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
        after = slider.input_value(), page.locator(".charts").inner_html()
        if before[0] != slider.get_attribute("min"):
            assert before[0] != after[0] and before[1] != after[1]
    for choice in page.locator("select").all():
        before = page.locator(".charts").inner_html()
        choice.select_option(index=1)
        assert page.locator(".charts").inner_html() != before
