"""Scission's tables: read with clear errors, and its rule, which the simulator's own objects must reproduce."""

from __future__ import annotations

import csv
from itertools import combinations_with_replacement, pairwise
from pathlib import Path

import pytest
from support import recordings

from calibration.devices.contest import Trial
from calibration.fidelity.datasets import scission as dataset
from calibration.measured.pipelines import chains, latencies, pipeline, read_links, replay
from calibration.measured.replay import InTurn
from calibration.measured.scission import BlockTable, read_blocks
from simulator import Simulation
from simulator.foundation.errors import ProfileError

HEADER = "tier,machine,model,block,first_layer,last_layer,time_s,output_npy_bytes"
SMALL = [
    "device,pi,tiny,0,0,1,0.10,50128", "device,pi,tiny,1,2,2,0.20,20128", "device,pi,tiny,2,3,5,0.30,1128",
    "edge,box,tiny,0,0,1,0.05,50128", "edge,box,tiny,1,2,2,0.10,20128", "edge,box,tiny,2,3,5,0.15,1128",
    "cloud,hall,tiny,0,0,1,0.01,50128", "cloud,hall,tiny,1,2,2,0.02,20128", "cloud,hall,tiny,2,3,5,0.03,1128",
]  # fmt: skip
LINKS = "source,destination,ping(ms),bandwidth(mbps)\npi,box, 20, 8\npi,hall, 60, 8\nbox,hall,10,80\n"


def written(folder: Path, lines: list[str], name: str = "blocks.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


def links(folder: Path, text: str = LINKS) -> Path:
    path = folder / "network.csv"
    path.write_text(text)
    return path


def changed(old: str, new: str) -> list[str]:
    assert any(old in line for line in SMALL)
    return [line.replace(old, new) for line in SMALL]


def test_a_block_is_a_layer_and_sends_its_file(tmp_path):
    table = read_blocks(written(tmp_path, SMALL))
    profile = table.profile("tiny")
    assert (table.machines, table.models) == (("pi", "box", "hall"), ("tiny",))
    assert [cut.bytes for cut in profile.cuts()] == [150_000, 50_128, 20_128, 1_128]
    assert profile.measured["box"].seconds == (0.05, 0.1, 0.15)
    assert profile.measured["box"].grade == "measured"
    assert table.layers("tiny").tolist() == [2, 1, 3]


def test_rows_may_stand_in_any_order(tmp_path):
    table, mixed = (read_blocks(written(tmp_path, lines)) for lines in (SMALL, SMALL[::-1]))
    assert mixed.seconds("pi", "tiny").tolist() == table.seconds("pi", "tiny").tolist()
    assert mixed.machines == ("hall", "box", "pi")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (SMALL[:-1], ("2 blocks", '"hall"', "3", "cut short")),
        ([*SMALL[:3], *SMALL[4:]], ("block 1", "comes where block 0 should")),
        (changed("pi,tiny,1,2,2", "pi,tiny,1,1,2"), ("overlap", '"tiny" on "pi"')),
        ([*SMALL, SMALL[0]], ("block 0", "twice")),
        (changed("0.20,20128", "0.20,20256"), ("block 1", "other layers or bytes", '"pi"')),
        (changed("0.15,1128", "-0.15,1128"), ("blocks.csv:7", "time_s is -0.15")),
        (changed("0.15,1128", "inf,1128"), ("blocks.csv:7", "time_s is 'inf'")),
        (changed("0.15,1128", "0.15"), ("blocks.csv:7", "output_npy_bytes", "cut short")),
        ([], ("no rows",)),
    ],
)
def test_a_table_that_is_not_whole_is_refused(tmp_path, lines, words):
    with pytest.raises(ProfileError) as error:
        read_blocks(written(tmp_path, lines))
    for word in words:
        assert word in str(error.value)


def test_what_was_not_measured_is_named_with_what_was(tmp_path):
    other = [line.replace("tiny", "big") for line in SMALL[:3]]
    table = read_blocks(written(tmp_path, [*SMALL, *other]))
    with pytest.raises(ProfileError, match=r'no machine "boxx". Did you mean "box"'):
        table.seconds("boxx", "tiny")
    with pytest.raises(ProfileError, match=r'"big" was not measured on "hall" \(only on: pi\)'):
        table.seconds("hall", "big")


def test_two_tables_are_one_and_the_later_wins(tmp_path):
    table = read_blocks(written(tmp_path, SMALL))
    newer = read_blocks(written(tmp_path, [line.replace("0.15", "0.16") for line in SMALL[3:6]], "new.csv"))
    both = table.with_(newer)
    assert both.seconds("box", "tiny").tolist() == [0.05, 0.1, 0.16]
    assert both.seconds("pi", "tiny").tolist() == [0.1, 0.2, 0.3]
    odd = read_blocks(written(tmp_path, [line.replace("20128", "20256") for line in SMALL[3:6]], "odd.csv"))
    with pytest.raises(ProfileError, match="other layers or bytes"):
        table.with_(odd)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("source,destination,ping(ms)\na,b,1\n", "lacks the column bandwidth"),
        (LINKS + "pi,box,1,1\n", "twice"),
        (LINKS.replace("20, 8", "20, 0"), "above 0 Mbps"),
        (LINKS.replace("20, 8", "-1, 8"), "0 ms or more"),
        (LINKS.replace("20, 8", "20, fast"), "network.csv:2: expected numbers"),
        ("source,destination,ping(ms),bandwidth(mbps)\n", "no rows"),
    ],
)
def test_links_that_cannot_be_are_refused(tmp_path, text, words):
    with pytest.raises(ProfileError, match=words):
        read_links(links(tmp_path, text))


def test_a_small_pipeline_takes_what_one_adds_up_by_hand(tmp_path):
    table, joints = read_blocks(written(tmp_path, SMALL)), read_links(links(tmp_path))
    found = latencies(pipeline(table.profile("tiny"), ("pi", "box", "hall"), joints))
    by_cuts = {tuple(s.stop for s in p.segments): latency for p, latency in found.items() if len(p.segments) == 3}
    # 0.1 s; 20 ms and 50,128 B at 1 MB/s; 0.1 s; 10 ms and 20,128 B at 10 MB/s; 0.03 s
    assert by_cuts[1, 2, 3] == pytest.approx(0.1 + 0.02 + 0.050128 + 0.1 + 0.01 + 0.0020128 + 0.03, rel=1e-9)
    assert len(found) == 3, "blocks 1-1-1, 0-1-2 and 0-2-1: the device may have none, no server may"


def test_a_pipeline_needs_its_links_and_times(tmp_path):
    table, joints = read_blocks(written(tmp_path, SMALL)), read_links(links(tmp_path))
    with pytest.raises(ProfileError, match="no link leads from hall to pi"):
        pipeline(table.profile("tiny"), ("hall", "pi"), joints)
    with pytest.raises(ProfileError, match='no times on "box"'):
        pipeline(table.profile("tiny", ["pi"]), ("pi", "box"), joints)


def test_a_replay_has_every_cut_with_its_parts(tmp_path):
    table, joints = read_blocks(written(tmp_path, SMALL)), read_links(links(tmp_path))
    rows = replay(table.profile("tiny"), "pi", "box", joints)
    assert rows.index.tolist() == [0, 1, 2, 3]
    assert rows["device"].tolist() == pytest.approx([0, 0.1, 0.3, 0.6])
    assert rows["server"].tolist() == pytest.approx([0.3, 0.25, 0.15, 0])
    assert rows["uplink"].tolist() == pytest.approx([0.17, 0.070128, 0.040128, 0])
    assert rows["total"].tolist() == pytest.approx(rows[["device", "uplink", "server"]].sum(axis=1).tolist())


def test_slow_links_do_not_make_requests_meet(tmp_path):
    table = read_blocks(written(tmp_path, SMALL))
    joints = read_links(links(tmp_path, LINKS.replace("20, 8", "20, 0.001")))  # 20 minutes for the image
    rows = replay(table.profile("tiny"), "pi", "box", joints)
    assert rows["uplink"].tolist() == pytest.approx([1200.02, 401.044, 161.044, 0])


# -- against the real tables ---------------------------------------------------------------------------------------


def enumerated(model: str, network: str) -> dict[tuple[tuple[str, ...], tuple[int, ...]], float]:
    """Scission's rule over all partitions, from the CSV files alone: (machines, first blocks of each) to seconds."""
    times: dict[str, list[float]] = {}
    sizes: dict[str, list[float]] = {}
    with recordings("scission/block_profiles.csv").open() as stream:
        for row in csv.DictReader(stream):
            if row["model"] == model:
                times.setdefault(row["machine"], []).append(float(row["time_s"]))
                sizes.setdefault(row["machine"], [150e3]).append(float(row["output_npy_bytes"]))
    ways = {}
    with recordings(f"scission/{network}.csv").open() as stream:
        for row in csv.reader(stream):
            if row[0] != "source":
                ways[row[0], row[1]] = (float(row[2]) / 1000, float(row[3]) * 125_000)
    blocks = len(times["raspi4"])
    paths = [("raspi4",)]
    paths += [(a, b) for a, b in ways if a == "raspi4"]
    paths += [("raspi4", b, c) for b, c in ways if b != "raspi4"]
    found = {}
    for path in paths:
        for cuts in combinations_with_replacement(range(blocks + 1), len(path) - 1):
            edges = (0, *cuts, blocks)
            if any(a == b for a, b in pairwise(edges[1:])):
                continue  # a server without a block
            latency = sum(sum(times[name][a:b]) for name, a, b in zip(path, edges, edges[1:], strict=False))
            for ends, cut in zip(pairwise(path), cuts, strict=True):
                ping, rate = ways[ends]
                latency += ping + sizes[ends[0]][cut] / rate
            found[path, edges[:-1]] = latency
    return found


def models() -> list[str]:
    path = Path(__file__).parents[3] / "shared" / "data" / "scission" / "block_profiles.csv"
    if not path.is_file():
        return ["vgg16"]  # to be skipped by name
    with path.open() as stream:
        return list(dict.fromkeys(row["model"] for row in csv.DictReader(stream)))


@pytest.mark.data
@pytest.mark.parametrize("model", models())
@pytest.mark.parametrize("network", ["network_stats", "network_stats_wired"])
def test_the_simulator_counts_every_partition_as_scission_does(model, network):
    expected = enumerated(model, network)
    joints = read_links(recordings(f"scission/{network}.csv"))
    profile = read_blocks(recordings("scission/block_profiles.csv")).profile(model)
    found = {}
    for chain in chains(joints, "raspi4"):
        for placement, latency in latencies(pipeline(profile, chain, joints)).items():
            starts = {segment.node: segment.start for segment in placement.segments}
            found[chain, tuple(starts.get(name, 0) for name in chain)] = latency
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, rel=1e-6)
    assert len({key[0] for key in found}) == 9


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "at_home"), [("network_stats", {"mobilenet", "resnet50v2"}), ("network_stats_wired", set())]
)
def test_the_fastest_of_all_is_what_is_known_of_scission(network, at_home):
    """At 1.6 Mbps MobileNet and ResNet50V2 stay on the device, all others go to the cloud; at 20 Mbps all go."""
    joints = read_links(recordings(f"scission/{network}.csv"))
    table = read_blocks(recordings("scission/block_profiles.csv"))
    stay = set()
    for model in table.models:
        runs = []
        for chain in chains(joints, "raspi4"):
            if len(chain) == 3 and model not in ("vgg16", "mobilenet"):
                continue  # a third tier never pays here; two networks show it
            profile = table.profile(model)
            every = latencies(pipeline(profile, chain, joints))
            best = InTurn(placements=(min(every, key=lambda placement: every[placement]),))
            row = Simulation(pipeline(profile, chain, joints, best)).run().requests.iloc[0]
            runs.append((row["latency_s"], row["placement"]))
        latency, placement = min(runs)
        assert latency == pytest.approx(min(enumerated(model, network).values()), rel=1e-6)
        if placement.startswith("raspi4"):
            stay.add(model)
        assert "|" not in placement, "never a split on these links"
    assert stay == at_home


@pytest.mark.data
@pytest.mark.parametrize(("model", "seconds"), [("vgg16", 1.333), ("resnet50", 0.339)])
def test_with_a_block_kept_on_the_device(model, seconds):
    """Figures found before with another program: at 20 Mbps, at least one block on the device."""
    joints = read_links(recordings("scission/network_stats_wired.csv"))
    profile = read_blocks(recordings("scission/block_profiles.csv")).profile(model)
    found = [
        latency
        for chain in chains(joints, "raspi4")
        for placement, latency in latencies(pipeline(profile, chain, joints)).items()
        if placement.nodes[0] == "raspi4"
    ]
    assert min(found) == pytest.approx(seconds, abs=5e-4)


# -- the data set of the report ------------------------------------------------------------------------------------


def halves(folder: Path, checked: tuple[str, ...], machine: str = "") -> tuple[Path, Path]:
    """The real table in two files: without and with the networks *checked* (or rows of *machine*)."""
    with recordings("scission/block_profiles.csv").open() as stream:
        head, *lines = stream.read().splitlines()
    here = [line for line in lines if line.split(",")[2] in checked or line.split(",")[1] == machine]
    rest = [line for line in lines if line not in set(here)]
    for name, part in (("fit.csv", rest), ("check.csv", here)):
        (folder / name).write_text("\n".join([head, *part]) + "\n")
    return folder / "fit.csv", folder / "check.csv"


@pytest.mark.data
@pytest.mark.slow
def test_networks_never_seen_are_predicted_on_every_machine(tmp_path):
    fit, check = halves(tmp_path, ("resnet152v2", "densenet201"))
    found = dataset.compare(fit, check)
    assert set(found.rows["model"]) == {"resnet152v2", "densenet201"}
    assert len({condition.split(" unseen")[0] for condition in found.rows["condition"]}) == 5
    totals = found.rows[found.rows["segment"] == "total"]
    inside = (totals["low_s"] <= totals["measured_s"]) & (totals["measured_s"] <= totals["high_s"])
    assert 0.8 <= inside.mean() <= 1.0
    reached = {goal.what: goal for goal in found.goals}
    assert all(goal.met for what, goal in reached.items() if "interval" not in what), reached
    assert set(found.rows["grade"]) == {"transferred"}


@pytest.mark.data
@pytest.mark.slow
def test_a_machine_more_is_predicted_from_the_others(tmp_path):
    fit, check = halves(tmp_path, (), machine="2500")
    check.write_text(check.read_text().replace(",2500,", ",newcomer,"))
    found = dataset.compare(fit, check)
    assert all(condition.startswith("newcomer unseen") for condition in found.rows["condition"])
    server = found.rows[(found.rows["segment"] == "server") & (found.rows["split"] == 0)]
    assert (server["predicted_s"] / server["measured_s"] - 1).abs().median() < 0.15


@pytest.mark.data
def test_what_is_checked_does_not_reach_its_own_prediction():
    table = read_blocks(recordings("scission/block_profiles.csv"))
    rows = table.rows.copy()
    rows.loc[(rows["machine"] == "vm2Core") & (rows["model"] == "resnet152v2"), "time_s"] *= 3.0
    joints = {"wired": read_links(recordings("scission/network_stats_wired.csv"))}
    found = []
    for blocks in (table, BlockTable("slower", rows)):
        trial = Trial(blocks, {"vm2Core": ("resnet152v2",)}, {"vm2Core": table.models})
        (frame,) = dataset.predicted_rows(trial, dataset.Choosing(blocks, joints))
        found.append(frame[frame["segment"] == "server"])
    assert found[1]["predicted_s"].tolist() == found[0]["predicted_s"].tolist()
    assert found[1]["measured_s"].sum() == pytest.approx(3 * found[0]["measured_s"].sum())
