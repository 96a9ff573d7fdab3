"""A recording on a link: what it contains is not added again, and a downlink is no uplink unless one says so."""

from __future__ import annotations

import json

import pytest
from support import play

from simulator import Library, Scenario, ScenarioError, Trace
from simulator.foundation.errors import TraceError
from simulator.scenario.build import build
from simulator.testing import chain, machine, tiny

FRAMED = 1500 / 1448


@pytest.fixture
def file(tmp_path):
    """Write a recording of 1 MB/s (then 3) in the project's own form, and return how a scenario names it."""

    def file(facts="", name="link.csv", **entry):
        path = tmp_path / name
        path.write_text(
            f"# kind: bandwidth; unit: MB/s; duration_s: 200; end: wrap{facts}\nstart_s,value\n0,1\n100,3\n"
        )
        return {"trace": str(path), **entry}

    return file


def wired(ends=("pi", "edge"), nodes=None, **link) -> Scenario:
    """Return a scenario of one request of 8 MB at 0 s over one link, whose answer is nothing."""
    kinds = {"pi": "device", "edge": "server", **(nodes or {})}
    return Scenario.from_dict(
        {
            "name": "link", "until": "1 s", "model": "tiny", "variability": "none",
            "nodes": {name: {"kind": kind, "hardware": "free"} for name, kind in kinds.items()},
            "links": {"wire": {"between": list(ends), "delay": "0 s", **link}},
            "workload": {"kind": "inference", "sources": ["pi"], "arrivals": {"kind": "closed", "think": "10 min"}},
            "technique": {"kind": "server-only"},
        },
        Library(models=[chain((8e6, 0.0), {"free": (0.0,)})], machines=[machine("free")]),
    )  # fmt: skip


def duration(scenario: Scenario) -> float:
    return float(play(scenario).requests["transfer_s"].iloc[0])


def problem(**scenario) -> str:
    with pytest.raises(ScenarioError) as caught:
        build(wired(**scenario))
    return str(caught.value)


def grades(scenario: Scenario) -> dict[str, str]:
    return {channel.name: channel.bandwidth.grade for channel in build(scenario).channels}


# -- layers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "override", "factor"),
    [
        ("goodput", None, 1.0),
        ("link", None, FRAMED),
        ("unknown", None, FRAMED),
        (None, None, FRAMED),
        ("goodput", "link", FRAMED),
        ("link", "goodput", 1.0),
    ],
)
def test_headers_are_added_to_a_link_and_not_to_a_goodput(file, layer, override, factor):
    entry = file(f"; layer: {layer}" if layer else "") | ({"layer": override} if override else {})
    assert duration(wired(up=entry, down="1 Gbit/s")) == pytest.approx(8 * factor)


def test_each_direction_has_the_layer_of_its_own_recording(file):
    link = wired(up=file("; layer: goodput"), down=file("; layer: link", "other.csv"))
    assert {c.name: c.framing for c in build(link).channels} == {"wire.up": 1.0, "wire.down": pytest.approx(FRAMED)}


def test_what_a_goodput_contains_cannot_be_written_too(file):
    goodput = file("; layer: goodput")
    hint = 'leave it out, or write "layer: link" beside trace: or generate: if it is to stand for the bare link'
    assert (
        f"links.wire.framing: link.csv is what an application got through, all headers taken off already; {hint}"
        in problem(bandwidth=goodput, framing=1.05)
    )
    assert (
        f"links.wire.connection: link.csv is what an application got through, slow starts and all; {hint}"
        in problem(up=goodput, down="1 MB/s", connection="slow-start")
    )
    linked = goodput | {"layer": "link"}
    assert duration(wired(bandwidth=linked, framing=1.05)) == pytest.approx(8.4)
    build(wired(bandwidth=linked, connection="slow-start"))
    build(wired(bandwidth=goodput, framing=1.0))  # adds nothing


def test_both_directions_of_one_link_are_told_of_once(file):
    goodput = file("; layer: goodput")
    assert problem(bandwidth=goodput, framing=1.05).count("framing:") == 1
    assert problem(up=goodput, down=goodput, framing=1.05).count("framing:") == 1


# -- directions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("direction", "key", "way"),
    [
        ("down", "up", "uplink"),
        ("down", "bandwidth", "uplink"),
        ("up", "down", "downlink"),
        ("up", "bandwidth", "downlink"),
    ],
)
def test_the_other_direction_is_refused_with_what_to_write(file, direction, key, way):
    other = {"down": "up", "up": "down"}[direction]
    rest = {} if key == "bandwidth" else {{"up": "down", "down": "up"}[key]: "1 MB/s"}
    message = problem(**{key: file(f"; direction: {direction}"), **rest})
    assert f"links.wire.{key}: link.csv was recorded of the {direction}link, and is used as the {way} here" in message
    assert f'write "accept: {direction}-as-{other}" beside trace:' in message
    assert ("give up: and down: apart" in message) is (key == "bandwidth")
    with pytest.raises(ScenarioError):  # the wrong word
        build(wired(**{key: file(f"; direction: {direction}", accept=f"{other}-as-{direction}"), **rest}))


@pytest.mark.parametrize("entry", [{"accept": "down-as-up"}, {"scale": 0.5}, {"scale": 1.0}])
def test_a_downlink_that_stands_for_an_uplink_is_transferred_and_says_so(file, entry):
    scenario = wired(bandwidth=file("; direction: down; grade: measured", **entry))
    assert grades(scenario) == {"wire.up": "transferred", "wire.down": "measured"}
    networks = play(scenario).provenance["networks"]
    assert networks["wire.up"] == {"grade": "transferred", "source": "link.csv, recorded of the other direction"}
    assert networks["wire.down"] == {"grade": "measured", "source": "link.csv"}


def test_a_weaker_grade_stays(file):
    scenario = wired(bandwidth=file("; direction: down; grade: guessed", accept="down-as-up"))
    assert grades(scenario) == {"wire.up": "guessed", "wire.down": "guessed"}


def test_who_is_the_device_decides_and_not_the_order_of_between(file):
    recording = file("; direction: down")
    build(wired(("edge", "pi"), up=recording, down="1 MB/s"))
    assert "links.wire.down: link.csv was recorded of the downlink" in problem(
        ends=("edge", "pi"), up="1 MB/s", down=recording
    )


def test_between_servers_there_is_neither_up_nor_down(file):
    scenario = wired(nodes={"hub": "server"}, bandwidth="1 MB/s").with_(
        {"links.back": {"between": ["edge", "hub"], "bandwidth": file("; direction: down"), "delay": "0 s"}}
    )
    assert {channel.bandwidth.grade for channel in build(scenario).channels if channel.link == "back"} == {"measured"}


def test_members_of_a_group_share_one_trace_and_each_offset_is_graded(file):
    nodes = {"nodes.pi.count": 3, "links.wire.bandwidth": file("; direction: down", accept="down-as-up")}
    up = [c for c in build(wired(bandwidth="1 MB/s").with_(nodes)).channels if c.sender.startswith("pi")]
    assert len({id(channel.bandwidth) for channel in up}) == 1
    assert {channel.bandwidth.grade for channel in up} == {"transferred"}
    nodes["links.wire.bandwidth"] |= {"offset": "random"}
    channels = build(wired(bandwidth="1 MB/s").with_(nodes)).channels
    assert {(c.sender[:2], c.bandwidth.grade) for c in channels} == {("pi", "transferred"), ("ed", "measured")}


def test_a_group_is_told_once(file):
    with pytest.raises(ScenarioError) as caught:
        build(wired(bandwidth="1 MB/s").with_({"nodes.pi.count": 3, "links.wire.bandwidth": file("; direction: down")}))
    assert str(caught.value).count("was recorded of the downlink") == 1


def test_sabre_files_are_goodput_of_the_downlink(tmp_path):
    path = tmp_path / "bus.json"
    path.write_text(json.dumps([{"duration_ms": 1000, "bandwidth_kbps": 8000, "latency_ms": 100}]))
    assert "bus.json was recorded of the downlink" in problem(bandwidth={"trace": str(path)})
    assert duration(wired(bandwidth={"trace": str(path), "accept": "down-as-up"})) == pytest.approx(8.0)


# -- what else may stand beside trace: -----------------------------------------------------------------------------


def test_a_clip_bounds_the_recording_after_its_scale(file):
    def bandwidth(**entry) -> Trace:
        return build(wired(bandwidth=file(**entry))).channels[0].bandwidth

    assert list(bandwidth(clip="16 Mbit/s").values) == [1e6, 2e6]
    assert list(bandwidth(scale=4, clip="5 MB/s").values) == [4e6, 5e6]
    with pytest.raises(ScenarioError, match="5 has no unit"):
        wired(bandwidth=file(clip="5"))


def test_series_member_step_and_repair_reach_the_reader(tmp_path):
    path = tmp_path / "drive.csv"
    path.write_text("seq_num,A_throughput_mbps,B_throughput_mbps\n0,8,80\n1,16,x\n2,24,240\n")
    with pytest.raises(ScenarioError, match=r"holds 2 series; say which with series: \(A, B\)"):
        wired(down={"trace": str(path), "repair": True}, up="1 MB/s")
    entry = {"trace": str(path), "series": "B", "step": "2 s", "repair": True, "end": "error"}
    trace = build(wired(down=entry, up="1 MB/s")).channels[1].bandwidth
    assert (list(trace.starts), list(trace.values)) == ([0.0, 4.0], [1e7, 3e7])
    assert (trace.duration, trace.end) == (6.0, "error")


def test_a_run_beyond_a_recording_that_ends_in_an_error_says_so(file):
    scenario = wired(bandwidth=file(end="error"))
    assert duration(scenario) == pytest.approx(8 * FRAMED)
    with pytest.raises(TraceError, match="ends at 200 s, and the run needs more time; shorten until:"):
        duration(wired(bandwidth=file(end="error", scale=0.01)))


def test_a_load_has_neither_layers_nor_directions(tmp_path):
    path = tmp_path / "load.csv"
    path.write_text("# kind: cpu; unit: %; end: hold\nstart_s,value\n0,20\n5,80\n")
    with pytest.raises(ScenarioError, match="layer:, direction: and accept: are for bandwidths"):
        tiny({"nodes.edge.load": {"trace": str(path), "accept": "down-as-up"}})
    clipped = tiny({"nodes.edge.load": {"trace": str(path), "clip": 0.5}})
    assert list(clipped.entry.nodes["edge"].load.trace.values) == [0.2, 0.5]


@pytest.mark.parametrize("name", ["3g", "4g", "4g-markov", "5g-driving", "wifi"])
def test_generated_bandwidths_have_headers_in_them_as_what_they_were_fitted_to(name):
    channels = build(wired(bandwidth={"generate": name})).channels
    assert {channel.framing for channel in channels} == {1.0}
    channels = build(wired(bandwidth={"generate": name, "layer": "link"})).channels
    assert {channel.framing for channel in channels} == {FRAMED}


def test_generated_bandwidths_are_accepted_in_both_directions():
    channels = build(wired(bandwidth={"generate": "4g"})).channels
    assert {channel.bandwidth.grade for channel in channels} == {"transferred"}
