"""The figures: their tables say what the simulator says, said again in another way."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from analysis import FIGURES, Subject, draw
from analysis.figures import blame, breakdown, cdf, cuts, gantt, layers
from simulator import Placement, Scenario, Technique, run
from simulator.foundation.errors import RegistryError, ResultsError
from simulator.testing import tiny

BUSY = {"workload.arrivals.rate": "4 /s", "workload.deadline": "400 ms", "nodes.edge.slots": 2}


@pytest.fixture(scope="module")
def results():
    return run(tiny(BUSY))


@pytest.fixture(scope="module")
def shared():
    return run("quick/shared_access_point")


# -- every figure --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FIGURES)
def test_is_saved_with_its_table_and_the_same_bytes_each_time(name, tmp_path):
    picture = draw(name, tiny(BUSY))
    files = picture.save(tmp_path / "a", svg=True)
    assert [file.name for file in files] == [f"{name}.png", f"{name}.svg", f"{name}.csv"]
    assert files[0].read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in files[1].read_bytes()
    again = pd.read_csv(files[2])
    assert list(again) == list(picture.table)
    assert len(again) == len(picture.table) > 0
    others = draw(name, tiny(BUSY)).save(tmp_path / "b", svg=True)
    assert [file.read_bytes() for file in files] == [file.read_bytes() for file in others]


@pytest.mark.parametrize("name", FIGURES)
def test_says_where_it_comes_from(name):
    text = " ".join(text.get_text() for text in draw(name, tiny(BUSY)).figure.texts)
    for part in ("tiny", "min-latency", "seed 0", "offing ", "evidence: measured"):
        assert part in text


@pytest.mark.parametrize("name", FIGURES)
def test_every_axis_that_counts_has_its_unit(name):
    axes = draw(name, "quick/split_inference").figure.axes
    labels = [label for a in axes for label in (a.get_xlabel(), a.get_ylabel())]
    assert any("[" in label for label in labels)


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_leaves_the_paper(name):
    figure = draw(name, "quick/three_tiers").figure
    figure.draw_without_rendering()
    paper = figure.bbox
    for text in figure.texts:
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= paper.x1
    for legend in figure.legends:
        assert legend.get_window_extent().x1 <= paper.x1 + 1


@pytest.mark.parametrize("name", FIGURES)
def test_of_a_saved_run_is_that_of_its_scenario(name, tmp_path):
    scenario = Scenario.load("quick/split_inference")
    run(scenario).save(tmp_path / "run")
    pd.testing.assert_frame_equal(draw(name, tmp_path / "run").table, draw(name, scenario).table)


def test_of_a_run_under_a_technique_that_is_not_installed(tmp_path):
    class AllAway(Technique):
        def place(self, view, request=None):
            return Placement.whole(view.nearest_server(), len(view.model))

    run("quick/split_inference", technique=AllAway()).save(tmp_path / "run")
    subject = Subject.of(tmp_path / "run")
    assert draw("cuts", subject).table["best"].sum() == 1
    assert subject.first_choice == 0
    assert "AllAway" in subject.caption()


def test_an_unknown_figure_is_answered_with_the_nearest():
    with pytest.raises(RegistryError, match=r'no figure named "gannt"\. Did you mean "gantt"'):
        draw("gannt", "quick/split_inference")


def test_an_unknown_device_is_answered_with_the_nearest():
    with pytest.raises(RegistryError, match=r'no device named "camera-77" sends requests\. Did you mean "camera-7"'):
        draw("cuts", "quick/shared_access_point", device="camera-77")


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="cannot be written"):
        draw("cdf", tiny(BUSY)).save(tmp_path / "file" / "inside")


def test_a_notebook_shows_the_figure():
    picture = draw("cdf", tiny(BUSY))
    assert picture._repr_png_().startswith(b"\x89PNG")
    assert repr(picture).startswith("Picture(cdf, table of ")


# -- layers --------------------------------------------------------------------------------------------------------


def test_layers_sum_to_the_model():
    table = draw("layers", "quick/split_inference").table
    parts = Subject.of("quick/split_inference").world.parts
    for name, times in parts.times.items():
        assert table[f"{name}_s"].sum() == pytest.approx(sum(times.seconds))
    assert list(table["layer"]) == [layer.name for layer in parts.model.layers]


def test_a_cut_in_a_residual_block_carries_more_than_the_layer_made():
    model = Scenario.load("quick/split_inference").library.model("resnet18")
    table = layers.tabulate(model, model.measured)
    inside = table[table["crossing_bytes"] > table["output_bytes"]]
    assert set(inside["layer"].str.startswith("blocks_")) == {True}


# -- cuts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", ["quick/split_inference", "quick/three_tiers", "quick/shared_access_point"])
def test_cuts_agree_with_what_a_technique_is_told(scenario):
    subject = Subject.of(scenario)
    told = {str(option): subject.view.latency(option) for option in subject.view.splits()}
    table = cuts.tabulate(subject)
    assert table["latency_s"].to_numpy() == pytest.approx(
        [told[placement] for placement in table["placement"]], rel=1e-9
    )
    assert table.loc[table["best"], "latency_s"].item() == pytest.approx(min(told.values()), rel=1e-9)
    assert table["split_point"].is_unique


@pytest.mark.parametrize("split_point", [0, 1, 2, 3])
def test_cuts_agree_with_a_run_of_one_request(split_point):
    changes = {"workload.arrivals": {"kind": "periodic", "every": "1 h"}, "links.uplink.connection": "slow-start"}
    technique = {"kind": "fixed-split", "split_point": split_point}
    made = run(tiny({**changes, "technique": technique})).requests.iloc[0]
    row = cuts.tabulate(Subject.of(tiny(changes))).set_index("split_point").loc[split_point]
    assert row["latency_s"] == pytest.approx(made["latency_s"], rel=1e-9)
    assert row["device_s"] + row["server_s"] == pytest.approx(made["compute_s"], rel=1e-9)


def test_cuts_count_background_load_from_the_start_of_the_run():
    idle, busy = (
        cuts.tabulate(Subject.of(tiny({"nodes.edge.load": load}))).set_index("split_point") for load in ("0 %", "100 %")
    )
    assert busy["server_s"].to_numpy() == pytest.approx(2 * idle["server_s"].to_numpy())


def test_cuts_are_the_sum_of_their_parts():
    table = draw("cuts", "quick/three_tiers").table
    stages = table[[f"{stage}_s" for stage in cuts.STAGES]].sum(axis=1)
    assert stages.to_numpy() == pytest.approx(table["latency_s"].to_numpy())


def test_a_technique_that_did_not_take_the_best_is_marked():
    scenario = tiny({"technique": {"kind": "device-only"}})
    labels = [text.get_text() for text in draw("cuts", scenario).figure.legends[0].get_texts()]
    assert "chosen first" in labels
    labels = [text.get_text() for text in draw("cuts", tiny()).figure.legends[0].get_texts()]
    assert "chosen first" not in labels


# -- breakdown -----------------------------------------------------------------------------------------------------


def test_breakdown_adds_up(results):
    frame = breakdown.accounts(results)
    parts = [name for name in frame if name != "latency_s"]
    assert frame[parts].sum(axis=1).to_numpy() == pytest.approx(frame["latency_s"].to_numpy())
    table = breakdown.tabulate(frame)
    groups, whole = table.iloc[:-1], table.iloc[-1]
    assert groups["requests"].sum() == whole["requests"] == len(frame)
    assert np.average(groups["latency_s"], weights=groups["requests"]) == pytest.approx(whole["latency_s"])
    assert groups["latency_s"].is_monotonic_increasing


def test_breakdown_tells_device_and_server_apart():
    away = run(tiny({**BUSY, "technique": {"kind": "server-only"}}))
    home = run(tiny({**BUSY, "technique": {"kind": "device-only"}}))
    assert breakdown.accounts(away)["device_s"].sum() == 0
    assert breakdown.accounts(home)["server_s"].sum() == pytest.approx(0)


def test_breakdown_without_spans_has_one_account_for_computing():
    table = draw("breakdown", tiny({**BUSY, "record": "requests"})).table
    assert "compute_s" in table
    assert "device_s" not in table


def test_few_requests_make_few_groups():
    table = draw("breakdown", tiny({"workload.arrivals": {"kind": "periodic", "every": "4 s"}})).table
    assert len(table) == 4


# -- cdf -----------------------------------------------------------------------------------------------------------


def test_cdf_agrees_with_the_summary(results):
    table = cdf.tabulate(results)
    outcomes = results.summary()["outcomes"]
    in_time = (table["latency_s"] <= 0.4).mean()
    assert in_time == pytest.approx(outcomes["done"] / sum(outcomes.values()))
    assert table["share"].iloc[-1] == pytest.approx(1.0)


def test_cdf_is_of_answered_requests_and_its_marks_are_the_summarys():
    made = run(tiny({**BUSY, "workload.arrivals.rate": "9 /s", "technique": {"kind": "device-only"}, "drain": False}))
    table, answered = cdf.tabulate(made), made.requests["finish_s"].notna()
    assert 0 < answered.sum() < len(answered)
    assert len(table) == answered.sum()
    for percent in (50, 95, 99):
        by_then = table.loc[table["share"] >= percent / 100 - 1e-12, "latency_s"].iloc[0]
        assert made.summary()[f"latency_p{percent}_s"] == pytest.approx(by_then)


def test_nothing_to_draw_is_said():
    with pytest.raises(ResultsError, match='the run of "tiny" has no requests to draw'):
        draw("cdf", tiny({"warmup": "9.999 s"}))


# -- gantt ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["results", "shared"])
def test_gantt_lines_never_overlap(which, request):
    made = request.getfixturevalue(which)
    table = gantt.tabulate(made, 0.0, 10.0)
    for _, line in table.groupby(["resource", "lane"]):
        for before, after in pairwise(line.itertuples()):
            assert after.start_s >= before.finish_s - 1e-12


def test_gantt_has_no_more_lines_than_a_node_has_slots(shared):
    table = gantt.tabulate(shared, 0.0, 60.0)
    assert table[table["resource"] == "ap"]["lane"].max() == 1


def test_gantt_window_is_as_asked_or_short(results):
    assert gantt.window(results, 2.0, 0.5) == (2.0, 2.5)
    begin, end = gantt.window(results)
    arrivals = results.requests["arrival_s"]
    assert begin == arrivals.min()
    assert ((arrivals >= begin) & (arrivals < end)).sum() >= gantt.REQUESTS


def test_gantt_shows_what_a_failure_took():
    dynamics = [{"kind": "failure", "node": "edge", "at": {"time": "1 s"}, "repair_after": "500 ms"}]
    picture = draw("gantt", tiny({**BUSY, "technique": {"kind": "server-only"}, "dynamics": dynamics}))
    assert "hatched: down" in " ".join(text.get_text() for text in picture.figure.texts)


def test_gantt_needs_spans():
    with pytest.raises(ResultsError, match="record: spans"):
        draw("gantt", tiny({"record": "requests"}))


@pytest.mark.parametrize(
    ("start", "length", "sentence"),
    [
        (1e3, 1.0, r"the window begins at 1000 s, but the run covers 0 s to [\d.]+ s; give --from a time in that"),
        (-1.0, None, r"the window begins at -1 s, but the run covers 0 s to"),
        (1.0, 0.0, r"a window of 0 s shows nothing; give --for a duration above 0"),
    ],
)
def test_gantt_of_a_window_outside_the_run_says_what_the_run_covers(results, start, length, sentence):
    with pytest.raises(ResultsError, match=sentence):
        gantt.draw(Subject.of(results), start, length)


def test_gantt_of_a_window_in_which_nothing_happens_is_an_empty_sheet():
    made = run(tiny({"workload.arrivals": {"kind": "periodic", "every": "9 s"}}))
    picture = gantt.draw(Subject.of(made), 5.0, 1.0)
    assert picture.table.empty
    assert "0 requests in 1 s" in picture.figure.texts[1].get_text()
    assert picture._repr_png_().startswith(b"\x89PNG")


def test_gantt_draws_probes_grey_and_counts_them_as_nobodys(results):
    spans, begin = results.columns["spans"], results.requests["arrival_s"].min()
    row = ("probe", "uplink.up", "pi", -1, begin, begin + 0.1, begin + 1.0, 0, 0, 1e5, 0.0, True)
    more = {name: np.append(values, value) for (name, values), value in zip(spans.items(), row, strict=True)}
    probed = replace(results, columns={**results.columns, "spans": more})
    picture, before = draw("gantt", probed), draw("gantt", results)
    assert picture.figure.texts[1].get_text() == before.figure.texts[1].get_text() + "; grey: probes and reports"
    assert len(picture.table) == len(before.table) + 1
    assert list(picture.table["resource"].unique()) == list(before.table["resource"].unique())
    colours = {bar.get_facecolor() for bar in picture.figure.axes[0].patches}
    assert len(colours - {bar.get_facecolor() for bar in before.figure.axes[0].patches}) == 1
    assert "probe" in [text.get_text() for text in picture.figure.axes[0].texts]


# -- blame ---------------------------------------------------------------------------------------------------------


def test_blame_draws_what_the_run_says(results):
    table = blame.tabulate(results)
    assert (table["members"] == 1).all()
    pd.testing.assert_frame_equal(table.drop(columns="members"), results.blame[list(table.columns.drop("members"))])
    axes = draw("blame", results).figure.axes[0]
    drawn = sum(bar.get_width() for bar in axes.patches)
    assert drawn == pytest.approx(100 * len(table))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["pi", "edge", "uplink.up", "uplink.down"]


def test_blame_takes_a_large_group_together():
    made = run(tiny({"nodes.pi.count": 25, "until": "3 s"}))
    table, frame = blame.tabulate(made), made.blame
    assert table["resource"].tolist() == ["pi-*", "edge", "uplink[pi-*].up", "uplink[pi-*].down"]
    assert table["members"].tolist() == [25, 1, 25, 25]
    ups = frame[frame["resource"].str.endswith(".up")]
    assert table["starved_s"][2] == pytest.approx(ups["starved_s"].mean())
    assert "pi-* (mean of 25)" in [text.get_text() for text in draw("blame", made).figure.axes[0].get_yticklabels()]


def test_blame_keeps_small_groups_apart_while_there_is_room():
    assert len(blame.tabulate(run(tiny({"nodes.pi.count": 3, "until": "3 s"})))) == 10
    assert len(blame.tabulate(run(tiny({"nodes.pi.count": 14, "until": "3 s"})))) == 4


def test_blame_shows_who_was_down():
    dynamics = [{"kind": "failure", "node": "edge", "at": {"time": "1 s"}, "repair_after": "500 ms"}]
    made = run(tiny({**BUSY, "dynamics": dynamics}))
    labels = [text.get_text() for text in draw("blame", made).figure.legends[0].get_texts()]
    assert "down" in labels
    assert "down" not in [text.get_text() for text in draw("blame", tiny(BUSY)).figure.legends[0].get_texts()]


def test_blame_needs_spans():
    with pytest.raises(ResultsError, match="record: spans"):
        draw("blame", tiny({"record": "requests"}))
