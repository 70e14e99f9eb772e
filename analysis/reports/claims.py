"""`claims`: a ledger of the paper's empirical statements, each with what was measured here.

`results/claims.yaml` names the statements and where their numbers are: texts with fields of the
committed files, as `str.format` takes them. So no number is written by hand.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from analysis import cli
from analysis.drawing import tables
from analysis.drawing.text import percent
from analysis.errors import reading
from analysis.published.files import read
from analysis.reports.reading.claims import verdict
from analysis.settings import DEFAULT_REFERENCE
from repro.runs import store

COLUMNS = (
    *("id", "place", "statement", "measured", "verdict", "probability", "conventions", "command"),
)
NOT_TESTED = "not tested"  # the only verdict that is written by hand
VERDICTS = ("holds", "within noise", "fails", NOT_TESTED)
_COUNTED = dict(zip(VERDICTS, ("hold", "are within noise", "fail", "are not tested"), strict=True))
NAME = "claims.yaml"


def ledger(results: Path) -> pd.DataFrame:
    """`COLUMNS`, one line a statement of `results/claims.yaml`.

    Raises:
        AnalysisError: for a file that is missing or damaged, a field that its file does not have,
            or a verdict by hand other than `not tested`.
    """
    path = results / NAME
    with reading(path, "it, a file or a field that it names is not there"):
        plan = yaml.safe_load(path.read_text(encoding="utf-8"))
        sources = {name: _source(results, what) for name, what in plan["sources"].items()}
        lines = [_line(claim, sources) for claim in plan["claims"]]
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _source(results: Path, what: Mapping[str, Any]) -> Any:
    """A JSON file as it is, or a CSV as nested mappings: its columns `by`, then the others."""
    path = results / str(what["file"])
    if path.suffix == ".json":
        return store.read_json(path)
    found: dict[str, Any] = {}
    for line in read(path, pd.read_csv).to_dict("records"):
        place = found
        for column in what["by"]:
            value = line[column]  # `str.format` takes digits alone for an index
            key = str(float(value) if isinstance(value, int) else value)
            place = place.setdefault(key, {})
        place.update({str(key): value for key, value in line.items()})
    return found


def _line(claim: Mapping[str, Any], sources: Mapping[str, Any]) -> dict[str, Any]:
    def fill(text: object) -> str:
        return re.sub(r"(?<=\d)%", " %", str(text).format(**sources))

    probability = float(fill(claim["probability"])) if "probability" in claim else float("nan")
    if "inside" in claim:  # numbers, each with the ends of an interval
        triples = [[float(fill(text)) for text in triple] for triple in claim["inside"]]
        found = "holds" if all(low <= x <= high for x, low, high in triples) else "fails"
    elif "beyond" in claim:  # where it holds, where it fails, and the ends of an interval
        enough, least, low, high = (float(fill(text)) for text in claim["beyond"])
        found = "holds" if low >= enough else ("fails" if high < least else "within noise")
    else:
        found = str(claim["verdict"]) if "verdict" in claim else verdict(probability)
    if found not in VERDICTS or claim.get("verdict", NOT_TESTED) != NOT_TESTED:
        raise ValueError(f"{claim['id']} has the verdict {claim.get('verdict', found)}")
    each = [
        f"{one['best']}, {one['random']}: {str(claim['each']).format(one=one)}"
        for one in (sources["reading"]["conventions"] if "each" in claim else ())
    ]
    return {
        **{key: claim[key] for key in ("id", "place", "statement")},
        "measured": fill(claim.get("measured", "")),
        **{"verdict": found, "probability": probability, "conventions": "; ".join(each)},
        "command": claim.get("command", ""),
    }


def markdown(found: pd.DataFrame) -> str:
    """The page: counts, then a table for each part of the paper."""
    counts = Counter(found["verdict"])
    head = ", ".join(f"{counts[name]} {words}" for name, words in _COUNTED.items())
    parts = [f"Of {len(found)} statements {head}.\n\n{_HOW}"]
    for place, claims in found.groupby("place", sort=False):
        shown: tables.Columns = {
            "Id": "id",
            "The paper says (in our words)": "statement",
            "Measured here": "measured",
            "Verdict": "verdict",
            "Probability": lambda line: (
                "" if pd.isna(line["probability"]) else percent(line["probability"])
            ),
        }
        commands = ", ".join(f"`{c}`" for c in dict.fromkeys(claims["command"]) if c)
        text = tables.of(claims, "lllll", shown)
        parts.append(f"## {place}\n\n{text}" + (f"\n\nFrom {commands}." if commands else ""))
    body = "\n\n".join(parts)
    return f"# What survives of the paper's evidence\n\n{body}"


_HOW = (
    "Made of [`results/claims.yaml`](../results/claims.yaml) and the committed results by\n"
    "`python -m analysis claims --out .`; the same as a table, with the probability under each\n"
    "convention that the paper leaves open: [`results/claims.csv`](../results/claims.csv).\n"
    "A statement with a probability holds from 95 % on, fails up to 5 %, and is within noise\n"
    "between. A printed score holds if it lies where 95 % of the tables with three seeds would\n"
    "have it, drawn with replacement from the seeds there are. PPO does better 'on almost every\n"
    "task' where the interval of P(PPO better), the mean over tasks, is at 0.75 or above, and\n"
    "does not where it is below 0.5."
)
_WHERE = "directory of the results (default: results)"
_RESULTS = cli.option(
    "--results", _WHERE, type=Path, default=DEFAULT_REFERENCE.parent, metavar="DIR"
)


@cli.command("claims", _RESULTS)
def command(given: cli.Given) -> cli.Output:
    """The ledger of the paper's claims: results/claims.csv and docs/claims.md below --out."""
    found = ledger(given.results)
    text = markdown(found)
    return cli.Output({"results/claims.csv": found, "docs/claims.md": text}, text)
