"""Profiling end to end on a tiny network, and what happens when it goes wrong."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
import tracemalloc
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="profiling needs PyTorch")

import numpy as np  # noqa: E402  # after the check for torch
import typer  # noqa: E402
from torch import nn  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from calibration.profiling import costs, loading, machine, profiler, store  # noqa: E402
from calibration.profiling.commands import profile  # noqa: E402
from calibration.profiling.profiler import How, measure  # noqa: E402
from calibration.profiling.ticks import CPU, WALL, tick_overhead_ns, timed_nodes, with_ticks  # noqa: E402
from calibration.profiling.timing import Timing  # noqa: E402
from calibration.zoo import Recipe  # noqa: E402
from simulator.foundation.errors import ProfileError  # noqa: E402
from simulator.profiles.profile_files import read_profile  # noqa: E402

TINY = f"{__name__}:tiny"


def tiny():
    """Two dense layers, big enough for a clock that costs half a microsecond."""
    return nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 10))


@pytest.fixture(autouse=True)
def a_wide_gate(monkeypatch):
    """What is tested here is the machinery; a busy machine must not decide, nor the tests' own process be changed."""
    monkeypatch.setattr(profiler, "GATE", 10.0)
    monkeypatch.setattr(profiler.learning, "GATE", 10.0)
    monkeypatch.setattr(profiler, "steady_memory", lambda: True)
    monkeypatch.setattr(loading, "STARTS", 1)
    monkeypatch.setattr(costs, "measure_costs", lambda *_: {})


@pytest.fixture(scope="module")
def measured():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profiler, "GATE", 10.0)
        patch.setattr(profiler, "steady_memory", lambda: True)
        return measure(Recipe("tiny", TINY, (256,)), how=How(repeats=5))[0]


def test_the_verb_writes_what_the_simulator_reads(tmp_path, capsys):
    profile(TINY, input_shape="2x256", repeats=5, hardware="here", out=tmp_path, as_json=True)
    said = json.loads(capsys.readouterr().out)
    folder = tmp_path / "here"
    assert said["file"] == str(folder / "tiny_256_b2.csv")
    assert sorted(path.name for path in folder.iterdir()) == [
        "machine.json",
        "tiny_256_b2.checks.csv",
        "tiny_256_b2.csv",
        "tiny_256_b2.repeats.csv",
    ]
    model = read_profile(folder / "tiny_256_b2.csv")
    assert (model.name, model.batch, model.input_bytes) == ("tiny", 2, 2 * 256 * 4)
    assert [layer.operator for layer in model.layers] == ["linear", "activation", "linear"]
    times = model.measured["here"]
    assert len(times.repeats) == 5
    assert all(second >= 0 for second in times.seconds)
    assert model.layers[0].flops == 2 * 2 * 256 * 512
    assert times.load == pytest.approx(said["load_ns"] * 1e-9)
    assert times.load > 0
    assert times.first_call == pytest.approx(max(0, said["first_call_ns"] - said["warm_call_ns"]) * 1e-9)
    entry = json.loads((folder / "machine.json").read_text())["profiles"]["tiny_256_b2"]
    assert (entry["starts"], entry["load_date"]) == (1, entry["date"])


def test_load_and_first_call_can_be_taken_again_alone(measured, tmp_path, capsys):
    path = store.save(measured, machine.machine_facts(1), tmp_path / "here")
    before = {file.name: file.read_text() for file in (tmp_path / "here").iterdir()}
    profile(TINY, input_shape="1x256", hardware="here", out=tmp_path, load_only=True)
    assert "first call" in capsys.readouterr().out
    after = {file.name: file.read_text() for file in (tmp_path / "here").iterdir()}
    old, new = (json.loads(files.pop("machine.json"))["profiles"]["tiny_256_b1"] for files in (before, after))
    assert before == after, "the tables stay as they were"
    added = {"load_ns", "first_call_ns", "warm_call_ns", "switch_ns", "switch_call_ns", "starts", "load_date"}
    assert set(new) - set(old) == added
    assert {key: new[key] for key in old} == old
    assert read_profile(path).measured["here"].load > 0


def test_load_and_first_call_of_a_profile_that_is_not_there(tmp_path):
    with pytest.raises(ProfileError, match=r'no profile "tiny_256_b3" below .*here to add to \(there: none\)'):
        store.add({}, machine.machine_facts(1), tmp_path / "here", "tiny_256_b3")
    with pytest.raises(ProfileError, match="take it without --load-only"):
        profile(TINY, input_shape="3x256", hardware="here", out=tmp_path, load_only=True)
    assert not list(tmp_path.iterdir())


class Stubborn(nn.Module):
    """Keeps a buffer out of its state, so that it cannot be built empty and filled."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)
        self.register_buffer("scale", torch.full((8,), 3.0), persistent=False)

    def forward(self, x):
        return self.fc(x) * self.scale


class Looks(nn.Module):
    """Reads a value while it is being built."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)
        self.shift = 2.0 if float(self.fc.weight.detach().abs().sum()) > 0 else 0.0

    def forward(self, x):
        return self.fc(x) + self.shift


@pytest.mark.parametrize("kind", ["tiny", "Stubborn", "Looks"])
def test_a_loaded_model_computes_what_the_saved_one_did(kind, tmp_path):
    recipe = Recipe("net", f"{__name__}:{kind}", (256 if kind == "tiny" else 8,))
    model = recipe.build().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.25)  # not what the builder gives them
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    x = torch.ones(2, *recipe.shape)
    loaded = loading.load(recipe, tmp_path / "weights.pt")
    assert not loaded.training
    assert torch.equal(loaded(x), model(x))


def test_samples_are_of_fresh_processes_and_the_median_counts(monkeypatch):
    made = iter(
        [{"load_ns": 5, "first_call_ns": 90}, {"load_ns": 1, "first_call_ns": 20}, {"load_ns": 9, "first_call_ns": 30}]
    )
    monkeypatch.setattr(loading, "STARTS", 3)
    monkeypatch.setattr(loading, "_in_a_process", lambda task: next(made))
    said = []
    entry = loading.measure_starts(Recipe("tiny", TINY, (256,)), progress=lambda *what: said.append(what))
    assert (entry["load_ns"], entry["first_call_ns"], entry["starts"]) == (5, 30, 3)
    assert said == [("starting", 1, 3), ("starting", 2, 3), ("starting", 3, 3)]


def test_warming_the_systems_cache_leaves_our_own_memory_alone(tmp_path):
    file = tmp_path / "weights.pt"
    file.write_bytes(bytes(16 << 20))
    tracemalloc.start()
    try:
        loading._into_cache(file)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20, "pages that are there already would not be paid for by the load that is timed next"


def test_a_model_that_fails_in_a_fresh_process_is_named():
    with pytest.raises(ProfileError, match=f'"{TINY}" could not be loaded in a fresh process: RuntimeError: mat1'):
        loading.measure_starts(Recipe("tiny", TINY, (99,)))


def test_the_verb_prints_a_table(tmp_path):
    app = typer.Typer()
    app.command()(profile)
    result = CliRunner().invoke(
        app, [TINY, "--input", "1x256", "--repeats", "3", "--hardware", "here", "--out", str(tmp_path)]
    )
    assert result.exit_code == 0, result.output
    assert "additivity" in result.output
    assert "written:" in result.output


def test_csv_columns_are_the_contract(measured):
    header, first, second, *_ = csv.reader(store.profile_csv(measured).splitlines())
    assert ",".join(header) == (
        "schema_version,model,batch,idx,node,op,kind,operator,target,parents,out_shape,flops,in_bytes,out_bytes,params,"
        "param_bytes,alias,cut_ok,fwd_ns,fwd_mad_ns,fwd_p90_ns,fwd_cpu_ns,reps,live_n,live_bytes,train_fwd_ns,bwd_ns,"
        "bwd_wall_ns,opt_ns,saved_bytes"
    )
    row = dict(zip(header, second, strict=True))
    assert dict(zip(header, first, strict=True))["op"] == "placeholder"
    assert (row["schema_version"], row["model"], row["idx"], row["parents"]) == ("2", "tiny", "1", "input_1")
    assert (row["params"], row["param_bytes"]) == (str(256 * 512 + 512), str(4 * (256 * 512 + 512)))
    assert json.loads(row["out_shape"]) == [[1, 512]]
    assert all(row[name].isdigit() for name in header[:-5] if name.endswith(("_ns", "_bytes")))
    assert [row[name] for name in header[-5:]] == [""] * 5, (
        "training was not measured, which is not the same as no time"
    )


def test_repeats_have_a_row_per_round_and_their_median_is_in_the_csv(measured):
    names, *rounds = csv.reader(store.repeats_csv(measured).splitlines())
    rows = list(csv.DictReader(store.profile_csv(measured).splitlines()))
    assert names == [row["node"] for row in rows]
    assert len(rounds) == 5
    medians = np.median(np.array(rounds, dtype=float), axis=0)
    assert [int(row["fwd_cpu_ns"]) for row in rows] == [round(float(median)) for median in medians]


def test_ticks_leave_the_result_alone_and_time_each_layer():
    model, x = tiny().eval(), torch.ones(1, 256)
    traced = torch.fx.symbolic_trace(model)
    for clock in (CPU, WALL):
        with torch.inference_mode():
            result, reads = with_ticks(traced, clock)(x)
            assert torch.equal(result, model(x))
        assert len(reads) == len(timed_nodes(traced)) + 1
        assert list(reads) == sorted(reads)


def test_a_clock_read_costs_what_back_to_back_reads_say():
    assert 0 < tick_overhead_ns(CPU) < 100_000
    steps = iter(range(0, 10_000_000, 7))
    assert tick_overhead_ns(lambda: next(steps), reads=10, rounds=3) == 7


def timing(nodes, plain, tick=0):
    cpu = np.array(nodes)
    whole = np.array([plain] * len(nodes))
    return Timing(whole, whole, cpu, cpu, tick)


def test_additivity_sums_medians_less_one_clock_read_each():
    odd = timing([[110, 210], [90, 190], [1000, 200]], plain=300, tick=5)
    assert odd.sum_ns == 110 - 5 + 200 - 5
    assert odd.additivity == pytest.approx(0.0)
    assert timing([[3, 100]] * 3, plain=100, tick=5).sum_ns == 95, "a layer never costs less than nothing"


def attempts(monkeypatch, additivities):
    """Make the profiler's attempts come out with these additivities."""
    made = iter(timing([[round(1000 * (1 + value))]] * 3, plain=1000) for value in additivities)
    monkeypatch.setattr(profiler, "GATE", 0.03)
    monkeypatch.setattr(profiler, "_forward", lambda *_: [next(made)])
    return made


def test_it_retries_until_the_gate_is_passed(monkeypatch):
    left = attempts(monkeypatch, [0.08, -0.05, 0.02, 0.0])
    summary = measure(Recipe("tiny", TINY, (256,)), how=How(repeats=3))[0].summary
    assert (summary["retries"], summary["additivity"]) == (2, 0.02)
    assert len(list(left)) == 1


def test_after_five_retries_nothing_is_written(monkeypatch, tmp_path):
    attempts(monkeypatch, [0.08, -0.05, 0.06, 0.07, 0.09, 0.2])
    with pytest.raises(ProfileError, match=r"sum to 0\.950 .* best of 6 attempts; expected within 3%\. Nothing was"):
        profile(TINY, input_shape="1x256", repeats=3, hardware="here", out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_accept_keeps_the_best_attempt_and_says_so(monkeypatch):
    attempts(monkeypatch, [0.08, -0.05, 0.06, 0.07, 0.09, 0.2])
    summary = measure(Recipe("tiny", TINY, (256,)), how=How(repeats=3, accept=True))[0].summary
    assert summary["additivity"] == -0.05
    assert summary["flags"][0] == "accepted with the forward pass's additivity -5.0%, beyond 3%"


def test_a_shared_core_and_a_moving_machine_are_flagged(monkeypatch):
    attempts(monkeypatch, [0.0])
    monkeypatch.setattr(Timing, "wall_ratio", 1.2)
    kernels = iter([{"matmul_256_ns": 100}, {"matmul_256_ns": 110}])
    monkeypatch.setattr(profiler, "reference_kernels", lambda _: next(kernels))
    flags = measure(Recipe("tiny", TINY, (256,)), how=How(repeats=3))[0].summary["flags"]
    assert [flag.split(",")[0] for flag in flags] == ["wall/CPU 1.20", "reference kernels moved +10.0%"]


def test_with_two_threads_the_wall_clock_judges():
    threads = torch.get_num_threads()
    try:
        assert measure(Recipe("tiny", TINY, (256,)), how=How(threads=2, repeats=3))[0].summary["clock"] == "wall"
    finally:
        torch.set_num_threads(threads)


def test_a_wrong_input_is_refused_with_torchs_reason():
    with pytest.raises(ProfileError, match=r"Sequential does not accept the input 1x99: .*shapes cannot be multiplied"):
        measure(Recipe("tiny", TINY, (99,)), how=How(repeats=3))


def test_a_second_profile_joins_the_first(measured, tmp_path):
    facts = machine.machine_facts(1)
    store.save(measured, facts, tmp_path / "here")
    store.save(replace(measured, batch=8), facts, tmp_path / "here")
    entries = json.loads((tmp_path / "here" / "machine.json").read_text())
    assert list(entries["profiles"]) == ["tiny_256_b1", "tiny_256_b8"]
    assert entries["tick_overhead_ns"] == measured.timing.tick_ns


def test_another_machines_folder_is_refused(measured, tmp_path):
    facts = machine.machine_facts(1)
    store.save(measured, facts | {"cpu": "Other"}, tmp_path / "here")
    with pytest.raises(ProfileError, match='"here" holds profiles taken with cpu Other, and this is'):
        store.save(measured, facts, tmp_path / "here")


def test_a_broken_machine_file_is_named(measured, tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "machine.json").write_text("{")
    with pytest.raises(ProfileError, match=r"machine\.json is not valid JSON"):
        store.save(measured, machine.machine_facts(1), tmp_path / "here")


def test_a_failure_while_writing_leaves_nothing(measured, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.os, "replace", full)
    with pytest.raises(ProfileError, match="No space left on device"):
        store.save(measured, machine.machine_facts(1), tmp_path / "here")
    assert not list((tmp_path / "here").iterdir())


def test_machine_facts_name_the_machine_but_not_its_owner():
    facts = machine.machine_facts(3)
    text = json.dumps(facts)
    assert facts["threads"] == 3
    assert facts["torch"] == torch.__version__
    assert machine.platform.node() not in text or len(machine.platform.node()) < 3
    assert '"/' not in text
    assert (
        machine.default_name({"cpu": "Intel(R) Core(TM) i5-2500 CPU @ 3.30GHz", "threads": 2})
        == "intel-core-i5-2500-2t"
    )
    name = machine.default_name({"cpu": "AMD EPYC", "cpu_family": "26 (Zen 5)", "threads": 1})
    assert name == "amd-epyc-zen-5-1t"


def test_the_allocator_is_recorded(monkeypatch):
    monkeypatch.setenv("MALLOC_TOP_PAD_", "67108864")
    assert "MALLOC_TOP_PAD_=67108864" in machine.malloc_settings(False)
    assert "default" in machine.malloc_settings(False)
    assert "steady" in machine.malloc_settings(True)


@pytest.mark.skipif(machine.platform.libc_ver()[0] != "glibc", reason="the allocator's switches are glibc's")
def test_steady_memory_keeps_pages_between_layers():
    code = """
import resource, torch
from calibration.profiling.machine import steady_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(64, 1024, 1024)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
fresh = min(faults() for _ in range(5))  # the least: the system takes pages back when it likes
assert steady_memory()
faults()
print(fresh, min(faults() for _ in range(5)))
"""
    # Where the random address layout leaves the heap no room to grow, glibc maps each block anyway and no switch
    # helps; a fresh process has a fresh layout.
    seen = []
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        seen.append(tuple(map(int, done.stdout.split())))
        if seen[-1][1] < 100:
            break
    fresh, kept = seen[-1]
    assert kept < 100, seen
    assert fresh > kept


def test_reference_kernels_are_timed():
    kernels = machine.reference_kernels(CPU, repeats=3, warm_up=1)
    assert all(value > 0 and math.isfinite(value) for value in kernels.values())


# -- training, splits and several batches --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def learned():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profiler, "GATE", 10.0)
        patch.setattr(profiler.learning, "GATE", 10.0)
        patch.setattr(profiler, "steady_memory", lambda: True)
        return measure(Recipe("tiny", TINY, (256,)), [1, 4], how=How(repeats=5, splits=1), training=True)


def test_training_is_in_the_file_and_the_simulator_takes_off_what_reading_cost(learned, tmp_path):
    facts = machine.machine_facts(1)
    one, four = learned
    assert (one.batch, four.batch) == (1, 4)
    for measured in learned:
        path = store.save(measured, facts, tmp_path / "here")
        rows = list(csv.DictReader(path.read_text().splitlines()))[1:]
        times = read_profile(path).measured["here"].training
        table = measured.training
        for i, row in enumerate(rows):
            assert times.forward[i] == pytest.approx(max(0, int(row["train_fwd_ns"]) - table.timing.tick_ns) * 1e-9)
            assert times.backward[i] == pytest.approx(max(0, int(row["bwd_ns"]) - table.timing.hook_ns) * 1e-9)
        assert times.total == pytest.approx(table.timing.sum_ns * 1e-9, abs=1e-8)  # the file has whole nanoseconds
        assert times.optimizer[1] == 0, "no parameters, nothing for the optimiser to do"
        assert sum(times.optimizer) == pytest.approx(table.timing.median("optimizer") * 1e-9, abs=1e-8)
        step = measured.summary["training"]
        assert step["peak_bytes"] > measured.summary["peak_activation_bytes"] > measured.batch * 256 * 4
    entry = store.entry_of(tmp_path / "here", "tiny_256_b4")
    assert entry["bwd_call_overhead_ns"] > 0
    assert store.entry_of(tmp_path / "here", "tiny_256_b2") is None


def test_parts_of_a_split_model_are_kept_beside_the_table(learned, tmp_path):
    path = store.save(learned[0], machine.machine_facts(1), tmp_path / "here")
    rows = list(csv.DictReader(path.with_name("tiny_256_b1.checks.csv").read_text().splitlines()))
    assert [(row["mode"], row["cut"], row["part"]) for row in rows] == [
        ("inference", "2", "head"), ("inference", "2", "tail"), ("training", "2", "head"), ("training", "2", "tail"),
    ]  # fmt: skip
    assert all(int(row["cpu_ns"]) > 0 and row["reps"] == "5" for row in rows)


def test_a_table_of_an_older_version_is_taken_again(measured, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "SCHEMA_VERSION", 1)
    store.save(measured, machine.machine_facts(1), tmp_path / "here")
    assert store.entry_of(tmp_path / "here", "tiny_256_b1") is not None
    monkeypatch.setattr(store, "SCHEMA_VERSION", 2)
    assert store.entry_of(tmp_path / "here", "tiny_256_b1") is None
    assert store.entry_of(tmp_path / "there", "tiny_256_b1") is None


def test_costs_stand_beside_the_profiles_and_stay(measured, tmp_path):
    facts = machine.machine_facts(1)
    store.write(tmp_path / "here", store.merged(tmp_path / "here", facts) | {"costs": {"serialise": {"numpy": 1}}})
    store.save(measured, facts, tmp_path / "here")
    written = json.loads((tmp_path / "here" / "machine.json").read_text())
    assert written["costs"] == {"serialise": {"numpy": 1}}
    assert list(written["profiles"]) == ["tiny_256_b1"]
    with pytest.raises(ProfileError, match="choose another --hardware name"):
        store.merged(tmp_path / "here", facts | {"threads": 7})


def test_all_batches_are_measured_in_turn(monkeypatch):
    seen = []
    real = profiler._rounds

    def noted(cases, run, repeats, tell):
        def watched(case):
            seen.append(case.batch)
            return run(case)

        return real(cases, watched, repeats, tell)

    monkeypatch.setattr(profiler, "_rounds", noted)
    assert [one.batch for one in measure(Recipe("tiny", TINY, (256,)), [1, 2, 4], how=How(repeats=3))] == [1, 2, 4]
    assert seen == [1, 2, 4] * (profiler.WARM_UP + 3)


def test_only_batches_that_fail_are_tried_again(monkeypatch):
    monkeypatch.setattr(profiler, "GATE", 0.03)
    asked = []
    wrong = {1: iter([0.01]), 2: iter([0.09, -0.04, 0.02])}

    def attempt(cases, *_):
        asked.append([case.batch for case in cases])
        return [timing([[round(1000 * (1 + next(wrong[case.batch])))]] * 3, plain=1000) for case in cases]

    monkeypatch.setattr(profiler, "_forward", attempt)
    entries = [one.summary for one in measure(Recipe("tiny", TINY, (256,)), [1, 2], how=How(repeats=3))]
    assert asked == [[1, 2], [2], [2]]
    assert [(entry["additivity"], entry["retries"]) for entry in entries] == [(0.01, 0), (0.02, 2)]


def test_a_slow_model_gets_fewer_rounds(monkeypatch):
    monkeypatch.setattr(profiler, "BUDGET", 1e-9)
    assert measure(Recipe("tiny", TINY, (256,)), how=How(repeats=30))[0].summary["repeats"] == profiler.LEAST_ROUNDS


def test_a_training_step_that_does_not_add_up_is_refused(monkeypatch):
    monkeypatch.setattr(profiler.learning, "GATE", -1.0)
    monkeypatch.setattr(profiler, "RETRIES", 0)
    recipe = Recipe("tiny", TINY, (256,))
    with pytest.raises(ProfileError, match=r"of the plain training step in the best of 1 attempts"):
        measure(recipe, how=How(repeats=3), training=True)
    flags = measure(recipe, how=How(repeats=3, accept=True), training=True)[0].summary["flags"]
    assert any(flag.startswith("accepted with the training step's additivity") for flag in flags)
