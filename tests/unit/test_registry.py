"""Techniques and commands by name, from entry points."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from simulator import Technique, cli
from simulator.foundation.errors import RegistryError, did_you_mean
from simulator.techniques import registry
from simulator.techniques.fixed_split import FixedSplit


@pytest.fixture
def installed(monkeypatch):
    """Let these and no others be installed: ``installed(name="module:Class")``, or a list of pairs."""

    def install(module, *pairs):
        points = [EntryPoint(name, value, module.GROUP) for name, value in pairs]
        monkeypatch.setattr(module, "entry_points", lambda group: points if group == module.GROUP else [])

    return install


def refused(call, *arguments) -> str:
    with pytest.raises(RegistryError) as caught:
        call(*arguments)
    return str(caught.value)


SPLIT = "simulator.techniques.fixed_split:FixedSplit"


def test_ours_come_by_the_same_way_as_a_third_party_s():
    ours = ["adaptive", "device-only", "fixed-split", "min-latency", "oracle", "server-only"]
    assert [name for name in registry.installed() if name in ours] == ours
    assert registry.technique_class("fixed-split") is FixedSplit
    assert all(issubclass(registry.technique_class(name), Technique) for name in registry.installed())


def test_two_of_one_name_are_refused_and_both_named(installed):
    installed(registry, ("split", SPLIT), ("split", "my_lab.split:Split"))
    assert refused(registry.installed) == f'two techniques are named "split": my_lab.split:Split and {SPLIT}'
    assert refused(registry.technique_class, "split").startswith("two techniques are named")


def test_one_that_is_found_twice_is_one(installed):
    installed(registry, ("split", SPLIT), ("split", SPLIT))  # a checkout and its wheel, say
    assert list(registry.installed()) == ["split"]


def test_an_unknown_name_is_answered_with_the_nearest(installed):
    assert refused(registry.technique_class, "min-latancy").startswith(
        'no technique named "min-latancy". Did you mean "min-latency"? Installed: adaptive,'
    )
    installed(registry)
    assert refused(registry.technique_class, "split") == (
        'no technique named "split". Installed: none (is the package installed?)'
    )


@pytest.mark.parametrize("value", ["simulator.profiles.trace:Trace", "simulator.techniques.registry:installed"])
def test_what_is_registered_must_be_a_technique(installed, value):
    installed(registry, ("thing", value))
    assert refused(registry.technique_class, "thing") == f'"thing" ({value}) is not a subclass of simulator.Technique'


def test_a_technique_knows_its_name_or_its_class_s():
    class Mine(Technique):
        pass

    assert registry.name_of(FixedSplit(split_point=1)) == "fixed-split"
    assert registry.name_of(Mine()) == "Mine"


def test_two_commands_of_one_name_are_refused(installed):
    installed(cli, ("run", "a:run"), ("run", "b:run"))
    assert refused(cli.verbs) == 'two commands are named "run": a:run and b:run'


def test_commands_stand_in_the_order_one_meets_them(installed):
    installed(cli, ("zebra", "z:z"), ("show", "s:s"), ("apply", "a:a"), ("run", "r:r"))
    assert list(cli.verbs()) == ["run", "show", "apply", "zebra"]


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("bandwith", ["delay", "bandwidth"], ' Did you mean "bandwidth"?'),
        ("mbit/s", ["bit/s", "Mbit/s"], ' Did you mean "Mbit/s"?'),
        ("EDGE", ["edge", "edges"], ' Did you mean "edge"?'),
        ("x", ["delay"], ""), (None, ["delay"], ""), ("delay", [], ""),
    ],
)  # fmt: skip
def test_did_you_mean(name, known, hint):
    assert did_you_mean(name, known) == hint
