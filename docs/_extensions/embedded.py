"""Interactive pages and films in the places that comments mark; on GitHub a link stands there.

`<!-- embed: docs/explain/gae -->` is the page docs/explain/gae.html, and `<!-- film: paths -->`
is docs/animations/paths.mp4, or a sentence where that is not there.
"""

from __future__ import annotations

import base64
import html
import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

from analysis.reports.living.command import write as write_living

MARK = re.compile(r"<!-- (embed|film): (\S+) -->")
TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
FILMS = "docs/animations"


def frame(page: str, title: str, up: str) -> str:
    """A page inside of a page; it says how high it is, and follows light and dark."""
    return (
        f'<figure class="embedded"><iframe src="{up}{page}.html" title="{title}" loading="lazy">'
        f'</iframe><figcaption><a href="{up}{page}.html">Open this figure on a page of its own</a>'
        "</figcaption></figure>"
    )


def film(source: Path, name: str, up: str) -> str:
    """A film with its poster, and its captions inside of the page.

    From disk, browsers refuse to read captions from another file.
    """
    folder = source / FILMS
    if not (folder / f"{name}.mp4").is_file():
        return f'<p class="awaited">The film “{name}” is being made and will be shown here.</p>'
    captions = base64.b64encode((folder / f"{name}.vtt").read_bytes()).decode()
    path, label = f"{up}{FILMS}/{name}", html.escape(name.replace("_", " "))
    return (
        f'<figure class="film"><video controls preload="none" poster="{path}.png" '
        f'aria-label="Film: {label}"><source src="{path}.mp4" type="video/mp4">'
        f'<track kind="captions" srclang="en" label="English" default '
        f'src="data:text/vtt;base64,{captions}"></video></figure>'
    )


def embed(app: Sphinx, doctree: nodes.document) -> None:
    """Put the figures and films in their places."""
    source, up = Path(app.srcdir), "../" * app.env.docname.count("/")
    wanted = app.env.__dict__.setdefault("site_files", set())
    for node in list(doctree.findall(nodes.raw)):
        found = MARK.fullmatch(node.astext().strip())
        if found is None:
            continue
        kind, name = found.groups()
        if kind == "film":
            made = film(source, name, up)
            wanted |= {f"{FILMS}/{path.name}" for path in (source / FILMS).glob(f"{name}.*")}
        else:
            living = Path(app.outdir) / f"{name}.html"
            path = living if living.is_file() else source / f"{name}.html"
            title = TITLE.search(path.read_text(encoding="utf-8"))
            made = frame(name, title[1] if title else name, up)
            if path != living:
                wanted.add(f"{name}.html")
        node.replace_self(nodes.raw("", made, format="html"))


def make_living(app: Sphinx) -> None:
    """The living figures, from the runs of `results/`."""
    write_living(Path(app.outdir) / "docs" / "living")


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("builder-inited", make_living)
    app.connect("doctree-read", embed)
    return {"parallel_read_safe": False}
