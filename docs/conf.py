"""Sphinx: four kinds of pages, and a reference made from the code so that nothing stands twice."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import _generate  # noqa: E402  (lies beside this file)

project = "Offing"
author = copyright = "The Offing developers"
release = version = version_of("offing")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "jupyter_execute"]
nitpicky = False

html_theme = "furo"
html_title = f"Offing {release}"
html_show_sphinx = False

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_timeout = 120
nb_execution_raise_on_error = True

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_class_signature = "separated"
autodoc_preserve_defaults = True

_generate.reference(HERE / "_build" / "generated")
_generate.notebook(HERE.parent / "notebooks" / "01_first_run.ipynb", HERE / "tutorial" / "first_run.ipynb")
_generate.notebook(HERE.parent / "notebooks" / "02_adapt.ipynb", HERE / "tutorial" / "adapt.ipynb")
