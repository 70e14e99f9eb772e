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

from analysis.reports.living import write as write_living

MARK = re.compile(r"<!-- (embed|film): (\S+) -->")
TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
FILMS = "docs/animations"


def frame(app: Sphinx, page: str, up: str) -> str:
    """A page inside of a page; it says how high it is, and follows light and dark."""
    path = next(
        (p for p in (Path(app.outdir) / page, Path(app.srcdir) / page) if p.is_file()), None
    )
    if path is None:
        return '<p class="awaited">This figure is being made and will be shown here.</p>'
    title = TITLE.search(path.read_text(encoding="utf-8"))
    name = title[1] if title else page
    return (
        f'<figure class="embedded"><iframe src="{up}{page}" title="{name}" loading="lazy">'
        f'</iframe><figcaption><a href="{up}{page}">Open this figure on a page of its own</a>'
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
        f'<figure class="film"><video controls preload="none" poster="{path}.jpg" '
        f'aria-label="Film: {label}"><source src="{path}.mp4" type="video/mp4">'
        f'<track kind="captions" srclang="en" label="English" default '
        f'src="data:text/vtt;base64,{captions}"></video>'
        f'<figcaption><a href="{path}.html">The transcript of this film</a></figcaption></figure>'
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
            made, files = film(source, name, up), sorted((source / FILMS).glob(f"{name}.*"))
        else:
            made, files = frame(app, f"{name}.html", up), [source / f"{name}.html"]
        wanted |= {path.relative_to(source).as_posix() for path in files if path.is_file()}
        node.replace_self(nodes.raw("", made, format="html"))


def make_living(app: Sphinx) -> None:
    """The living figures, from the runs of `results/`."""
    write_living(Path(app.outdir) / "docs" / "living")


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("builder-inited", make_living)
    app.connect("doctree-read", embed)
    return {"parallel_read_safe": False}
