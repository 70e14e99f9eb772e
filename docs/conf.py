"""How Sphinx makes the site of the repository's Markdown pages: `make docs`."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_extensions"), str(HERE.parent)]

import repro  # noqa: E402

project = "ppo-repro"
author = "the ppo-repro contributors"
copyright = f"{author}, MIT license"
version = release = repro.__version__

# The source is the repository, so that the links that GitHub follows are those of the site.
root_doc = "README"
include_patterns = ["*.md", "docs/**", "results/**"]
exclude_patterns = ["docs/_*", "docs/conf.py", "docs/**/*.html"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb", ".rst": "restructuredtext"}
extensions = [
    *("myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"),
    *("contents", "embedded", "links", "mathematics"),
]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_dmath_double_inline = True
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = -1  # a busy machine is no error
nb_merge_streams = True
autosummary_generate = False
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
highlight_language = "text"

html_theme = "furo"
html_title = "Does PPO do what the paper says?"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["embedded.js"]
html_math_renderer = "katex"
html_copy_source = False
html_show_sphinx = False
html_show_search_summary = False  # from disk, no page can be fetched
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#005a8c", "color-brand-content": "#005a8c"},
    "dark_css_variables": {"color-brand-primary": "#7cc4ee", "color-brand-content": "#7cc4ee"},
}
