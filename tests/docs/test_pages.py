"""The site in Chromium, from disk: `make test-browser`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.drawing.text import interval, score
from tests.helpers.cli import ROOT

pytestmark = pytest.mark.browser

BAD = ("serious", "critical")
# axe would fetch style sheets and ask the figures inside, which have tests of their own.
FROM_DISK = {"preload": False, "iframes": False}
PAGES = (
    *("index", "docs/story/README", "docs/story/advantages", "docs/story/clipping"),
    *(
        "docs/story/language-models",
        "docs/animations/README",
        "docs/living",
        "docs/gallery",
        "docs/api",
    ),
    *("docs/notebooks/quickstart", "docs/notebooks/own_figure", "docs/table1", "docs/claims"),
)


@contextmanager
def opened(browser: Any, path: Path, width: int = 1280, scheme: str = "light") -> Iterator[Any]:
    """A page, which must say nothing in the console and ask for nothing outside of its folder."""
    size = {"width": width, "height": 900}
    context = browser.new_context(viewport=size, color_scheme=scheme, bypass_csp=True)
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    yield page
    assert not said
    assert not [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
    context.close()


def load_frames(page: Any) -> None:
    """Scroll to each figure, which is loaded then and says how high it is."""
    for frame in page.locator("iframe").all():
        frame.scroll_into_view_if_needed()
        page.wait_for_function("f => f.style.height", arg=frame.element_handle(), timeout=60_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", PAGES)
def test_page(browser: Any, site: Path, name: str, width: int, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    with opened(browser, site / f"{name}.html", width, scheme) as page:
        load_frames(page)
        for frame in page.frames:
            assert frame.evaluate("document.documentElement.scrollWidth <= innerWidth"), frame.url
        assert page.locator(".katex-error").count() == 0
        found = axe.Axe().run(page, options=FROM_DISK).response["violations"]
        assert not [(x["id"], x["nodes"][0]["html"]) for x in found if x["impact"] in BAD]


@pytest.mark.parametrize("name", ["table1", "figure3"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_living_page_alone(browser: Any, site: Path, name: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    with opened(browser, site / "docs" / "living" / f"{name}.html", 390, scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        for control in page.locator("select, input").all():
            before = page.locator("main").inner_html()
            control.focus()
            kind = control.get_attribute("type")
            page.keyboard.press({"checkbox": "Space", "range": "ArrowLeft"}.get(kind, "ArrowDown"))
            assert page.locator("main").inner_html() != before
        found = axe.Axe().run(page, options=FROM_DISK).response["violations"]
        assert not [(x["id"], x["nodes"][0]["html"]) for x in found if x["impact"] in BAD]


def test_the_table_is_the_committed_one_and_changes(browser: Any, site: Path) -> None:
    committed = pd.read_csv(ROOT / "results" / "table1" / "table1.csv")
    with opened(browser, site / "docs" / "living" / "table1.html") as page:
        cells = "[...document.querySelectorAll('#table tr')].slice(1).map(r => [...r.cells].map(c => c.textContent))"  # noqa: E501
        before = page.evaluate(cells)
        assert len(before) == len(committed) == 11
        for shown, line in zip(before, committed.to_dict("records"), strict=True):
            expected = [score(line["score"]), interval(line["ci_low"], line["ci_high"])]
            assert shown[1:5] == [*expected, str(line["n_runs"]), score(line["paper_score"])]
        page.get_by_label("Reacher").uncheck()
        without = page.evaluate(cells)
        assert all(line[3] == "18" for line in without) and float(without[0][1]) > 0.14
        page.get_by_label("Reacher").check()
        page.locator("#random").select_option("uniform")
        other = page.evaluate(cells)
        assert float(other[0][1]) < 0 < float(before[0][1])
        for box in page.locator(".task").all():
            box.uncheck()
        assert "at least one task" in page.locator("#readout").text_content()


def test_a_run_that_is_touched_is_told(browser: Any, site: Path) -> None:
    with opened(browser, site / "docs" / "living" / "table1.html") as page:
        before = page.locator("#readout").text_content()
        dot = page.locator("#first circle.blue.faint").nth(4)
        dot.hover(force=True)
        page.wait_for_function(
            "b => document.getElementById('readout').textContent !== b", arg=before
        )
        assert "Clipping" in page.locator("#readout").text_content()
        assert "Clipping" in page.locator("#second svg").get_attribute("aria-label")


def test_figures_follow_the_light_that_is_chosen(browser: Any, site: Path) -> None:
    with opened(browser, site / "docs" / "story" / "clipping.html") as page:
        load_frames(page)
        frame, scheme = page.frames[1], "document.documentElement.dataset.scheme"
        frame.wait_for_function(f"{scheme} === 'light'")
        page.evaluate("document.body.dataset.theme = 'dark'")
        frame.wait_for_function(f"{scheme} === 'dark'")
        color = "getComputedStyle(document.body).backgroundColor"
        assert frame.evaluate(color) == "rgb(20, 23, 26)"


def test_search_finds_without_a_server(browser: Any, site: Path) -> None:
    with opened(browser, site / "search.html") as page:
        page.goto((site / "search.html").as_uri() + "?q=trust+region")
        page.locator("ul.search li a").first.wait_for(timeout=60_000)
        found = page.locator("ul.search li a").evaluate_all("a => a.map(x => x.href)")
        assert any("trust-regions" in url for url in found)


def test_equations_are_drawn(browser: Any, site: Path) -> None:
    with opened(browser, site / "docs" / "story" / "clipping.html") as page:
        assert page.locator(".katex-display").count() == 3
        loaded = "document.fonts.load('16px KaTeX_Main').then(fonts => fonts.length)"
        assert page.evaluate(loaded) > 0
