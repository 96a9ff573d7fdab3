"""Has anything moved unseen? Two small scenarios' requests, row by row, as CSV.

``pytest tests/golden --update-golden`` writes them anew; the change then shows in the diff.
"""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest

from simulator import Scenario, run

CASES = {
    "split": ("quick/split_inference", {"until": "5 s"}),
    "shared": ("quick/shared_access_point", {"until": "1500 ms", "nodes.camera.count": 4}),
}


@pytest.mark.parametrize("case", CASES)
def test_requests_are_as_they_were(case, update_golden):
    name, changes = CASES[case]
    frame = run(Scenario.load(name).with_(changes)).requests.drop(columns="run_id")  # which hashes the version too
    path = Path(__file__).parent / f"{case}.csv"
    if update_golden:
        path.write_text(frame.to_csv(index=False, float_format="%.12g"), encoding="utf-8")
    golden = pd.read_csv(path, keep_default_na=True)
    now = pd.read_csv(io.StringIO(frame.to_csv(index=False, float_format="%.12g")))
    pd.testing.assert_frame_equal(now, golden, rtol=1e-9)
