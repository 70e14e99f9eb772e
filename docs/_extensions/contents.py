"""The order of the pages, which Markdown does not have; what it lacks goes below a README.

A parent page gets hidden tables of contents, so that its source has no directive in it.
"""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath
from typing import Any

from sphinx.application import Sphinx

ORDER: dict[str, dict[str, list[str]]] = {  # parent -> caption -> pages
    "README": {
        "PPO, explained": [
            *("docs/story/README", "docs/animations/README", "docs/explain/README"),
            "docs/demo/README",
        ],
        "The evidence": [
            *("docs/living", "docs/table1", "docs/claims", "docs/figure3", "docs/atari"),
            *("docs/humanoid", "docs/language", "docs/sb3", "docs/gallery", "results/README"),
        ],
        "Use it": [
            *("docs/quickstart", "docs/notebooks/quickstart", "docs/notebooks/own_figure"),
            *("docs/configuration", "docs/own-tasks", "docs/python", "docs/evaluate-and-watch"),
            *("docs/analysis", "docs/tuning", "docs/sweeps-and-clusters"),
            *("docs/resume-and-faults", "docs/loggers", "docs/faq"),
        ],
        "Reference": [
            *("docs/algorithms/README", "docs/api", "docs/run-directory", "docs/exit-codes"),
            *("docs/speed", "docs/gpu", "docs/README", "CONTRIBUTING", "CHANGELOG"),
        ],
    },
    "docs/story/README": {
        "": [f"docs/story/{name}" for name in (
            *("policy-gradients", "advantages", "trust-regions", "clipping"),
            *("experiments", "language-models"),
        )],
    },
}  # fmt: skip


def chapters(found: set[str]) -> dict[str, dict[str, list[str]]]:
    """`ORDER`, and what it does not name below the README of the nearest folder."""
    order = {parent: dict(captions) for parent, captions in ORDER.items()}
    named = {page for captions in ORDER.values() for pages in captions.values() for page in pages}
    for page in sorted(found - named - {"README"}):
        folders = [str(folder) for folder in PurePosixPath(page).parents]
        places = [str(PurePosixPath(folder, "README")) for folder in folders]
        parent = next(place for place in places if place in found and place != page)
        captions = order.setdefault(parent, {})
        captions.setdefault("More" if parent == "README" else "", []).append(page)
    return order


def add_contents(app: Sphinx, docname: str, source: list[str]) -> None:
    """Append hidden tables of contents to a parent page; to be in one, a page needs a heading."""
    if docname.startswith("results/") and not source[0].startswith("# "):
        source[0] = f"# {PurePosixPath(docname).name}\n\n{source[0]}"
    for caption, pages in chapters(set(app.env.found_docs)).get(docname, {}).items():
        head = f":caption: {caption}\n" if caption else ""
        lines = "\n".join(f"/{page}" for page in pages)
        source[0] += f"\n\n```{{toctree}}\n:hidden:\n{head}\n{lines}\n```\n"


def say_levels(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Captions of the navigation are headings; a heading has to have a level."""
    tree = str(context.get("furo_navigation_tree", ""))
    context["furo_navigation_tree"] = tree.replace(
        'role="heading"', 'role="heading" aria-level="2"'
    )


def add_front_page(app: Sphinx, exception: Exception | None) -> None:
    """The front page also under the name that browsers and servers look for."""
    if exception is None and app.builder.format == "html":
        shutil.copy(Path(app.outdir) / "README.html", Path(app.outdir) / "index.html")


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", add_contents)
    app.connect("html-page-context", say_levels, priority=900)  # after the theme
    app.connect("build-finished", add_front_page)
    return {"parallel_read_safe": True}
