"""Figures: a setting has one color, nothing leaves what is possible, a cut is marked."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.drawing import curves, style
from analysis.drawing.algorithms import ENTRIES
from analysis.published.atari import game_name, rom_name, table6
from analysis.reports.table1.figure import task_figure
from analysis.reports.table1.numbers import build
from analysis.runs.load import load_sweep
from analysis.settings import DEFAULT_REFERENCE

RESULTS = DEFAULT_REFERENCE.parent


def _rows(*rows: tuple[str, float]) -> pd.DataFrame:
    lines = [(f"{kind}_{value:g}", kind, value) for kind, value in rows]
    return pd.DataFrame(lines, columns=["row", "objective", "value"])


def test_a_setting_has_the_same_color_whatever_stands_beside_it() -> None:
    clips = [("clip", value) for value in (0.05, 0.1, 0.2, 0.3, 0.4)]
    others = [("kl_fixed", value) for value in (0.3, 1.0, 3.0, 10.0)] + [("new", 0.5), ("new", 2.0)]
    styles = style.objective_styles(_rows(*clips, *others))
    every = {row: look.color for row, look in styles.items()}
    assert len(set(every.values())) == len(every)
    for row in (*clips, *others):
        (alone,) = style.objective_styles(_rows(row)).items()
        assert every[alone[0]] == alone[1].color
    assert every["clip_0.2"] == "#0072b2" == ENTRIES["ppo"].color.lower()


def test_labels_have_the_same_color_whatever_stands_beside_them() -> None:
    every = curves.line_styles(["cnn_a3c", "cnn_nature", "paper", "ppo", "ppo2", "sb3", "zzz"])
    for label in ("cnn_a3c", "paper", "ppo", "sb3"):
        assert curves.line_styles(["aaa", label])[label] == every[label]
    assert every["ppo"] is ENTRIES["ppo"] and every["zzz"].name == "zzz"


def test_labels_that_no_table_knows_have_a_color_of_their_own_in_every_figure() -> None:
    labels = ["0", "1", "2", "3", "4", "0.0001", "0.9", "0.95", "0.99", "2048"]
    every = style.label_colors(labels)
    assert len(set(every.values())) == len(labels)
    for label in labels:
        assert style.label_colors([label]) == {label: every[label]}
        assert curves.line_styles(["ppo", label])[label].color == every[label]
    # These two would have one color: the first keeps it.
    first, second = (style.label_colors([label])[label] for label in ("0.0003", "0.001"))
    both = style.label_colors(["0.001", "0.0003"])
    assert first == second == both["0.0003"] != both["0.001"]


def test_games_are_named_as_the_paper_names_them() -> None:
    for rom in table6(DEFAULT_REFERENCE).index:
        assert rom_name(game_name(rom)) == rom
    assert game_name("beam_rider") == "BeamRider"


def test_no_interval_leaves_what_inverted_pendulum_can_return() -> None:
    """From 0 to 1,000: the pole falls, or 1,000 steps are over."""
    seen = 0
    for collected in RESULTS.rglob("runs.parquet"):
        for path in collected.parent.rglob("*.csv"):
            table = pd.read_csv(path)
            if {"task", "ci_low", "ci_high"} <= set(table):
                mine = table[table["task"] == "InvertedPendulum-v4"]
                assert (mine["ci_low"].dropna() >= 0).all(), path
                assert (mine["ci_high"].dropna() <= 1000 + 1e-6).all(), path
                seen += len(mine)
    assert seen > 1000


def test_runs_left_of_an_axis_are_marked_beside_their_interval() -> None:
    table = build(load_sweep(RESULTS / "quick"))
    cells = table.tasks.set_index(["task", "row"])
    lowest = table.scores.runs.set_index(["task", "row"])["return"]["HalfCheetah-v4", "none"].min()
    (axes, *_) = task_figure(table, 100).axes
    assert lowest < axes.get_xlim()[0] < cells.loc[("HalfCheetah-v4", "none"), "return"]
    (mark,) = [text for text in axes.texts if "◀" in text.get_text()]
    assert mark.get_text() == f"◀ {lowest:,.0f}"
    edge = axes.get_xlim()[0]
    bars = [line for line in axes.lines if line.get_linewidth() == 2.2]
    (bar,) = [line for line in bars if min(line.get_xdata()) < edge]
    assert abs(bar.get_ydata()[0] - mark.get_position()[1]) > 0.25


def test_what_an_axis_cuts_off_is_marked() -> None:
    steps = np.arange(1, 6)
    good = {"label": "good", "mean": [0.0, 5, 8, 9, 10], "ci_low": [0.0, 4, 7, 8, 9]}
    bad = {"label": "bad", "mean": [0.0, 1, -40, -50, -60], "ci_low": [0.0, 0, -80, -90, -99]}
    # Its line stays on the axis, and its band does not.
    wide = {"label": "wide", "mean": [0.0, 1, 1, 1, 1], "ci_low": [0.0, 0, -30, -30, -31]}
    lines = [
        pd.DataFrame({"task": "x-v1", "step": steps, "n_runs": 3, "n_expected": 3, **one})
        for one in (good, bad, wide)
    ]
    table = pd.concat(lines).assign(ci_high=lambda t: t["mean"] + 1)
    axes = Figure().add_subplot()
    curves.panel(axes, table, curves.line_styles(["good", "bad", "wide"]))
    texts = [text.get_text() for text in axes.texts]
    assert axes.get_ylim()[0] > -10
    assert "▼ bad: down to -99.0" in texts and "▼ wide: down to -31.0" in texts
    assert not [text for text in texts if "good" in text]
