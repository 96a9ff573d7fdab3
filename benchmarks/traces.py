"""Importing a trace of ten million rows, beside pandas on the same file in the same run.

Timed on the CPU clock of a process of its own, start of the interpreter and imports included. ``import`` is the whole
command (read, check, convert, write); ``pandas`` reads the file with ``read_csv`` and writes it with ``to_csv``, and
checks nothing. Ratios are medians over interleaved repetitions.

    python benchmarks/traces.py --rows 10000000 --json
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv

MEASURE = """
import resource, sys, time
{code}
print(time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, file=sys.stderr)
"""
IMPORT = """
from simulator.cli import main
sys.argv = ["offing", "traces", "import", {source!r}, "--out", {target!r}, "--force", "--json"]
try:
    main()
except SystemExit as end:
    assert not end.code
"""
PANDAS = """
import pandas as pd
frame = pd.read_csv({source!r}, comment="#")
frame["value"] *= 1e6
frame.to_csv({target!r}, index=False)
"""
PANDAS_READ = """
import pandas as pd
pd.read_csv({source!r}, comment="#")
"""
CASES = {
    "import to CSV": (IMPORT, "out.csv"), "import to Parquet": (IMPORT, "out.parquet"),
    "pandas, read and write": (PANDAS, "out.csv"), "pandas, read": (PANDAS_READ, "out.csv"),
}  # fmt: skip


def write_trace(path: Path, rows: int) -> None:
    """Write *rows* seconds of random bandwidth, with all digits."""
    values = np.random.default_rng(1).exponential(20, rows)
    with path.open("wb") as stream:
        stream.write(f"# kind: bandwidth; unit: Mbit/s; duration_s: {rows}; end: wrap\nstart_s,value\n".encode())
        table = pa.table({"start_s": np.arange(rows, dtype=float), "value": values})
        arrow_csv.write_csv(table, stream, arrow_csv.WriteOptions(include_header=False))


def measure(code: str, source: Path, target: Path) -> tuple[float, float]:
    """Return the CPU time [s] and the largest memory [B] of a process that runs *code*."""
    text = MEASURE.format(code=code.format(source=str(source), target=str(target)))
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    seconds, size = map(float, done.stderr.split()[-2:])
    return seconds, size


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in CASES}
    with tempfile.TemporaryDirectory() as name:
        source = Path(name, "in.csv")
        write_trace(source, asked.rows)
        size = source.stat().st_size
        for _ in range(asked.repeat):
            for case, (code, target) in CASES.items():
                found[case].append(measure(code, source, Path(name, target)))
    compared = [
        ours[0] / theirs[0]
        for ours, theirs in zip(found["import to CSV"], found["pandas, read and write"], strict=True)
    ]
    result = {
        "rows": asked.rows, "file_bytes": size, "import_over_pandas_read_and_write": statistics.median(compared),
        "cases": {
            case: {
                "cpu_s": statistics.median(seconds for seconds, _ in runs),
                "rows_per_cpu_s": asked.rows / statistics.median(seconds for seconds, _ in runs),
                "memory_gib": max(size for _, size in runs) / 2**30,
            }
            for case, runs in found.items()
        },
    }  # fmt: skip
    if asked.json:
        print(json.dumps(result, indent=1))
        return
    for case, facts in result["cases"].items():
        print(f"{case:25} {facts['cpu_s']:6.2f} s CPU  {facts['rows_per_cpu_s'] / 1e6:5.2f} M rows/s  "
              f"{facts['memory_gib']:.2f} GiB")  # fmt: skip
    print(f"import over pandas (read and write): {result['import_over_pandas_read_and_write']:.2f}")


if __name__ == "__main__":
    main()
