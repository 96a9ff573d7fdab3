"""Documents: YAML as people mean it, with the line of every key."""

from __future__ import annotations

import pytest
import yaml

from simulator.foundation.errors import ScenarioError
from simulator.scenario.document import dotted, read_document, write_yaml

TEXT = """\
# a comment
name: x
nodes:
  pi: {kind: device,
       count: 2}
list:
  - first
  - at: {time: 30 s}
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text):
        (tmp_path / "s.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / "s.yaml"

    return write


def refused(path) -> tuple[str, ...]:
    with pytest.raises(ScenarioError) as caught:
        read_document(path)
    return caught.value.problems


def test_every_key_has_its_line(write):
    document = read_document(write(TEXT))
    assert {dotted(place): line for place, line in document.lines.items()} == {
        "": 2, "name": 2, "nodes": 3, "nodes.pi": 4, "nodes.pi.kind": 4, "nodes.pi.count": 5,
        "list": 6, "list[0]": 7, "list[1]": 8, "list[1].at": 8, "list[1].at.time": 8,
    }  # fmt: skip
    assert document.data == yaml.safe_load(TEXT)


@pytest.mark.parametrize(
    ("place", "where"),
    [
        (("nodes", "pi", "count"), "s.yaml:5: nodes.pi.count"),
        (("nodes", "pi", "memory"), "s.yaml:4: nodes.pi.memory"),  # not there: the line of what should hold it
        (("list", 1, "at", "time"), "s.yaml:8: list[1].at.time"),
        (("until",), "s.yaml: until"),
        ((), "s.yaml"),
    ],
)
def test_where(write, place, where):
    assert read_document(write(TEXT)).where(place) == where


@pytest.mark.parametrize(
    ("place", "text"),
    [((), ""), (("a",), "a"), (("a", 0, "b"), "a[0].b"), (("a", 0, 1), "a[0][1]"), (("a.b", "c"), "a.b.c")],
)
def test_dotted(place, text):
    assert dotted(place) == text


def test_keys_that_stand_twice_are_told_all_at_once(write):
    assert refused(write("name: x\nnodes:\n  pi: 1\n  edge: 2\n  pi: 3\nname: y\n")) == (
        's.yaml:5: nodes.pi: the key "pi" stands twice (first on line 3); give the second another name',
        's.yaml:6: name: the key "name" stands twice (first on line 1); give the second another name',
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-01-01", "2026-01-01"), ("1:30", "1:30"), ("0o10", "0o10"), ("010", "010"), ("-5", -5), ("1_000", 1000),
        ("2.5", 2.5), ("5 ms", "5 ms"), ("true", True), ("~", None), ("'7'", "7"),
    ],
)  # fmt: skip
def test_yaml_s_surprises_are_left_out(write, text, value):
    found = read_document(write(f"key: {text}\n")).data["key"]
    assert (type(found), found) == (type(value), value)


def test_a_number_as_a_key_is_a_word(write):
    assert read_document(write("1: a\nyes: b\n")).data == {"1": "a", "yes": "b"}


def test_anchors_are_values(write):
    assert read_document(write("a: &x {b: 1}\nc: *x\n")).data == {"a": {"b": 1}, "c": {"b": 1}}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "s.yaml: the file is empty; a scenario is a mapping of keys (name, until, model, nodes, ...)"),
        ("- a\n", "s.yaml: a list came; a scenario is a mapping"),
        ("word", "s.yaml: a single value came; a scenario is a mapping"),
        ("a: [1, 2\nb: 3\n", "s.yaml:2: not valid YAML: while parsing a flow sequence: expected ',' or ']'"),
        ("a: 1\n\tb: 2\n", "s.yaml:2: not valid YAML: "),
        ("a:\n  {b: 1}: 2\n", "s.yaml:2: a: a mapping came as a key; a key is a plain word"),
        ("[a]: 2\n", "s.yaml:1: a list came as a key"),
        ("a: !thing x\n", "s.yaml:1: a: 'x' cannot be read"),
        ("a: &x [*x]\n", "s.yaml: nested too deeply"),
        ("a: " + "[" * 2000, "s.yaml: nested too deeply"),
        (b"a: \xff\n", "s.yaml: cannot be read: not a text file"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(write, text, sentence):
    (problem,) = refused(write(text))
    assert problem.startswith(sentence)


def test_a_file_that_is_not_there(tmp_path):
    (problem,) = refused(tmp_path / "no.yaml")
    assert problem.endswith("no.yaml: cannot be read: No such file or directory")


def test_written_and_read_again(write):
    data = {"name": "Straße", "nodes": {"b": 1, "a": [1, 2.5, None, True]}, "text": "yes"}
    again = read_document(write(write_yaml(data))).data
    assert again == data
    assert list(again["nodes"]) == ["b", "a"]
