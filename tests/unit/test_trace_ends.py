"""What follows a recording in a whole run: with ``end: error`` nothing may be asked beyond it, nothing is invented."""

from __future__ import annotations

import pytest
from support import Fixed, play

from simulator import Scenario, ScenarioError, Simulation, Trace
from simulator.foundation.errors import TraceError
from simulator.testing import tiny

REMOTE = ("edge", 0, 3)


def world(folder, duration: float, end: str, **changes) -> Scenario:
    """A link of 0.1 MB/s, recorded for *duration*; each request sends 100 kB up (1 s) and 1 kB down (10 ms)."""
    path = folder / "link.csv"
    path.write_text(f"# kind: bandwidth; unit: MB/s; duration_s: {duration}\nstart_s,value\n0,0.1\n1,0.1\n")
    return tiny({"links.uplink.bandwidth": {"trace": str(path), "end": end}, **changes})


def arrivals(folder, *times: float) -> dict:
    path = folder / "arrivals.csv"
    path.write_text("t_s\n" + "".join(f"{time}\n" for time in times))
    return {"workload.arrivals": {"kind": "replay", "trace": str(path)}}


def test_a_run_that_drains_a_little_beyond_the_recording_is_accounted_for_within_it(tmp_path):
    """The last answer leaves the link before the recording ends; computing goes on after it."""
    scenario = world(tmp_path, 4.0, "error", until="4 s", **arrivals(tmp_path, 0.5, 3.95))
    run = play(scenario, ("@", 0, 3))  # 0.6 s on the device alone: the second ends at 4.55 s
    assert run.requests["finish_s"].max() == pytest.approx(4.55)
    possible = run.links["capacity_bytes"]
    assert possible.tolist() == pytest.approx([4e5] * len(possible))


def test_a_transfer_that_needs_more_than_was_recorded_is_refused(tmp_path):
    scenario = world(tmp_path, 4.0, "error", until="4 s", **arrivals(tmp_path, 0.5, 3.95))
    with pytest.raises(TraceError, match=r"link\.csv ends at 4 s, and the run needs more time; shorten until:"):
        play(scenario, REMOTE)


@pytest.mark.parametrize("end", ["wrap", "hold", "zero"])
def test_other_ends_go_on(tmp_path, end):
    scenario = world(tmp_path, 4.0, end, until="4 s", **arrivals(tmp_path, 0.5, 3.95))
    assert len(play(scenario, ("@", 0, 3)).requests) == 2


def test_a_run_longer_than_the_recording_is_refused_before_it_starts(tmp_path):
    scenario = world(tmp_path, 4.0, "error", until="5 s", **arrivals(tmp_path, 0.5))
    with pytest.raises(
        ScenarioError, match=r"until: 5 s, but link\.csv ends at 4 s and says end: error; shorten until"
    ):
        Simulation(scenario.with_technique(Fixed.at(("@", 0, 3)))).run()


def test_accounts_end_with_the_recording_and_plans_are_refused():
    trace = Trace([0.0, 1.0], [1.0, 2.0], 3.0, "error", "x.csv")
    assert trace.recorded(2.0) == trace.integral(2.0) == 3.0
    assert trace.recorded(9.0) == trace.integral(3.0) == 5.0
    with pytest.raises(TraceError):
        trace.integral(9.0)
    assert Trace([0.0, 1.0], [1.0, 2.0], 3.0, "wrap").recorded(9.0) == 15.0
