"""Devices on the move in random worlds: nothing vanishes, and nothing is used that is not attached."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import Library, Scenario, Simulation
from simulator.physics.geometry import EARTH
from simulator.testing import chain, machine

PARTS = ["queue_s", "compute_s", "transfer_s", "delay_s", "software_s", "recovery_s", "hold_s"]
TECHNIQUES = [
    {"kind": "min-latency"}, {"kind": "server-only"}, {"kind": "device-only"},
    {"kind": "fixed-split", "split_point": 1},
    {"kind": "adaptive", "every": "1 s", "pause_resume": "0.2 s", "switch": "pause-resume"}, {"kind": "oracle"},
]  # fmt: skip
KNOWLEDGE = [
    {}, {"bandwidth": "last-transfer"},
    {"bandwidth": {"probe": "0.5 s", "bytes": "1 kB"}, "load": {"reported": "1 s", "bytes": "200 B"},
     "queues": {"reported": "1 s", "bytes": "200 B"}},
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("paths")


def world(folder, seed: int) -> Scenario:
    """Return a world of one to three devices that cross a field of two to five masts in some twenty seconds."""
    rng = np.random.default_rng(seed)
    pick = lambda options: options[int(rng.integers(len(options)))]
    points = 5
    rows = zip(np.arange(points) * 4.0, 0.02 * rng.random(points), 0.02 * rng.random(points), strict=True)
    path = folder / f"path{seed}.csv"
    path.write_text("# kind: mobility\nt_s,lat,lon\n" + "".join(f"{t},{a},{o}\n" for t, a, o in rows))
    masts, cars = int(rng.integers(2, 6)), int(rng.integers(1, 4))
    times = {"board": (0.1, 0.2, 0.3), "rack": (0.01, 0.02, 0.03)}
    costs = {"message": 1e-4, "byte": 1e-9, "transmit": 0.5, "receive": 0.2}
    library = Library(
        models=[chain((1e5, 5e4, 2e4, 1e3), times)], machines=[machine("board", **costs), machine("rack", **costs)]
    )
    radio = {
        "between": pick([["car", "mast"], ["mast", "car"]]), "delay": "10 ms",
        "attach": {"to": "nearest", "interruption": pick(["0 s", "50 ms", "700 ms"])},
        "connection": pick(["none", "persistent", "slow-start"]),
    }  # fmt: skip
    drawn = {"generate": "4g", "layer": "link"}  # a goodput would have the slow starts in it
    radio |= pick([{"bandwidth": "1 MB/s"}, {"up": "300 kB/s", "down": "2 MB/s"}, {"bandwidth": drawn}])
    sharing: list[dict] = [{}, {"sharing": "airtime"}, {"sharing": "max-min"}, {"burst": "20 kB"}]
    if "bandwidth" in radio:
        sharing += [{"duplex": "half"}]
    radio |= pick(sharing)
    if radio.get("sharing") == "max-min" and pick([True, False]):
        radio["shared"] = True
    (folder / f"late{seed}.csv").write_text(
        "# kind: latency; unit: ms; duration_s: 7; end: wrap\nstart_s,value\n0,10\n3,80\n5,1\n"
    )
    links = {"radio": radio}
    if pick([True, True, False]):
        delay = pick(["2 ms", {"trace": f"late{seed}.csv", "offset": "random"}])
        back = {"between": ["mast", "edge"], "bandwidth": "5 MB/s", "delay": delay, "connection": "none"}
        links["back"] = back | pick([{}, {"sharing": "max-min"}])
    dynamics = []
    for name in rng.permutation(["mast-0", "mast-1", "edge", "car-0"])[: int(rng.integers(0, 3))].tolist():
        if name != "edge" or "back" in links:
            repair = {"repair_after": f"{rng.uniform(0.5, 6):g} s"} if rng.random() < 0.8 else {}
            at = {"time": f"{rng.uniform(1, 15):g} s"}
            dynamics.append({"kind": "failure", "node": name, "at": at, **repair})
    if rng.random() < 0.5:
        at = {"time": f"{rng.uniform(1, 15):g} s"}
        dynamics.append({"kind": "failure", "link": "radio[car-0,mast-1]", "at": at, "repair_after": "3 s"})
    nodes = {
        "car": {"kind": "device", "hardware": "board", "count": cars,
                "position": {"trace": path.name} | pick([{}, {"end": "wrap", "offset": "random"}])},
        "mast": {"kind": "server", "hardware": "rack", "count": masts,
                 "position": [f"{a:.6f}, {o:.6f}" for a, o in 0.02 * rng.random((masts, 2))]},
    }  # fmt: skip
    if "back" in links:
        nodes["edge"] = {"kind": "server", "hardware": "rack"}
    arrivals = pick([{"kind": "poisson", "rate": "2 /s"}, {"kind": "closed", "users": 2, "think": "100 ms"}])
    data = {
        "name": "field", "seed": seed, "until": "20 s", "model": "tiny", "nodes": nodes, "links": links,
        "workload": {"kind": "inference", "sources": ["car"], "arrivals": arrivals},
        "technique": pick(TECHNIQUES), "knowledge": pick(KNOWLEDGE), "dynamics": dynamics,
    }  # fmt: skip
    if data["technique"]["kind"] == "oracle":
        data["knowledge"] = {}
    return Scenario.from_dict(data, library, folder)


seeds = given(seed=st.integers(0, 10**6))


@seeds
@settings(max_examples=120)
def test_nothing_vanishes(folder, seed):
    simulation = Simulation(world(folder, seed))
    results = simulation.run()
    rows, links = results.requests, results.links
    assert rows["outcome"].isin(["done", "unfinished"]).all()
    assert not simulation.cluster.open
    done = rows[rows["outcome"] == "done"]
    assert done["latency_s"].to_numpy() == pytest.approx(done[PARTS].sum(axis=1).to_numpy(), abs=1e-9)
    assert (done[PARTS].to_numpy() >= -1e-12).all()
    numbers = rows.groupby("source")["request"].agg(list)
    assert all(sorted(numbers[source]) == list(range(len(numbers[source]))) for source in numbers.index)
    assert (links["sent_bytes"] >= links["received_bytes"] * (1 - 1e-12)).all()
    transfers = results.spans[results.spans["kind"].isin(["transfer", "probe", "report"])]
    crossed = transfers[transfers["completed"]].copy()
    crossed["hops"] = 1 + crossed["resource"].str.count(r"\+")
    assert links["received_bytes"].sum() == pytest.approx((crossed["sent_bytes"] * crossed["hops"]).sum())


@seeds
@settings(max_examples=80)
def test_only_what_is_attached_carries_and_not_before_the_interruption_is_over(folder, seed):
    results = Simulation(world(folder, seed)).run()
    spans = results.spans[results.spans["completed"] & results.spans["resource"].str.contains("radio")]
    periods: dict[str, list[tuple[float, float]]] = {}
    for device, rows in results.handovers.groupby("device"):
        first = rows["from_link"].iloc[0]
        times = [0.0, *rows["t_s"]]
        opens = [0.0, *(rows["t_s"] + rows["interruption_s"])]
        for i, link in enumerate([first, *rows["to_link"]]):
            until = times[i + 1] if i + 1 < len(times) else math.inf
            periods.setdefault(link, []).append((opens[i], until))
        assert rows["to_link"].iloc[:-1].tolist() == rows["from_link"].iloc[1:].tolist(), device
    for span in spans.itertuples():
        for name in span.resource.split("+"):
            link = name.rsplit(".", 1)[0]
            if link in periods:
                inside = [begin - 1e-9 <= span.start_s and span.finish_s <= end + 1e-9 for begin, end in periods[link]]
                assert any(inside), (name, span.start_s, span.finish_s, periods[link])


@seeds
@settings(max_examples=25)
def test_the_same_seed_gives_the_same_frames(folder, seed):
    first, second = (Simulation(world(folder, seed)).run() for _ in range(2))
    for name in first.columns:
        assert first.frame(name).equals(second.frame(name)), name


@seeds
@settings(max_examples=40)
def test_attached_is_who_is_nearest(folder, seed):
    """Along the recorded path, by haversines on a grid: the mast attached is the nearest, but for a metre."""
    scenario = world(folder, seed)
    results = Simulation(scenario).run()
    rng_free = [row for row in results.handovers.itertuples() if row.device == "car-0"]
    nodes = scenario.document.data["nodes"]
    if "offset" in nodes["car"]["position"] or not rng_free:
        return
    table = np.loadtxt(folder / nodes["car"]["position"]["trace"], delimiter=",", skiprows=2)
    sites = np.array([[float(part) for part in text.split(",")] for text in nodes["mast"]["position"]])
    for time in np.linspace(0, 19.99, 150):
        lat, lon = (np.interp(time, table[:, 0], table[:, axis]) for axis in (1, 2))
        metres = np.radians(np.hypot(sites[:, 0] - lat, (sites[:, 1] - lon) * math.cos(math.radians(lat)))) * EARTH
        before = [row for row in rng_free if row.t_s <= time]
        link = before[-1].to_link if before else rng_free[0].from_link
        attached = int(link.rsplit("mast-", 1)[1].rstrip("]"))
        assert metres[attached] <= metres.min() + 1.0, time
