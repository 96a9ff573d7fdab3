"""The shelf: profiles found by name, read line by line, and mixed between batch sizes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from simulator import Library
from simulator.foundation.errors import ProfileError
from simulator.profiles.profile_files import read_profile
from simulator.testing import chain, machine

COLUMNS = [
    "schema_version", "node", "op", "kind", "operator", "parents", "flops", "in_bytes", "out_bytes", "param_bytes",
    "alias", "cut_ok", "fwd_cpu_ns",
]  # fmt: skip
ROWS = [
    "1,x,placeholder,placeholder,input,,0,0,300,0,0,1,0",
    "1,conv,call_module,Conv2d,conv,x,64,300,200,50,0,1,5000",
    "1,flat,call_function,flatten,reshape,conv,0,200,200,0,1,0,10",
    "1,sum,call_function,add,elementwise,flat|x,8,500,100,0,0,1,1000",
]


@pytest.fixture
def shelf(tmp_path):
    """Write profiles into a shelf: ``shelf("board/net_8_b1")``."""

    def put(name, rows=ROWS, repeats=None, tick=None):
        path = tmp_path / "profiles" / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
        if repeats is not None:
            path.with_suffix(".repeats.csv").write_text(repeats)
        if tick is not None:
            (path.parent / "machine.json").write_text(json.dumps({"tick_overhead_ns": tick}))
        return path

    put.library = Library(folder=tmp_path)
    return put


def refused(call, *arguments) -> str:
    with pytest.raises(ProfileError) as caught:
        call(*arguments)
    return str(caught.value)


def changed(row: int, column: str, text: str) -> list[str]:
    cells = ROWS[row].split(",")
    cells[COLUMNS.index(column)] = text
    return [*ROWS[:row], ",".join(cells), *ROWS[row + 1 :]]


# -- files ---------------------------------------------------------------------------------------------------------


def test_a_profile_is_what_its_file_says(shelf):
    repeats = "x,conv,flat,sum\n0,6000,20,1000\n0,7000,30,900\n"
    model = read_profile(shelf("board/my_net_8_b4", repeats=repeats, tick=30))
    assert (model.name, model.resolution, model.batch, model.input, model.input_bytes) == ("my_net", "8", 4, "x", 300)
    assert [(layer.name, layer.parents, layer.alias, layer.cut_ok) for layer in model.layers] == [
        ("conv", ("x",), False, True), ("flat", ("conv",), True, False), ("sum", ("flat", "x"), False, True),
    ]  # fmt: skip
    assert model.layers[0].kind == "Conv2d"
    assert (model.layers[0].flops, model.layers[0].in_bytes, model.layers[0].param_bytes) == (64, 300, 50)
    times = model.measured["board"]
    assert times.seconds == pytest.approx([4.97e-6, 0, 0.97e-6])  # less the clock's own 30 ns, never below zero
    assert times.repeats[0] == pytest.approx((5.97e-6, 0, 0.97e-6))
    assert times.repeats[1] == pytest.approx((6.97e-6, 0, 0.87e-6))
    assert (times.grade, times.source) == ("measured", "my_net_8_b4.csv")


def with_facts(path, folder=(), **entry):
    facts = {**dict(folder), "profiles": {path.stem: entry}}
    (path.parent / "machine.json").write_text(json.dumps(facts))
    return read_profile(path).measured["board"]


def test_load_and_first_call_stand_in_machine_json(shelf):
    path = shelf("board/net_8_b1")
    times = with_facts(path, load_ns=4_000_000, first_call_ns=900_000, warm_call_ns=300_000)
    assert (times.load, times.first_call) == (pytest.approx(4e-3), pytest.approx(6e-4))
    assert with_facts(path, first_call_ns=2, warm_call_ns=3).first_call == 0, "being first never saves time"
    times = with_facts(path, first_call_ns=900_000)  # a first call with nothing to compare it to
    assert (times.load, times.first_call) == (None, None)
    assert read_profile(shelf("rack/net_8_b1")).measured["rack"].load is None


def test_a_profiles_own_clock_comes_before_the_folders(shelf):
    path = shelf("board/net_8_b1")
    assert with_facts(path, {"tick_overhead_ns": 30}, tick_overhead_ns=50).seconds[0] == pytest.approx(4.95e-6)
    assert with_facts(path, {"tick_overhead_ns": 30}).seconds[0] == pytest.approx(4.97e-6)


def test_a_machine_file_with_words_for_numbers_is_refused(shelf):
    path = shelf("board/net_8_b1")
    sentence = "machine.json: net_8_b1: load_ns is 'soon', expected whole nanoseconds"
    assert sentence in refused(lambda: with_facts(path, load_ns="soon"))


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (changed(2, "out_bytes", "many"), "_b1.csv:4: malformed row: out_bytes is 'many', expected a number of at"),
        (changed(1, "fwd_cpu_ns", "nan"), "_b1.csv:3: malformed row: fwd_cpu_ns is 'nan', expected a number of at"),
        (changed(1, "fwd_cpu_ns", "inf"), "_b1.csv:3: malformed row: fwd_cpu_ns is 'inf', expected a number of at"),
        (changed(3, "fwd_cpu_ns", "-8"), "_b1.csv:5: malformed row: fwd_cpu_ns is '-8', expected a number of at"),
        (changed(0, "out_bytes", "-1"), "_b1.csv:2: malformed row: out_bytes is '-1', expected a number of at least"),
        (
            changed(1, "schema_version", "3"),
            "_b1.csv:3: malformed row: schema_version '3', this program reads 1 and 2; take",
        ),
        (changed(3, "fwd_cpu_ns", ""), "_b1.csv:5: malformed row: sum has no time (fwd_cpu_ns is empty)"),
        (
            [*ROWS[:2], "1,flat"],
            "_b1.csv:4: malformed row: it breaks off before op: the file is truncated; take it again",
        ),
        ([], "_b1.csv: the profile is empty"),
        ([*ROWS[:2], ROWS[1]], "net: two layers are named 'conv'"),
    ],
)
def test_a_malformed_profile_is_refused_with_its_line(shelf, rows, sentence):
    assert sentence in refused(read_profile, shelf("board/net_8_b1", rows))


def test_files_beside_a_profile_must_fit_it(shelf, tmp_path):
    path = shelf("board/net_8_b1", repeats="x,conv,flat\n0,1,1\n")
    assert "net_8_b1.repeats.csv: does not fit net_8_b1.csv: 'sum'" in refused(read_profile, path)
    for rounds, sentence in (
        ("0,1,1,nan\n", "sum is 'nan'"),
        ("0,1,-1,1\n", "flat is '-1'"),
        ("0,1,1\n", "sum is None"),
    ):
        shelf("board/net_8_b1", repeats=f"x,conv,flat,sum\n{rounds}")
        assert f"net_8_b1.repeats.csv: does not fit net_8_b1.csv: {sentence}" in refused(read_profile, path)
    shelf("board/net_8_b1", repeats="x,conv,flat,sum,tail\n0,1,1,1,1\n")
    assert "does not fit net_8_b1.csv: 'tail' is in one of them; is one truncated?" in refused(read_profile, path)
    shelf("board/net_8_b1", repeats="")
    assert "net_8_b1.repeats.csv: does not fit net_8_b1.csv" in refused(read_profile, path)
    (path.parent / "machine.json").write_text("{")
    assert "machine.json: cannot be read: " in refused(read_profile, path)
    assert "cannot be read" in refused(read_profile, tmp_path / "profiles" / "board" / "no_8_b1.csv")


def test_a_profile_cut_anywhere_is_refused(shelf):
    path = shelf("board/net_8_b1", repeats="x,conv,flat,sum\n0,6000,20,1000\n")
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert "net_8_b1" in refused(read_profile, path)
    path.write_bytes(whole[:-3] + b"\n")  # only digits are gone: no reader can tell
    read_profile(path)


def test_the_number_of_rows_is_held_against_machine_json(shelf):
    path = shelf("board/net_8_b1", ROWS[:3])
    assert "3 rows, and machine.json says 4" in refused(lambda: with_facts(path, nodes=4))
    with_facts(path, nodes=3)


@pytest.mark.parametrize(
    "content",
    [b"[]", b"null", b'{"profiles": []}', b'{"profiles": {"net_8_b1": 1}}', b"\xff\xfe", b'{"tick_overhead_ns": NaN}',
     b'{"tick_overhead_ns": -5}', b'{"tick_overhead_ns": 1e400}', b'{"tick_overhead_ns": [1]}'],
)  # fmt: skip
def test_a_garbled_machine_file_is_refused_and_named(shelf, content):
    path = shelf("board/net_8_b1")
    (path.parent / "machine.json").write_bytes(content)
    assert "machine.json: " in refused(read_profile, path)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x01\n", b"\x00\x00\n", b"schema_version,node\n1\n"])
def test_a_file_that_is_no_table_is_refused(shelf, content):
    path = shelf("board/net_8_b1")
    path.write_bytes(content)
    assert "net_8_b1.csv" in refused(read_profile, path)


def test_a_profile_of_another_name_is_refused(shelf):
    shelf("board/net_b1")
    assert "a profile is named MODEL_INPUT_bBATCH.csv, e.g. vgg16_224_b1.csv" in refused(shelf.library.model_names)


# -- what is found -------------------------------------------------------------------------------------------------


def test_profiles_of_several_machines_are_one_model(shelf):
    shelf("board/net_8_b1")
    shelf("rack/net_8_b1", changed(1, "fwd_cpu_ns", "500"))
    model = shelf.library.model("net")
    assert {name: times.seconds[0] for name, times in model.measured.items()} == {
        "board": pytest.approx(5e-6), "rack": pytest.approx(5e-7),
    }  # fmt: skip
    assert shelf.library.profiles() == [("net", "8", 1, "board"), ("net", "8", 1, "rack")]
    shelf("hall/net_8_b1", changed(1, "out_bytes", "201"))
    assert 'the profiles of "net" on board and hall hold different graphs' in refused(shelf.library.model, "net")


def test_several_inputs_need_a_choice(shelf):
    shelf("board/net_8_b1")
    shelf("board/net_16_b1")
    library = shelf.library
    assert refused(library.model, "net") == 'model "net" was profiled at inputs 16, 8; say which: input: 16'
    assert library.model("net", "8").resolution == "8"
    assert refused(library.model, "net", "9") == 'model "net" was not profiled at input 9 (only at: 16, 8)'


def test_an_unknown_name_is_answered_with_the_nearest():
    library = Library()
    assert 'no model named "vgg61". Did you mean "vgg16"? Known: alexnet,' in refused(library.model, "vgg61")
    assert 'no hardware named "raspbery-pi-4". Did you mean "raspberry-pi-4"? Known: ' in refused(
        library.hardware, "raspbery-pi-4"
    )


def test_what_is_made_in_python_comes_first():
    mine = replace(chain((1, 1), {"board": (1,)}), name="vgg16", resolution="224")
    library = Library(models=[mine], machines=[machine("raspberry-pi-4")])
    assert library.model("vgg16") is mine
    assert library.hardware("raspberry-pi-4").source == ""
    assert {"raspberry-pi-4", "epyc-zen5-1t"} <= set(library.hardware_names())
    assert ("vgg16", "224", 1, "board") in library.profiles()


# -- between batch sizes -------------------------------------------------------------------------------------------


def at_batch(batch: int, seconds: tuple[float, ...], sizes: tuple[float, ...]):
    runs = {"board": (seconds, tuple(2 * second for second in seconds))}
    return replace(chain(sizes, {"board": seconds}, repeats=runs, parameters=(7, 7)), batch=batch)


@pytest.fixture
def batches():
    return Library(
        models=[
            at_batch(8, (0.8, 4.0), (800, 80, 8)),
            at_batch(1, (0.2, 0.5), (100, 10, 1)),
            at_batch(4, (0.5, 2.0), (400, 40, 4)),
        ]
    )


@pytest.mark.parametrize(
    ("batch", "seconds"), [(2, (0.3, 1.0)), (3, (0.4, 1.5)), (5, (0.575, 2.5)), (6, (0.65, 3.0)), (7, (0.725, 3.5))]
)
def test_between_two_batches_all_is_linear_and_says_so(batches, batch, seconds):
    model = batches.model("tiny", batch=batch)
    times = model.measured["board"]
    assert times.seconds == pytest.approx(seconds)
    assert times.repeats[1] == pytest.approx([2 * second for second in seconds])
    assert times.grade == "transferred"
    assert model.batch == batch
    assert model.input_bytes == pytest.approx(100 * batch)
    assert [layer.out_bytes for layer in model.layers] == pytest.approx([10 * batch, batch])
    assert model.parameters(0, 2) == 14  # weights do not grow with the batch


def test_load_and_first_call_are_linear_where_both_ends_know_them(batches):
    def known(batch: int, **starts: float):
        profile = batches.model("tiny", batch=batch)
        return replace(profile, measured={"board": replace(profile.measured["board"], **starts)})

    library = Library(
        models=[known(4, load=2.0, first_call=1.0), known(8, load=2.0, first_call=3.0), known(1, load=2.0)]
    )
    times = library.model("tiny", batch=5).measured["board"]
    assert (times.load, times.first_call) == (pytest.approx(2.0), pytest.approx(1.5))
    assert library.model("tiny", batch=2).measured["board"].first_call is None


def test_only_the_batches_that_are_needed_are_read(shelf):
    for batch in (1, 2, 4):
        shelf(f"board/net_8_b{batch}")
    shelf("board/net_8_b8", rows=[])
    assert shelf.library.model("net", batch=3).measured["board"].grade == "transferred"
    assert "net_8_b8.csv: the profile is empty" in refused(lambda: shelf.library.model("net", batch=6))


@pytest.mark.parametrize("batch", [1, 4, 8])
def test_a_measured_batch_is_taken_as_it_is(batches, batch):
    assert batches.model("tiny", batch=batch).measured["board"].grade == "measured"


@pytest.mark.parametrize("batch", [0, 9, 100])
def test_outside_the_measured_batches_is_refused(batches, batch):
    assert refused(lambda: batches.model("tiny", batch=batch)) == (
        f'model "tiny" was profiled at batch 1, 4, 8; {batch} is outside'
    )


# -- training ------------------------------------------------------------------------------------------------------

LEARNED = ["train_fwd_ns", "bwd_ns", "bwd_wall_ns", "opt_ns", "saved_bytes"]
TRAINED = [(0, 0, 0, 0, 0), (6000, 9000, 9100, 700, 200), (40, 20, 25, 0, 0), (1500, 2000, 2100, 0, 64)]


@pytest.fixture
def taught(shelf, monkeypatch):
    """Write a profile of version 2 with training: ``taught("board/net_8_b1", scale=2)``."""
    monkeypatch.setattr(f"{__name__}.COLUMNS", [*COLUMNS, *LEARNED])

    def put(name, scale=1, learned=TRAINED):
        rows = [
            "2" + row[1:] + "," + ",".join(str(value * scale) if value != "" else "" for value in more)
            for row, more in zip(ROWS, learned, strict=True)
        ]
        path = shelf(name, rows)
        facts = {"bwd_call_overhead_ns": 100, "profiles": {}}
        for file in path.parent.glob("*_b?.csv"):
            facts["profiles"][file.stem] = {"training": {"tick_overhead_ns": 50, "loss_ns": 300}}
        (path.parent / "machine.json").write_text(json.dumps(facts))
        return path

    put.library = shelf.library
    return put


def test_training_is_read_less_what_reading_clocks_cost(taught):
    times = read_profile(taught("board/net_8_b1")).measured["board"].training
    assert times.forward == pytest.approx((5.95e-6, 0, 1.45e-6))
    assert times.backward == pytest.approx((8.9e-6, 0, 1.9e-6))
    assert times.optimizer == pytest.approx((7e-7, 0, 0))
    assert times.saved_bytes == (200, 0, 64)
    assert times.loss == pytest.approx(3e-7)
    assert times.total == pytest.approx(5.95e-6 + 1.45e-6 + 8.9e-6 + 1.9e-6 + 7e-7 + 3e-7)


def test_training_between_two_batches_is_on_the_line(taught):
    taught("board/net_8_b1")
    taught("board/net_8_b5", scale=5)
    low, middle, high = (taught.library.model("net", batch=b).measured["board"].training for b in (1, 2, 5))
    for what in ("forward", "backward", "optimizer", "saved_bytes"):
        ends = zip(getattr(low, what), getattr(high, what), strict=True)
        assert getattr(middle, what) == pytest.approx([a + 0.25 * (b - a) for a, b in ends])
    assert middle.loss == pytest.approx(3e-7)


def test_training_is_known_between_batches_only_where_both_know_it(taught):
    taught("board/net_8_b1")
    taught("board/net_8_b5", learned=[("",) * 5] * 4)
    assert taught.library.model("net", batch=5).measured["board"].training is None
    assert taught.library.model("net", batch=3).measured["board"].training is None
    assert taught.library.model("net", batch=1).measured["board"].training is not None


def test_a_layer_without_a_time_in_training_is_refused(taught):
    path = taught("board/net_8_b1", learned=[*TRAINED[:2], (40, "", 25, 0, 0), TRAINED[3]])
    assert "net_8_b1.csv:4: flat has no time in training (bwd_ns is '')" in refused(read_profile, path)


def test_what_lies_beside_a_profile_is_no_profile(taught):
    path = taught("board/net_8_b1")
    path.with_name("net_8_b1.checks.csv").write_text("mode,cut,part,cpu_ns,wall_ns,reps\n")
    assert taught.library.profiles() == [("net", "8", 1, "board")]


def test_batches_of_different_graphs_do_not_mix(shelf):
    shelf("board/net_8_b1")
    shelf("board/net_8_b4", ROWS[:3])
    assert 'of "net" at batch 1 and 4 hold different graphs' in refused(shelf.library.model, "net", None, 2)
    shelf("board/net_8_b4", changed(3, "node", "plus"))
    assert 'of "net" at batch 1 and 4 hold different graphs' in refused(shelf.library.model, "net", None, 2)
