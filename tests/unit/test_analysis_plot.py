"""``offing plot``: files, JSON, and errors that say what to write."""

from __future__ import annotations

import json

import pytest

from analysis import FIGURES


def test_all_figures_of_a_scenario(offing, tmp_path):
    code, out, _ = offing("plot", "all", "quick/split_inference")
    assert code == 0
    made = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert made == sorted(f"{name}.{kind}" for name in FIGURES for kind in ("png", "csv"))
    assert all(name in out for name in made)


def test_json_names_the_files(offing, tmp_path):
    code, out, err = offing("plot", "cuts", "quick/split_inference", "--out", "here", "--svg", "--json")
    assert (code, err) == (0, "")
    files = json.loads(out)["figures"]["cuts"]
    assert files == ["here/cuts.png", "here/cuts.svg", "here/cuts.csv"]
    assert all((tmp_path / file).is_file() for file in files)


def test_changes_reach_the_figure(offing, tmp_path):
    assert offing("plot", "cuts", "quick/split_inference", "--set", "links.uplink.bandwidth=1 Gbit/s")[0] == 0
    first = (tmp_path / "figures" / "cuts.csv").read_text().splitlines()[1]
    assert first.endswith("True")  # over such a link everything belongs on the server


def test_a_saved_run_is_drawn_and_not_run_again(offing, tmp_path):
    assert offing("run", "quick/split_inference", "--out", "saved")[0] == 0
    assert offing("plot", "gantt", "saved", "--from", "10 s", "--for", "2 s")[0] == 0
    assert (tmp_path / "figures" / "gantt.csv").is_file()


def test_layers_of_a_model_on_machines(offing, tmp_path):
    assert (
        offing("plot", "layers", "--model", "vgg5", "--hardware", "raspberry-pi-4", "--hardware", "epyc-zen5-1t")[0]
        == 0
    )
    header = (tmp_path / "figures" / "layers.csv").read_text().splitlines()[0]
    assert header.endswith("raspberry-pi-4_s,epyc-zen5-1t_s")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["gannt", "quick/split_inference"], 'no figure named "gannt". Did you mean "gantt"?'),
        (["cuts"], "say what to draw"),
        (["cuts", "quick/split_inferense"], 'Did you mean "quick/split_inference"?'),
        (["cuts", "."], "is not a saved run"),
        (["cuts", "--model", "vgg5", "--hardware", "raspberry-pi-4"], "without a scenario: offing plot layers"),
        (["layers", "--model", "vgg5"], "without a scenario: offing plot layers"),
        (["layers", "--model", "vgg55", "--hardware", "raspberry-pi-4"], 'Did you mean "vgg5"?'),
        (["cuts", ".", "--set", "seed=1"], "give the scenario instead"),
        (["gantt", "quick/split_inference", "--for", "2"], "2 has no unit"),
        (["gantt", "quick/split_inference", "--from", "1 h"], "the window begins at 3600 s, but the run covers 0 s to"),
        (["cuts", "quick/split_inference", "--device", "po"], 'no device named "po" sends requests'),
    ],
)
def test_errors_say_what_to_write(offing, tmp_path, arguments, sentence):
    code, out, err = offing("plot", *arguments)
    assert code == 2
    assert out == ""
    assert sentence in err
    assert "Traceback" not in err
    assert not (tmp_path / "figures").exists()
