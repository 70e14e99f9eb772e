"""The site as it is built: complete, small, and in need of nothing outside of its folder."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from analysis.reports.explain.pages import PAGES
from tests.helpers.cli import ROOT

LOADED = {"audio", "embed", "iframe", "img", "input", "link", "script", "source", "track", "video"}


class Page(HTMLParser):
    """What a page loads, where it leads, and the places that others can lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.leads: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value for name, value in attrs if value}
        self.places |= {values[name] for name in ("id", "name") if name in values}
        for name in ("src", "poster", "href", "data"):
            if name in values and not values[name].startswith("data:"):
                (self.loads if tag in LOADED else self.leads).append(values[name])


@functools.cache
def parsed(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def pages(site: Path) -> Iterator[Path]:
    found = sorted(site.rglob("*.html"))
    assert len(found) > 70
    yield from found


def test_links_lead_somewhere(site: Path) -> None:
    broken = []
    for path in pages(site):
        for target in parsed(path).leads:
            url = urlsplit(target)
            if url.scheme in ("http", "https", "mailto"):
                continue
            linked = (path.parent / unquote(url.path)).resolve() if url.path else path
            place = unquote(url.fragment)
            there = linked.is_file() and linked.is_relative_to(site)
            if there and place and linked.suffix == ".html":
                there = place in parsed(linked).places
            if not there:
                broken.append((str(path.relative_to(site)), target))
    assert not broken


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for path in pages(site):
        for target in parsed(path).loads:
            url = urlsplit(target)
            assert not url.scheme and not url.netloc, (path, target)
            assert not url.path or (path.parent / unquote(url.path)).is_file(), (path, target)
    for path in site.rglob("*.css"):
        for target in re.findall(r"url\(([^)]*)\)", path.read_text(encoding="utf-8")):
            target = target.strip("\"'")
            assert target.startswith(("data:", "#")) or (path.parent / target).is_file(), target


def test_it_is_small(site: Path) -> None:
    assert sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) < 25e6


def test_every_page_of_markdown_and_every_notebook_is_in_it(site: Path) -> None:
    sources = [
        *ROOT.glob("*.md"),
        *(path for kind in ("md", "ipynb", "rst") for path in (ROOT / "docs").rglob(f"*.{kind}")),
        *(ROOT / "results").rglob("*.md"),
    ]
    for path in sources:
        assert (site / path.relative_to(ROOT).with_suffix(".html")).is_file(), path
    assert (site / "index.html").read_bytes() == (site / "README.html").read_bytes()


def test_figures_and_films_have_their_places(site: Path) -> None:
    story = "".join(path.read_text() for path in (site / "docs" / "story").glob("*.html"))
    for name in (*(f"explain/{name}" for name in PAGES), "living/table1", "living/figure3"):
        assert f'<iframe src="../../docs/{name}.html" title=' in story, name
    sources = "".join(path.read_text() for path in (ROOT / "docs" / "story").glob("*.md"))
    marks = re.findall(r"<!-- film: (\w+) -->", sources)
    assert len(marks) == 5
    for name in marks:
        there = (ROOT / "docs" / "animations" / f"{name}.mp4").is_file()
        assert (f"{name}.mp4" in story) is there
        assert (f"“{name}” is being made" in story) is not there


def test_notebooks_were_executed(site: Path) -> None:
    for name, word in (("quickstart", "nats at most"), ("own_figure", "<img")):
        text = (site / "docs" / "notebooks" / f"{name}.html").read_text()
        assert "cell_output" in text and word in text


def test_the_reference_has_what_import_offers(site: Path) -> None:
    places = parsed(site / "docs" / "api.html").places
    wanted = {"repro.train", "repro.load", "repro.runs", "repro.Run", "repro.Runs"}
    wanted |= {"repro.Run.policy", "repro.Run.progress", "repro.errors.ConfigError"}
    assert wanted <= places


def test_equations_are_rendered_by_what_the_site_has(site: Path) -> None:
    page = parsed(site / "docs" / "story" / "clipping.html")
    assert any("katex.min.js" in target for target in page.loads)
    assert not any("katex" in target for target in parsed(site / "docs" / "faq.html").loads)
    assert len(list((site / "_static" / "katex" / "fonts").glob("*.woff2"))) == 20
