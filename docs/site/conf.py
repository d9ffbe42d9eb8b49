"""What Sphinx is told."""

from __future__ import annotations

import sys
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parents[2]))
from docs.site import references

project = "trioq"
copyright = "the authors of trioq"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
root_doc = "index"
exclude_patterns = [".doctrees"]

# Pages: as a code host renders them.
myst_heading_anchors = 4

# Docstrings: Google's sections, and one of our own.
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Cancellation"]
napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
maximum_signature_line_length = 80
python_use_unqualified_type_names = True

# Nothing comes from elsewhere: the site works from a folder, without a network.
html_theme = "furo"
html_title = "trioq"
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "source_repository": "https://github.com/trioq/trioq/",
    "source_branch": "main",
    "source_directory": "docs/",
    "top_of_page_buttons": [],
}
pygments_style = "friendly"
pygments_dark_style = "monokai"


def setup(app: Sphinx) -> None:
    """What no option says."""
    app.add_lexer("mermaid", TextLexer)
    references.setup(app)
