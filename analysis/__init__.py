"""Analysis: turns the columns of runs into statements: comparisons with intervals, and figures, each with its table.

    from analysis import compare, draw
    print(compare("quick/adaptive_4g", "min-latency", "oracle", seeds=20))
    draw("cuts", "quick/split_inference").save("figures")

The table of paper claims joins with a later version.
"""

from analysis.comparison import Comparison
from analysis.figures import FIGURES, draw
from analysis.picture import Picture
from analysis.playing import compare
from analysis.subject import Subject

__all__ = ["FIGURES", "Comparison", "Picture", "Subject", "compare", "draw"]
