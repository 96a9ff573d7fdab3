"""Analysis: turns the columns of a run into statements. Here: figures, each with its table.

    from analysis import draw
    draw("cuts", "quick/split_inference").save("figures")

Statistics and the table of paper claims join with later versions.
"""

from analysis.figures import FIGURES, draw
from analysis.picture import Picture
from analysis.subject import Subject

__all__ = ["FIGURES", "Picture", "Subject", "draw"]
