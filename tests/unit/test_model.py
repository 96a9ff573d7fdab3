"""Models: cuts, parameters and peaks against a brute force over all prefixes of random graphs."""

from __future__ import annotations

from dataclasses import replace

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import Layer, LayerTimes, ModelProfile
from simulator.foundation.errors import ProfileError
from simulator.profiles.hardware import OperatorRate, Rates
from simulator.testing import chain, machine

INPUT_BYTES = 1000.0


@st.composite
def graphs(draw):
    """Any graph: skips, layers that read several others or nothing, views of views, places that cannot be cut."""
    layers = []
    for i in range(draw(st.integers(1, 8))):
        before = ["in", *(layer.name for layer in layers)]
        parents = draw(st.lists(st.sampled_from(before), unique=True, max_size=3)) if i else ["in"]
        alias = bool(parents) and draw(st.booleans())
        size, weights = draw(st.integers(1, 500)), draw(st.integers(0, 9))
        layers.append(
            Layer(f"l{i}", "T", "conv", tuple(parents), 1, 1, size, weights, alias=alias, cut_ok=draw(st.booleans()))
        )
    return ModelProfile("g", "in", INPUT_BYTES, tuple(layers))


def storage(model: ModelProfile, name: str) -> str:
    """Name of the layer that owns the memory of *name*."""
    layer = {layer.name: layer for layer in model.layers}.get(name)
    return storage(model, layer.parents[0]) if layer is not None and layer.alias and layer.parents else name


def made_before(model: ModelProfile, index: int) -> dict[str, float]:
    return {"in": INPUT_BYTES} | {layer.name: layer.out_bytes for layer in model.layers[:index]}


def read_from(model: ModelProfile, index: int) -> set[str]:
    """Names read by layer *index* or a later one; the answer is read at the very end."""
    return {name for layer in model.layers[index:] for name in layer.parents} | {model.layers[-1].name}


@given(graphs())
def test_what_crosses_a_cut_is_made_before_and_read_after(model):
    expected = {}
    for index in range(1, len(model) + 1):
        if model.layers[index - 1].cut_ok:
            tensors: dict[str, float] = {}
            for name, size in made_before(model, index).items():
                if name in read_from(model, index):
                    owner = storage(model, name)
                    tensors[owner] = max(size, tensors.get(owner, 0))
            expected[index] = tensors
    cuts = {cut.index: cut for cut in model.cuts()}
    assert cuts.pop(0).bytes == INPUT_BYTES
    assert {index: set(cut.tensors) for index, cut in cuts.items()} == {i: set(t) for i, t in expected.items()}
    assert {index: cut.bytes for index, cut in cuts.items()} == {i: sum(t.values()) for i, t in expected.items()}


@given(graphs(), st.data())
def test_the_peak_is_the_worst_moment(model, data):
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(model))] * 2)))
    worst = 0.0
    for index in range(start, stop):
        made = made_before(model, index + 1)
        live = {storage(model, name) for name in read_from(model, index) & set(made)} | {
            storage(model, model.layers[index].name)
        }
        worst = max(worst, sum(made[name] for name in live))
    assert model.peak_activation(start, stop) == worst


@given(graphs(), st.data())
def test_parameters_add_up(model, data):
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(model))] * 2)))
    assert model.parameters(start, stop) == sum(model.layers[i].param_bytes for i in range(start, stop))
    assert model.parameters(0, start) + model.parameters(start, len(model)) == model.parameters(0, len(model))


@given(graphs())
def test_the_graph_is_the_layers(model):
    graph = model.graph()
    assert nx.is_directed_acyclic_graph(graph)
    assert {name: set(graph.predecessors(name)) for name in graph if name != "in"} == {
        layer.name: set(layer.parents) for layer in model.layers
    }
    assert all(graph.nodes[layer.name]["layer"] is layer for layer in model.layers)


def test_a_view_keeps_its_tensor_alive():
    conv = Layer("conv", "Conv", "conv", ("in",), 0, 0, 80, 0)
    flat = Layer("flat", "Flatten", "reshape", ("conv",), 0, 0, 80, 0, alias=True)
    last = Layer("last", "Linear", "linear", ("flat",), 0, 0, 5, 0)
    model = ModelProfile("m", "in", 1, (conv, flat, last))
    assert model.peak_activation(2, 3) == 85
    assert [(cut.tensors, cut.bytes) for cut in model.cuts()] == [
        (("in",), 1), (("conv",), 80), (("conv",), 80), (("last",), 5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        ([], "m: a profile needs at least one layer"),
        ([("a", "b")], "m: a reads 'b', which does not stand before it"),
        ([("a", "a")], "m: a reads 'a', which does not stand before it"),
        ([("a", "in"), ("a", "in")], "m: two layers are named 'a'"),
        ([("in", "in")], "m: two layers are named 'in'"),
    ],
)
def test_what_is_no_graph_is_refused(layers, sentence):
    with pytest.raises(ProfileError) as caught:
        ModelProfile("m", "in", 1, tuple(Layer(name, "T", "conv", (parent,), 0, 0, 1, 0) for name, parent in layers))
    assert str(caught.value) == sentence


# -- times ---------------------------------------------------------------------------------------------------------


def rated(**operators: OperatorRate):
    return replace(machine("board"), rates=Rates(0.5, operators, "transferred", "a fit"))


def test_measured_times_come_before_rates():
    model = chain((1, 1, 1), {"board": (0.1, 0.2)})
    assert model.times_on(rated()) is model.measured["board"]
    assert model.measured["board"].prefix() == pytest.approx([0, 0.1, 0.3])


def test_a_machine_with_rates_is_predicted_by_hand():
    layers = (
        Layer("a", "T", "conv", ("in",), 100, 10, 20, 30),
        Layer("b", "T", "reshape", ("a",), 100, 20, 20, 0),
        Layer("c", "T", "norm", ("b",), 100, 20, 20, 0),
    )
    elsewhere = LayerTimes("rack", (1, 0, 4), ((1, 0, 4), (2, 0, 2)))
    model = ModelProfile("m", "in", 10, layers, measured={"rack": elsewhere})
    times = model.times_on(rated(conv=OperatorRate(compute=50, memory=6), norm=OperatorRate(memory=8)))
    conv, norm = 0.5 + 100 / 50 + (10 + 20 + 30) / 6, 0.5 + (20 + 20) / 8
    assert times.seconds == (conv, 0, norm)
    assert times.repeats == ((conv, 0, norm), (2 * conv, 0, norm / 2))  # varied as the rack's runs did
    assert (times.grade, times.source, times.hardware) == ("transferred", "a fit", "board")
    assert times.prefix(1) == [0, 2 * conv, 2 * conv, 2 * conv + norm / 2]


def test_a_prediction_can_be_had_where_the_model_was_measured():
    model = chain((1, 1, 1), {"board": (0.1, 0.2)})
    rates = {layer.operator: OperatorRate(compute=2) for layer in model.layers}
    predicted = model.predicted_on(rated(**rates))
    assert predicted.seconds == tuple(0.5 + layer.flops / 2 for layer in model.layers)
    assert predicted.grade == "transferred"
    assert model.times_on(rated(**rates)).seconds == (0.1, 0.2)


def test_a_prediction_needs_rates():
    model = chain((1, 1), {"board": (1,)})
    sentence = r'"tiny" cannot be predicted on "board": that machine has no rates; write them in its hardware file as'
    with pytest.raises(ProfileError, match=sentence):
        model.predicted_on(machine("board"))


@pytest.mark.parametrize(("load", "first_call"), [(3.0, 0.5), (None, 0.5), (3.0, None), (None, None)])
def test_load_and_first_call_are_borrowed_in_proportion_to_the_layers(load, first_call):
    model = chain((1, 1, 1), {"attic": (1, 1)})
    rack = LayerTimes("rack", (0.25, 0.25), load=load, first_call=first_call)
    late = LayerTimes("late", (0.25, 0.25), load=load and 99.0, first_call=first_call and 99.0)
    model = replace(model, measured={**model.measured, "rack": rack, "late": late})  # the first that knows
    rates = {layer.operator: OperatorRate() for layer in model.layers}
    times = model.times_on(rated(**rates))  # half a second a layer: twice the rack, and the attic knows neither
    assert times.load == (None if load is None else 2 * load)
    assert times.first_call == (None if first_call is None else 2 * first_call)
    assert times.grade == "transferred"


def test_an_operator_without_a_rate_is_refused():
    model = ModelProfile("m", "in", 1, (Layer("a", "T", "depthwise", ("in",), 1, 1, 1, 1),))
    with pytest.raises(ProfileError) as caught:
        model.times_on(rated(conv=OperatorRate(1), norm=OperatorRate(1)))
    assert str(caught.value) == 'a of "m" on "board": no rate for operator class "depthwise" (known here: conv, norm)'


@pytest.mark.parametrize(("times", "where"), [({}, "nowhere"), ({"rack": (1,), "hall": (1,)}, "hall, rack")])
def test_a_machine_without_either_is_refused(times, where):
    with pytest.raises(ProfileError, match=rf'"tiny" was not profiled on "board" \(only on: {where}\).*offing profile'):
        chain((1, 1), times).times_on(machine("board"))
