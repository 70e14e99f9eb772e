"""`claims`: the committed ledger is what the committed numbers give, and verdicts follow rules."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from analysis.__main__ import main
from analysis.drawing import tables
from analysis.errors import AnalysisError
from analysis.reports import claims
from analysis.settings import DEFAULT_REFERENCE

RESULTS = DEFAULT_REFERENCE.parent


def test_the_committed_ledger_is_what_the_committed_numbers_give() -> None:
    found = claims.ledger(RESULTS)
    committed = (RESULTS / "claims.csv").read_bytes()
    made = pd.read_csv(io.BytesIO(tables.csv(found)))
    pd.testing.assert_frame_equal(pd.read_csv(io.BytesIO(committed)), made, rtol=1e-9)
    page = RESULTS.parent / "docs" / "claims.md"
    assert page.read_text(encoding="utf-8") == claims.markdown(found) + "\n"


def test_every_statement_of_table_1_has_its_own_numbers() -> None:
    """The scores and counts beside each printed score are those of the seeds' own table."""
    found = claims.ledger(RESULTS).set_index("id")
    assert found.index.is_unique and set(found["verdict"]) == set(claims.VERDICTS)
    rows = pd.read_csv(RESULTS / "table1_ten_seeds" / "table1.csv")
    assert len(rows) == 11
    for place, line in enumerate(rows.to_dict("records"), 1):
        claim = found.loc[f"T1.{place}"]
        assert claim["statement"].endswith(f"scores {line['paper_score']:g}")
        start = f"{line['score']:.2f} with {line['n_runs']} of {line['n_expected']} runs"
        assert claim["measured"].startswith(start)
    convention = json.loads((RESULTS / "table1" / "reading.json").read_text())["conventions"]
    assert len(found.loc["T1.12", "conventions"].split("; ")) == len(convention) == 6
    assert (found.loc[found["verdict"] != "not tested", "command"] != "").sum() > 30


def _write(results: Path, *entries: dict[str, Any]) -> Path:
    given = {"id": "a", "place": "p", "statement": "s"}
    plan = {
        "sources": {"t": {"file": "t.csv", "by": ["task"]}, "j": {"file": "j.json"}},
        "claims": [given | entry for entry in entries],
    }
    results.mkdir(exist_ok=True)
    (results / "claims.yaml").write_text(yaml.safe_dump(plan))
    (results / "t.csv").write_text("task,value\nHopper,0.75\n")
    (results / "j.json").write_text('{"p": 0.97}')
    return results


def test_verdicts_follow_from_the_numbers(tmp_path: Path) -> None:
    found = claims.ledger(
        _write(
            tmp_path,
            {"probability": "{j[p]}", "measured": "{t[Hopper][value]:.0%}"},
            {"probability": 0.5},
            {"probability": 0.05},
            {"inside": [[0.8, "{t[Hopper][value]}", 1]]},
            {"inside": [[0.8, "{t[Hopper][value]}", 1], [0.7, "{t[Hopper][value]}", 1]]},
            {"beyond": [0.5, 0.4, "{t[Hopper][value]}", 0.9]},
            {"beyond": [0.8, 0.4, "{t[Hopper][value]}", 0.9]},
            {"beyond": [0.98, 0.95, "{t[Hopper][value]}", 0.9]},
            {"verdict": "not tested"},
        )
    )
    by_interval = ["holds", "within noise", "fails"]
    expected = ["holds", "within noise", "fails", "holds", "fails", *by_interval, "not tested"]
    assert found["verdict"].tolist() == expected
    assert found["measured"][0] == "75 %" and found["probability"][0] == 0.97
    assert np.isnan(found["probability"][8])


@pytest.mark.parametrize(
    ("entry", "part"),
    [
        ({"measured": "{t[Walker2d][value]}"}, "cannot be read .'Walker2d'"),
        ({"measured": "{u[Hopper]}"}, "cannot be read .'u'"),
        ({"verdict": "perhaps"}, "has the verdict perhaps"),
        ({"verdict": "holds"}, "has the verdict holds"),
    ],
)
def test_a_bad_entry_is_one_sentence(tmp_path: Path, entry: dict[str, Any], part: str) -> None:
    with pytest.raises(AnalysisError, match=part):
        claims.ledger(_write(tmp_path, {"verdict": "not tested"} | entry))


def test_a_missing_file_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = _write(tmp_path / "r", {"verdict": "not tested"})
    (results / "j.json").unlink()
    command = ["claims", "--results", str(results), "--out", str(tmp_path / "out")]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "j.json" in error and error.count("\n") == 1


def test_the_page_counts_in_sentences() -> None:
    page = (RESULTS.parent / "docs" / "claims.md").read_text(encoding="utf-8")
    assert re.search(r"Of \d+ statements \d+ hold, \d+ are within noise, \d+ fail, \d+ are", page)
