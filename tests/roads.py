"""A car on the equator between two masts, for the tests of mobility."""

from __future__ import annotations

from simulator import Library, Scenario
from simulator.testing import chain, machine


def drive(tmp_path, asks: float | list[float] = 1.0, changes: dict | None = None, back: bool = True) -> Scenario:
    """Return the drive with requests at the times *asks*, and values changed by dotted path."""
    (tmp_path / "drive.csv").write_text("# kind: mobility\nt_s,lat,lon\n0,0,-0.01\n200,0,0.01\n")
    asks = asks if isinstance(asks, list) else [asks]
    (tmp_path / "asks.csv").write_text("t_s\n" + "".join(f"{time}\n" for time in asks))
    times = {"board": (0.1, 0.2, 0.3), "rack": (0.01, 0.02, 0.03)}
    library = Library(models=[chain((1e5, 5e4, 2e4, 1e3), times)], machines=[machine("board"), machine("rack")])
    data = {
        "name": "drive",
        "until": "200 s",
        "model": "tiny",
        "variability": "none",
        "nodes": {
            "car": {"kind": "device", "hardware": "board", "position": {"trace": "drive.csv"}},
            "mast": {"kind": "server", "hardware": "rack", "count": 2, "position": ["0, -0.01", "0, 0.01"]},
            "edge": {"kind": "server", "hardware": "rack"},
        },
        "links": {
            "radio": {
                "between": ["car", "mast"], "bandwidth": "1 MB/s", "delay": "10 ms", "connection": "none",
                "attach": {"to": "nearest", "interruption": "50 ms"},
            },
            "back": {"between": ["mast", "edge"], "bandwidth": "100 MB/s", "delay": "2 ms", "connection": "none"},
        },
        "workload": {"kind": "inference", "sources": ["car"], "arrivals": {"kind": "replay", "trace": "asks.csv"}},
        "technique": {"kind": "min-latency"},
    }  # fmt: skip
    if not back:
        del data["links"]["back"], data["nodes"]["edge"]
    scenario = Scenario.from_dict(data, library, tmp_path)
    return scenario.with_(changes) if changes else scenario


def failure(what: str, name: str, at: float, length: float | None) -> dict:
    repair = {} if length is None else {"repair_after": f"{length} s"}
    return {"kind": "failure", what: name, "at": {"time": f"{at} s"}, **repair}
