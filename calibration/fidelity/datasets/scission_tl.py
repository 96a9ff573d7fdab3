"""ScissionTL: its rule with a transfer layer replayed by the simulator, and each machine predicted from the others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from calibration.fidelity.comparison import Comparison, Goal
from calibration.fidelity.datasets.scission import trial_of, unseen
from calibration.measured.pipelines import Links, latencies, pipeline, read_links
from calibration.measured.scission_tl import FILE, TransferTable, read_transfer
from calibration.measured.tables import data_file
from simulator.foundation.errors import ProfileError

NAME = "scission-tl"
TITLE = "Block times on a Jetson TX2 and two edge servers, each predicted from the others (ScissionTL)"
BACKEND = "tensorflow"
"""Whose blocks are predicted; under Triton the edge was timed by cuts, of one network."""


def compare(fit: Path | None = None, check: Path | None = None) -> Comparison:
    """Predict each network on each machine from the other machines, with 0, 3 and 5 other networks measured there.

    Args:
        fit: instead of ScissionTL's own ``block_profiles_tl.csv``.
        check: a file of that format: its networks on its machines are predicted, with anchors from the other one.

    Raises:
        ProfileError: if a file has no block of the backend that is predicted.
    """
    source = fit or data_file(FILE)
    tables = {path: read_transfer(path) for path in (source, check) if path is not None}
    for path, backends in tables.items():
        if BACKEND not in backends:
            raise ProfileError(f"{path}: no rows of the backend {BACKEND}, only of {', '.join(backends)}")
    judged = tables[check or source]
    links = {backend: read_links(data_file(f"scissiontl/network_stats_{backend}.csv")) for backend in judged}
    difference, cuts = rule_difference(judged, links)
    notes = [
        f"ScissionTL's rule in the simulator against its closed form: largest relative difference {difference:.1e} "
        f"over {cuts:,} cuts with a transfer layer; the rows are cuts without one",
        "three machines: each is predicted from two (titan_cpu, a processor, from two GPUs), and the intervals rest on "
        "two machines that play the unknown one: they are wide, and without anchors so wide that they always hold",
    ]
    if "triton" in judged:
        notes.append(
            "Triton's rows are replayed by the rule and not predicted: the edge was timed by cuts, not by blocks"
        )
    goal = Goal("rule against closed form, all cuts", 100 * difference, 0.005)
    measured_on = (
        "tx2_gpu (Jetson TX2), ampere (server with an Ampere GPU), titan_cpu (server processor); TensorFlow 2, batch "
        "1; measured by Ahn et al., 2021"
    )
    checked = tables[check][BACKEND].blocks if check is not None else None
    trial = trial_of(tables[source][BACKEND].blocks, checked)
    return unseen(NAME, measured_on, trial, {"network_stats": links[BACKEND]}, (goal,), tuple(notes))


def rule_difference(tables: Mapping[str, TransferTable], links: Mapping[str, Links]) -> tuple[float, int]:
    """Return the largest relative difference between simulator and closed form, and the number of cuts."""
    largest, count = 0.0, 0
    for backend, table in tables.items():
        joints = links[backend]
        for device, edge in ((a, b) for a, b in joints if a in table.devices and b in table.edges):
            for model in table.models(device, edge):
                for cut in table.cuts(device, edge, model):
                    scenario = pipeline(table.profile(model, device, edge, cut), (device, edge), joints)
                    found = {p.split_point(device): latency for p, latency in latencies(scenario).items()}
                    expected = closed_form(table, model, device, edge, cut, joints)
                    largest, count = max(largest, abs(found[cut + 2] / expected - 1)), count + 1
    return largest, count


def closed_form(table: TransferTable, model: str, device: str, edge: str, cut: int, links: Links) -> float:
    """Return ScissionTL's latency [s] of a transfer layer behind block *cut*: blocks, transfer, both ends."""
    here = table.blocks.of(device, model)
    row = here.iloc[cut]
    head = here["time_s"].iloc[: cut + 1].sum() + row["tl_downsample_s"] + row["tl_dataconvert_s"]
    way = links[device, edge].seconds(float(row["tl_output_npy_bytes"]))
    if not table.suffixes.empty:
        there = table.suffixes[(table.suffixes["machine"] == edge) & (table.suffixes["model"] == model)]
        return float(head + way + there.loc[there["first_layer"] == row["last_layer"] + 1, "time_s"].sum())
    there = table.blocks.of(edge, model)
    ends = there["tl_upsample_s"].iloc[cut] + there["tl_dataconvert_s"].iloc[cut]
    return float(head + way + ends + there["time_s"].iloc[cut + 1 :].sum())
