"""Links to files that are no pages lead to these files, not to downloads under other names."""

from __future__ import annotations

import shutil
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

SHOWN = {".html", ".jpg", ".mp4", ".png", ".svg", ".vtt"}  # what a browser opens as a page


def open_in_place(app: Sphinx, doctree: nodes.document) -> None:
    """Make of a download of something to look at a link to it, at its own path in the site."""
    for node in list(doctree.findall(addnodes.download_reference)):
        path = Path(app.env.relfn2path(str(node["reftarget"]), app.env.docname)[0])
        if path.suffix in SHOWN:
            up = "../" * app.env.docname.count("/")
            link = nodes.reference("", "", *node.children, refuri=up + path.as_posix())
            node.replace_self(link)
            wanted = app.env.__dict__.setdefault("site_files", set())
            wanted.add(path.as_posix())


def copy_files(app: Sphinx, exception: Exception | None) -> None:
    """Put what is linked to, or embedded, where the links expect it."""
    if exception is None and app.builder.format == "html":
        for name in sorted(app.env.__dict__.get("site_files", ())):
            target = Path(app.outdir) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                shutil.copy(Path(app.srcdir) / name, target)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("doctree-read", open_in_place)
    app.connect("build-finished", copy_files)
    return {"parallel_read_safe": False}
