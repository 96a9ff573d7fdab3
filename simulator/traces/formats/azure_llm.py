"""Requests to a language model (Azure LLM inference trace 2023 and 2024; Patel et al., ISCA 2024).

``TIMESTAMP,ContextTokens,GeneratedTokens`` with seven decimals of a second, in order. Requests may share an instant.
"""

from __future__ import annotations

from collections.abc import Mapping

from simulator.traces.format import Format, Request
from simulator.traces.mending import in_order, not_negative, parse
from simulator.traces.recording import Recording, Report
from simulator.traces.source import Source
from simulator.traces.tables import below_titles, dated, titles

COLUMNS = ("timestamp", "contexttokens", "generatedtokens")


def fits(source: Source) -> bool:
    """Return whether the header has the three columns."""
    return set(COLUMNS) <= set(titles(source))


def read(source: Source, options: Request) -> Mapping[str, Recording]:
    """Read the file; ``prompt_tokens`` and ``output_tokens`` stand beside the times.

    Raises:
        TraceError: naming the line that is wrong.
    """
    report = Report()
    columns, lines = below_titles(source, COLUMNS)
    dates, epoch = dated(source, lines, columns["timestamp"], "TIMESTAMP", options)
    rows = parse(source, dates, {name: columns[name] for name in COLUMNS}, options, report)
    for index in (1, 2):
        rows = not_negative(source, rows, index, COLUMNS[index], options, report)
    rows = in_order(source, rows, options, report)
    time, prompt, output = rows.columns
    time = time - time[0]
    columns_ = {"t_s": time, "prompt_tokens": prompt, "output_tokens": output}
    return {"": Recording("arrivals", columns_, report, float(time[-1]), epoch=epoch)}


FORMAT = Format("azure-llm", ("arrivals",), "requests to a language model, with their tokens (Azure)", fits, read)
