"""A whole zoo: skipped, measured, failed, impossible, stopped. What measuring itself does is tested elsewhere."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import typer

pytest.importorskip("torch", reason="profiling needs PyTorch")

from calibration.profiling import campaign as module
from calibration.profiling import commands, store
from calibration.profiling.campaign import How, Place, attempt, campaign, in_words, names_of
from calibration.zoo import ZOO, Cell, resolve
from simulator.foundation.errors import ProfileError

FACTS = {"cpu": "test", "threads": 1, "device": "cpu", "dtype": "float32", "torch": "2.13"}
TWO = [Cell(ZOO["lenet"], (1, 8)), Cell(ZOO["gru_kws"], (1,))]
ALL = ["lenet_1x32x32_b1", "lenet_1x32x32_b8", "gru_kws_98x40_b1"]


class FakeProfiler:
    """Measures nothing, remembers what it was asked for, and fails where it is told to."""

    def __init__(self, monkeypatch):
        self.asked = []
        self.flags = {}
        self.errors = {}
        monkeypatch.setattr(module.profiler, "measure", self.measure)
        monkeypatch.setattr(module.loading, "measure_starts", lambda recipe, batch, *_, **__: {"load_ns": batch})
        monkeypatch.setattr(module.costs, "measure_costs", lambda progress: {"switch_ns": 7})
        monkeypatch.setattr(module.store, "save", self.save)

    def measure(self, recipe, batches, how, *, training, progress):
        self.asked.append((recipe.name, recipe.tag, tuple(batches), training))
        progress("forward", 1, 2)
        if recipe.name in self.errors:
            raise self.errors[recipe.name]
        if not how.accept and any((recipe.name, batch) in self.flags for batch in batches):
            raise ProfileError("does not add up")  # as the real one does, for all batches
        return [self.one(recipe, batch, training) for batch in batches]

    def one(self, recipe, batch, training):
        entry = {"torch": "2.13", "flags": self.flags.get((recipe.name, batch), []), "plain_cpu_ns": batch}
        if training:
            entry["training"] = {}
        return SimpleNamespace(recipe=recipe, batch=batch, facts=[], summary=entry)

    def save(self, one, facts, folder):
        name = one.recipe.file_name(one.batch)
        table = f"schema_version,model\n{store.SCHEMA_VERSION},{one.recipe.name}\n"
        store.write(folder, store.merged(folder, facts, {name: one.summary}), {f"{name}.csv": table})


@pytest.fixture
def fake(monkeypatch):
    return FakeProfiler(monkeypatch)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path / "here", FACTS)


def test_what_is_there_is_skipped_and_what_was_lost_is_taken_again(fake, place):
    first = campaign(TWO, How(), place)
    assert (list(first.measured), first.skipped, first.failed, first.left) == (ALL, [], {}, [])
    assert fake.asked == [("lenet", "1x32x32", (1, 8), True), ("gru_kws", "98x40", (1,), True)]

    fake.asked.clear()
    second = campaign(TWO, How(), place)
    assert (list(second.measured), second.skipped, fake.asked) == ([], ALL, [])

    (place.folder / "gru_kws_98x40_b1.csv").unlink()
    third = campaign(TWO, How(), place)
    assert (list(third.measured), third.skipped) == (ALL[2:], ALL[:2])
    assert list(campaign(TWO, How(), place, again=True).measured) == ALL


def test_siblings_of_a_lost_profile_are_taken_with_it_so_that_all_saw_the_same_minutes(fake, place):
    campaign(TWO, How(), place)
    (place.folder / "lenet_1x32x32_b8.csv").unlink()
    assert list(campaign(TWO, How(), place).measured) == ALL[:2]


@pytest.mark.parametrize("change", ["torch", "schema", "training"])
def test_a_profile_of_another_torch_or_schema_or_without_training_is_taken_again(fake, place, change):
    campaign(TWO[1:], How(), place)
    facts = {**FACTS, "torch": "2.14"} if change == "torch" else FACTS
    if change == "schema":
        (place.folder / f"{ALL[2]}.csv").write_text("schema_version,model\n1,gru_kws\n")
    if change == "training":
        machine = json.loads((place.folder / "machine.json").read_text())
        del machine["profiles"][ALL[2]]["training"]
        (place.folder / "machine.json").write_text(json.dumps(machine))
    assert list(campaign(TWO[1:], How(), Place(place.folder, facts)).measured) == ALL[2:]


def test_a_failing_cell_does_not_stop_the_rest(fake, place):
    fake.errors["lenet"] = ProfileError("too loud")
    lines = []
    outcome = campaign(TWO, How(), place, say=lines.append)
    assert outcome.failed == {ALL[0]: "too loud", ALL[1]: "too loud"}
    assert list(outcome.measured) == ALL[2:]
    assert lines[0].startswith("1/3 lenet 1x32x32: 2 failed, ")
    assert lines[1].startswith("2/3 gru_kws 98x40: 1 measured, ")
    assert not (place.folder / f"{ALL[0]}.csv").exists()


def test_a_batch_that_does_not_add_up_is_left_out_and_its_siblings_are_kept(fake, place):
    fake.flags["lenet", 8] = ["accepted with the forward pass's additivity +4.0%, beyond 3%"]
    outcome = campaign(TWO[:1], How(), place)
    assert list(outcome.measured) == ALL[:1]
    assert outcome.failed[ALL[1]].startswith("not saved: the forward pass's additivity +4.0%, beyond 3%; pin")
    assert list(campaign(TWO[:1], How(accept=True), place).measured) == ALL[:2]


def test_load_time_stands_at_the_smallest_batch_and_costs_once_in_the_folder(fake, place):
    campaign(TWO, How(), place)
    machine = store.load_machine(place.folder)
    assert [("load_ns" in machine["profiles"][name]) for name in ALL] == [True, False, True]
    assert machine["costs"] == {"switch_ns": 7}


def test_costs_that_cannot_be_measured_fail_alone(fake, place, monkeypatch):
    def broken(progress):
        raise ProfileError("no second core")

    monkeypatch.setattr(module.costs, "measure_costs", broken)
    outcome = campaign(TWO, How(), place)
    assert (outcome.failed, len(outcome.measured)) == ({"costs": "no second core"}, 3)


def test_another_machines_folder_is_refused_before_anything_is_measured(fake, place):
    campaign(TWO, How(), place)
    fake.asked.clear()
    with pytest.raises(ProfileError, match='"here" holds profiles taken with cpu test'):
        campaign(TWO, How(), Place(place.folder, {**FACTS, "cpu": "other"}), again=True)
    assert fake.asked == []


class TestImpossible:
    """Cells that cannot be, found out by trying."""

    def test_inception_in_training_on_one_small_image(self):
        """Three reductions leave one pixel of 96, and a norm over one value means nothing."""
        _, reasons = attempt(Cell(resolve("inception_v3", 96), (1,)), 1)
        assert reasons.keys() == {"training"}
        assert "Expected more than 1 value per channel" in reasons["training"]
        assert attempt(Cell(resolve("inception_v3", 96), (2,)), 2)[1] == {}

    @pytest.mark.parametrize(("name", "size"), [("alexnet", 32), ("inception_v3", 64), ("vgg5", 96), ("vgg11", 16)])
    def test_a_size_that_a_network_cannot_take(self, name, size):
        _, reasons = attempt(Cell(resolve(name, size), (2,)), 2)
        assert reasons.keys() == {"inference", "training"}
        assert reasons["inference"] == reasons["training"] != ""

    @pytest.mark.parametrize(("name", "size"), [("alexnet", 96), ("vgg16", 32), ("inception_v3", 75)])
    def test_a_size_that_it_can_take(self, name, size):
        assert attempt(Cell(resolve(name, size), (2,), training=False), 2)[1] == {}

    def test_they_are_listed_in_the_folder_and_the_possible_half_is_measured(self, fake, place):
        cells = [Cell(resolve("inception_v3", 96), (1, 8)), Cell(resolve("alexnet", 32), (1,)), TWO[1]]
        outcome = campaign(cells, How(), place)
        assert [asked for asked in fake.asked if asked[0] != "gru_kws"] == [
            ("inception_v3", "96", (8,), True), ("inception_v3", "96", (1,), False),
        ]  # fmt: skip
        listed = store.load_machine(place.folder)["impossible"]
        assert listed == outcome.impossible
        assert list(listed) == ["alexnet_32_b1 inference", "alexnet_32_b1 training", "inception_v3_96_b1 training"]
        assert outcome.failed == {}

        fake.asked.clear()
        assert len(campaign(cells, How(), place).skipped) == 4  # the impossible one with them
        assert fake.asked == []
        campaign(TWO[:1], How(), place)
        assert store.load_machine(place.folder)["impossible"] == listed  # another list of cells leaves it alone


class TestStopped:
    """Ctrl-C: what is done is saved, and the same command goes on."""

    def test_what_is_left_is_said_and_taken_the_next_time(self, fake, place):
        fake.errors["gru_kws"] = KeyboardInterrupt()
        outcome = campaign(TWO, How(), place)
        assert (list(outcome.measured), outcome.left) == (ALL[:2], ["gru_kws 98x40", "costs around the models"])
        fake.errors.clear()
        assert list(campaign(TWO, How(), place).measured) == ALL[2:]

    def test_the_verb_ends_with_130_and_says_how_to_go_on(self, fake, tmp_path, capsys):
        fake.errors["vgg5"] = KeyboardInterrupt()
        with pytest.raises(typer.Exit) as stop:
            commands.profile(zoo="quick", out=tmp_path, hardware="here")
        assert stop.value.exit_code == 130
        told = capsys.readouterr()
        assert "2 measured, 0 skipped, 0 impossible, 0 failed" in told.out
        assert (
            "Stopped; what was done is saved (3 left, next vgg5 32). The same command goes on from there." in told.err
        )


class TestVerb:
    """``offing profile --zoo``: what it prints and how it ends."""

    def test_a_failure_is_listed_and_ends_with_1(self, fake, tmp_path, capsys):
        fake.errors["vgg5"] = ProfileError("too loud")
        with pytest.raises(typer.Exit) as stop:
            commands.profile(zoo="quick", out=tmp_path, hardware="here")
        assert stop.value.exit_code == 1
        out = capsys.readouterr().out
        assert "failed: vgg5_32_b1: too loud" in out
        assert "4 measured, 0 skipped, 0 impossible, 2 failed" in out

    def test_as_json(self, fake, tmp_path, capsys):
        commands.profile(zoo="quick", out=tmp_path, hardware="here", as_json=True, no_training=True)
        result = json.loads(capsys.readouterr().out)
        assert result["measured"].keys() == {
            f"{n}_b{b}" for n in ("lenet_1x32x32", "vgg5_32", "gru_kws_98x40") for b in (1, 8)
        }
        assert {asked[3] for asked in fake.asked} == {False}
        assert (result["failed"], result["left"], result["impossible"]) == ({}, [], {})

    def test_one_model_at_several_batches(self, fake, tmp_path, capsys):
        commands.profile("vgg5", batch="1,8", out=tmp_path, hardware="here", as_json=True)
        files = [entry["file"] for entry in json.loads(capsys.readouterr().out)]
        assert [file.rpartition("/")[2] for file in files] == ["vgg5_32_b1.csv", "vgg5_32_b8.csv"]
        assert fake.asked == [("vgg5", "32", (1, 8), True)]

    def test_a_model_that_cannot_be_trained_at_this_batch(self, fake, tmp_path):
        with pytest.raises(
            ProfileError, match=r"inception_v3 96 cannot be trained at batch 1: Expected.*--no-training"
        ):
            commands.profile("inception_v3", size=96, out=tmp_path, hardware="here")
        assert fake.asked == []


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"repeats": 2}, {"splits": -1}])
def test_what_no_profile_can_be_taken_with_is_refused_before_anything_is_tried(wrong, tmp_path):
    with pytest.raises(ProfileError, match="need --threads >= 1, --repeats >= 3, --splits >= 0"):
        commands.profile(zoo="quick", out=tmp_path, hardware="here", **wrong)


class TestTimeLeft:
    """The estimate of what is left."""

    def test_it_scales_with_what_the_finished_steps_took(self, monkeypatch):
        now = 100.0
        monkeypatch.setattr(module.time, "perf_counter", lambda: now)
        clock = module._Schedule([10.0, 30.0, 20.0])
        assert clock.left_s(104.0) == 56.0  # as estimated, less what has gone by
        now = 120.0
        clock.finish()  # took twice its estimate
        assert clock.took_s() == 20.0
        assert clock.left_s(now) == 2 * 50.0
        assert clock.left_s(10_000.0) == 0.0

    @pytest.mark.parametrize(("seconds", "words"), [(40, "40 s"), (600, "10 min"), (3900, "1 h 5 min"), (100, "2 min")])
    def test_in_words(self, seconds, words):
        assert in_words(seconds) == words


def test_names_of_a_cell():
    assert names_of(Cell(resolve("resnet18", 96), (1, 8))) == ["resnet18_96_b1", "resnet18_96_b8"]
