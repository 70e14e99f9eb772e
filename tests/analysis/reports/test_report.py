"""The report of a sweep: one page that stands by itself, and the figures of a paper."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.__main__ import main
from repro.runs import store
from tests.helpers.synthetic_runs import identity, write_reference, write_run

STUDY = [("clip", 0.1), ("clip", 0.25), ("kl_adaptive", 0.003), ("kl_fixed", 2.0)]
TASKS = ("Hopper-v4", "Swimmer-v4")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four settings, two tasks, three seeds; a later setting returns more, one run is missing."""
    directory = tmp_path_factory.mktemp("study")
    infos = [
        identity(task, kind, value, seed)
        for task in TASKS
        for kind, value in STUDY
        for seed in range(3)
    ]
    store.write_sweep(directory, infos, "python -m repro -m 'objective=clip(0.1)' runs_dir=a|b")
    for info in infos[:-1]:
        level = 10.0 * STUDY.index((info["objective"], info["objective_value"]))
        write_run(directory, info, [level + info["seed"]] * 120)
    return directory


@pytest.fixture(scope="module")
def made(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made")
    reference = write_reference(out / "reference")
    where = ["--runs", str(study), "--out", str(out), "--reference", str(reference)]
    assert main(["report", *where]) == 0
    assert main(["table1", *where]) == 0
    return out


class _Page(HTMLParser):
    """The cells of each table, and everything that a browser would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.fetched: list[str] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value or "" for key, value in attrs if key in ("src", "href")]
        if tag in ("strong", "code", "wbr"):
            return
        self.inside = tag in ("td", "th")
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif self.inside:
            self.tables[-1][-1].append("")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.tables[-1][-1][-1] += data

    def handle_endtag(self, tag: str) -> None:
        self.inside = False if tag == "tr" else self.inside


def test_the_page_stands_by_itself_and_says_what_the_markdown_says(made: Path) -> None:
    page, text = _Page((made / "report.html").read_text()), (made / "report.md").read_text()
    kinds = [url.partition(",")[0] for url in page.fetched]
    assert kinds == ["data:image/svg+xml;base64"] * 2
    lines = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    cells = [[cell.strip("* ") for cell in line[1:-1].split("|")] for line in lines]
    assert [[cell.strip() for cell in row] for table in page.tables for row in table] == cells
    for title in re.findall("^#+ (.*)", text, re.MULTILINE):
        assert f">{title}</h" in (made / "report.html").read_text(), title
    assert "23 of 24 runs are done" in text and "never started" in text
    assert "python -m analysis report --runs" in text and "KL(old, new)" in text
    trained = "<li>Trained by <code>python -m repro -m 'objective=clip(0.1)' runs_dir=a|b</code>."
    assert trained in (made / "report.html").read_text()


def test_the_page_says_in_short_what_is_highest(made: Path) -> None:
    short = (made / "report.md").read_text().partition("## In short")[2].partition("##")[0]
    for task in TASKS:
        assert f"- {task}: **Fixed KL, β = 2** returns 3" in short
    assert "Highest score: **Fixed KL, β = 2**" in short and "with probability 100 %" in short


def test_every_pair_is_compared_in_both_directions(made: Path) -> None:
    page = _Page((made / "report.html").read_text())
    tables = [[[cell.strip() for cell in row] for row in table] for table in page.tables]
    (matrix,) = [table for table in tables if table[0][:2] == ["A", "B = 1"]]
    assert [row[0] for row in matrix[1:]] == [
        "1. Clipping, ε = 0.1",
        "2. Clipping, ε = 0.25",
        "3. Adaptive KL, d_targ = 0.003",
        "4. Fixed KL, β = 2",
    ]
    for place, row in enumerate(matrix[1:]):  # a later setting returns more, always
        assert row[1:] == ["100 %"] * place + [""] + ["0 %"] * (3 - place)
    assert "<strong>100 %</strong>" in (made / "report.html").read_text()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.usefixtures("painted")
def test_the_page_in_a_browser(
    browser: Any, study: Path, tmp_path: Path, width: int, scheme: str
) -> None:
    """It fits a narrow screen, is dark where the reader's screen is, and prints on A4."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    assert main(["report", "--runs", str(study), "--out", str(tmp_path)]) == 0
    size = {"width": width, "height": 900}
    context = browser.new_context(viewport=size, color_scheme=scheme, bypass_csp=True)
    page, asked = context.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address := (tmp_path / "report.html").as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [address]
    wide = "document.documentElement.scrollWidth"
    assert page.evaluate(wide) <= width
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 100)")
    color = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (color == "rgb(255, 255, 255)") == (scheme == "light")
    found = axe.Axe().run(page).response["violations"]
    assert not [x["id"] for x in found if x["impact"] in ("serious", "critical")]
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 680, "height": 960})  # A4 without its margins
    assert page.evaluate(wide) <= 680
    assert page.pdf(format="A4").startswith(b"%PDF")
    context.close()


def test_numbers_of_the_report(made: Path) -> None:
    returns = pd.read_csv(made / "returns.csv").set_index(["task", "row"])
    assert returns.loc[("Hopper-v4", "clip_0.25"), "return"] == pytest.approx(11)
    assert returns.loc[("Swimmer-v4", "kl_fixed_2"), "n_runs"] == 2
    better = pd.read_csv(made / "better.csv").set_index(["row", "other"])
    assert len(better) == 6 and (better["better"] == 0).all()  # later settings are apart
    assert better.loc[("clip_0.1", "clip_0.25"), "n_tasks"] == 2


def test_table_1_of_a_study_has_the_rows_that_were_asked_for(made: Path) -> None:
    rows = pd.read_csv(made / "table1.csv")
    assert sorted(zip(rows["objective"], rows["value"], strict=True)) == sorted(STUDY)
    assert rows["score"].notna().all()
    assert "n/a" not in (made / "table1.md").read_text().partition("## Notes")[0]
    per_task = (made / "table1_per_task.md").read_text()
    assert "not run" not in per_task and "Clipping, ε = 0.25" in per_task


def test_settings_other_than_objectives(tmp_path: Path) -> None:
    for rate in (1e-3, 3e-4):
        for seed in range(2):
            changes = {"algorithm.learning_rate": rate}
            info = identity(seed=seed, **changes)
            write_run(tmp_path / "runs", info, [1000 * rate + seed] * 9, config_changes=changes)
    where = ["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    assert main(["report", *where]) == 2  # two settings under one name
    assert main(["report", *where, "--by", "algorithm.learning_rate"]) == 0
    assert len(pd.read_csv(tmp_path / "out" / "better.csv")) == 1
    assert "| algorithm.learning_rate |" in (tmp_path / "out" / "report.md").read_text()


def test_tasks_without_a_scale_have_returns_and_no_scores(tmp_path: Path) -> None:
    for seed in range(2):
        write_run(tmp_path / "runs", identity("Own-v0", seed=seed), [1.0 + seed] * 9)
    assert main(["report", "--runs", str(tmp_path / "runs")]) == 0
    text = (tmp_path / "runs" / "tables" / "report.md").read_text()
    assert "## Scores" not in text and "## In short" not in text, "nothing to compare"
    assert "Own-v0 is excluded from every score" in text and "| 2 of 2 |" in text


@pytest.mark.usefixtures("painted")
def test_figures_as_pdf_have_a_columns_size_and_their_fonts(study: Path, tmp_path: Path) -> None:
    where = ["--runs", str(study), "--out", str(tmp_path), "--replicates", "100"]
    assert main(["table1", *where, "--pdf"]) == 0
    content = (tmp_path / "table1.pdf").read_bytes()
    (box,) = re.findall(rb"/MediaBox \[ ?([\d. ]+)\]", content)
    assert float(box.split()[2]) == pytest.approx(3.25 * 72)
    assert content.count(b"/FontFile2") >= 1 and b"/Type3" not in content
    assert {path.suffix for path in tmp_path.glob("table1.*")} == {
        *(".csv", ".md", ".tex", ".png", ".pdf")
    }
