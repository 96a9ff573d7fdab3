"""``offing fidelity profiles`` on a made-up folder whose every error is known by hand. No torch needed."""

from __future__ import annotations

import json

import pytest

from calibration.fidelity.datasets import profiles
from simulator.foundation.errors import ProfileError

HEADER = (
    "schema_version,node,op,kind,operator,parents,flops,in_bytes,out_bytes,param_bytes,alias,cut_ok,"
    "fwd_ns,fwd_cpu_ns,train_fwd_ns,bwd_ns,bwd_wall_ns,opt_ns,saved_bytes"
)
MS = 1_000_000


@pytest.fixture
def folder(tmp_path):
    """Three batches of a network of two layers, 4 and 6 ms at batch 1 (forward), with training at twice the times."""

    def row(name, op, parents, ms, batch):
        ns = round(ms * batch * MS)
        times = f"{2 * ns},{ns + 100 if ns else 0},{ns + 100 if ns else 0},{2 * ns + 300 if ns else 0},{2 * ns},0,0"
        return f"2,{name},{op},T,conv,{parents},1,1,1,1,0,1,{times}"

    entries = {}
    for batch in (1, 2, 4):
        name = f"net_8_b{batch}"
        rows = [row("x", "placeholder", "", 0, batch), row("a", "m", "x", 4, batch), row("b", "m", "a", 6, batch)]
        (tmp_path / f"{name}.csv").write_text("\n".join([HEADER, *rows]) + "\n")
        entries[name] = {
            "clock": "cpu", "date": "2026-11-21", "tick_overhead_ns": 100, "bwd_call_overhead_ns": 300,
            "plain_cpu_ns": 10 * batch * MS, "plain_wall_ns": 11 * batch * MS, "sum_wall_ns": 22 * batch * MS,
            "training": {
                "step_cpu_ns": round(31 * batch * MS / 1.01), "step_wall_ns": 40 * batch * MS, "loss_ns": batch * MS,
                "sum_wall_ns": 30 * batch * MS, "tick_overhead_ns": 100,
            },
        }  # fmt: skip
    entries["net_8_b2"]["plain_cpu_ns"] = 25 * MS  # the sum is 20: 20 % off, both as measured and as made up
    checks = ["mode,cut,part,cpu_ns,wall_ns,reps", f"inference,1,head,{4 * MS},{4 * MS},5"]
    checks += [f"inference,1,tail,{5 * MS},{6 * MS},5", f"training,1,head,{12 * MS},{12 * MS},5"]
    checks += [f"training,1,tail,{20 * MS},{19 * MS},5", "inference,2,tail,90000,90000,5"]
    (tmp_path / "net_8_b1.checks.csv").write_text("\n".join(checks) + "\n")
    (tmp_path / "machine.json").write_text(json.dumps({"profiles": entries}))
    return tmp_path


def error(comparison, words, split=""):
    rows = comparison.rows[comparison.rows["condition"].str.contains(words) & (comparison.rows["split"] == split)]
    (row,) = rows.to_dict("records")
    return row["predicted_s"] / row["measured_s"] - 1


def test_each_comparison_is_what_it_is_by_hand(folder):
    found = profiles.compare(check=folder)
    assert error(found, "batch 1, forward") == pytest.approx(0)
    assert error(found, "batch 2, forward") == pytest.approx(20 / 25 - 1)
    assert error(found, "batch 4, training step") == pytest.approx(0.01, abs=1e-6)
    assert error(found, "batch 1, head", 1) == pytest.approx(0)
    assert error(found, "batch 1, tail", 1) == pytest.approx(6 / 5 - 1)
    assert error(found, "batch 1, training head", 1) == pytest.approx(0)
    assert error(found, "batch 1, training tail", 1) == pytest.approx((18 + 1) / 20 - 1)
    assert error(found, "batch 2, batch not profiled, cpu") == pytest.approx(20 / 25 - 1)
    assert error(found, "batch 2, batch not profiled, training") == pytest.approx(0.01, abs=1e-6)
    assert len(found.rows) == 3 + 3 + 4 + 2, "the part of 90 us is too short to be judged"
    assert set(found.rows["grade"][found.rows["condition"].str.contains("not profiled")]) == {"transferred"}


def test_batches_taken_at_another_time_are_no_neighbours(folder):
    facts = json.loads((folder / "machine.json").read_text())
    facts["profiles"]["net_8_b4"]["taken"] = "2026-11-22T10:00:00+00:00"
    (folder / "machine.json").write_text(json.dumps(facts))
    assert not profiles.compare(check=folder).rows["condition"].str.contains("not profiled").any()


def test_goals_are_judged_by_kind_and_the_wall_clock_stands_beside(folder):
    found = profiles.compare(check=folder)
    reached = {goal.what: (goal.reached, goal.met) for goal in found.goals}
    assert reached["forward: mean absolute error"] == (pytest.approx(20 / 3), False)
    assert reached["forward: largest error"] == (pytest.approx(20), False)
    assert reached["training step: mean absolute error"] == (pytest.approx(1, abs=1e-4), True)
    assert reached["tail: mean absolute error"][1] is False
    wall = found.tables["the same on the wall clock"]["mape_pct"]
    assert wall["forward"] == pytest.approx(100)
    assert wall["training step"] == pytest.approx(25)
    assert wall["tail"] == pytest.approx(100)


def test_what_was_never_measured_is_not_reached(folder):
    for file in ("net_8_b1.checks.csv", "net_8_b1.csv", "net_8_b2.csv"):
        (folder / file).unlink()
    found = profiles.compare(check=folder)
    met = {goal.what: goal.met for goal in found.goals}
    assert met["forward: mean absolute error"]
    assert not met["head: mean absolute error"]
    assert "not measured in any of these profiles: head, tail," in " ".join(found.notes)


def test_the_shipped_profiles_add_up():
    found = profiles.compare()
    goals = {goal.what: goal for goal in found.goals}
    assert goals["forward: mean absolute error"].met
    assert goals["forward: largest error"].met


def test_what_cannot_be_compared_is_refused(folder, tmp_path_factory):
    with pytest.raises(ProfileError, match="nothing is fitted here; leave --fit"):
        profiles.compare(fit=folder)
    with pytest.raises(ProfileError, match="no profile below it; take some with: offing profile"):
        profiles.compare(check=tmp_path_factory.mktemp("empty"))
    (folder / "net_8_b1.checks.csv").write_text("mode,cut,part,cpu_ns,wall_ns,reps\ninference,1,head,4000000\n")
    with pytest.raises(ProfileError, match=r"net: checks, line 2: malformed"):
        profiles.compare(check=folder)
    (folder / "machine.json").write_text("{}")
    with pytest.raises(ProfileError, match=r"machine\.json: no entry for net_8_b1; profile it again"):
        profiles.compare(check=folder)
