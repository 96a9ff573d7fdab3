"""What a technique answered, looked at before it is followed: what cannot run is an error, with its reason."""

from __future__ import annotations

from simulator.foundation.errors import PlacementError, did_you_mean
from simulator.profiles.placement import Placement
from simulator.world.cluster import Cluster


def check(
    placement: object, who: str, source: str, cluster: Cluster, alive: bool = False, whole: bool = True
) -> Placement:
    """Return *placement* if it can run: cuts valid, nodes reachable and large enough.

    Args:
        placement: what a technique answered.
        who: whose answer it is, for the error.
        source: for whose requests.
        cluster: where it is to run.
        alive: whether its nodes must be up.
        whole: whether it must cover all layers (a recovery may leave the model early).

    Raises:
        PlacementError: saying what is wrong.
    """
    if not isinstance(placement, Placement):
        raise PlacementError(f"{who} answered {placement!r}; place() answers a Placement")
    nodes, cuts = cluster.nodes, cluster.cut_bytes
    if placement.end > len(cluster.model):
        raise PlacementError(
            f'{who} placed layer {placement.end - 1}, but "{cluster.model.name}" has {len(cluster.model)}'
        )
    if whole and placement.end < len(cluster.model):
        raise PlacementError(
            f'{who} placed layers 0 to {placement.end - 1}, but "{cluster.model.name}" has {len(cluster.model)} '
            "layers; place them all (only recover() may leave the model early)"
        )
    for segment in placement.segments:
        layers = f"layers {segment.start} to {segment.stop - 1} of {cluster.model.name}"
        if segment.node not in nodes:
            hint = did_you_mean(segment.node, nodes)
            raise PlacementError(f'{who} placed {layers} on "{segment.node}".{hint} Nodes: {", ".join(nodes)}')
        if alive and not nodes[segment.node].up:
            raise PlacementError(
                f'{who} placed {layers} on "{segment.node}", which has been down since '
                f"{nodes[segment.node].station.since:g} s (view.live_nodes lists the others)"
            )
        if segment.start not in cuts:
            near = sorted(cuts, key=lambda cut: abs(cut - segment.start))[:3]
            raise PlacementError(
                f'{who} cut "{cluster.model.name}" before layer {segment.start}, where it cannot be cut; '
                f"the nearest valid cuts: {', '.join(map(str, sorted(near)))}"
            )
        if segment.node != source:
            cluster.network.route(source, segment.node)
    for s in placement.segments:
        need = cluster.residency.need(s.node, source, s.start, s.stop)
        facts = nodes[s.node].facts
        if need > facts.memory:
            twice = "; all that twice, for the standby" if cluster.residency.copies > 1 else ""
            layers = f'layers {s.start} to {s.stop - 1} of "{cluster.model.name}"'
            raise PlacementError(
                f'{layers} need {need / 2**20:.1f} MiB on "{s.node}" '
                f"(weights, and activations of {facts.slots} requests at once{twice}), which has "
                f"{facts.memory / 2**20:.1f} MiB; raise memory: there, or place fewer layers on it"
            )
    return placement
