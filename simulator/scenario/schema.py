"""The schema of a scenario file: pydantic at the border, every problem at once, each with its line.

What a field means stands in its docstring, from which ``offing schema`` makes the JSON Schema editors complete from.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, ValidationInfo, WithJsonSchema, model_validator

from simulator.foundation.errors import UnitError
from simulator.foundation.units import DURATION, Bytes, Period, PerSecond, Seconds, SecondsPerByte
from simulator.profiles.trace import Trace
from simulator.scenario.capacity import BandwidthField, Capacity, LoadField
from simulator.scenario.delay import Delay, DelayField, read_delay
from simulator.scenario.entry import Entry, Number, Or, Whole
from simulator.scenario.happenings import HappeningEntry
from simulator.scenario.knowledge import KnowledgeEntry
from simulator.scenario.place import AttachEntry, PositionField
from simulator.scenario.reading import ReadingEntry
from simulator.scenario.replay import ReplayEntry


class ModelEntry(Entry):
    """Which model profile: ``vgg16``, or ``{name: vgg16, input: 224}``."""

    name: str
    input: Annotated[str | None, Or("integer")] = None
    """Input size as in the profile's name; needed where the model was profiled at several."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, dict) and isinstance(value.get("input"), int):
            return {**value, "input": str(value["input"])}
        return value


class NodeEntry(Entry):
    """A device or a server, or a group of equal ones."""

    kind: Literal["device", "server"]
    """A device asks, and passes nothing on; a server is offered to all who reach it, and relays."""
    hardware: str
    """Name of a machine; ``offing hardware`` lists them."""
    count: Whole | None = Field(default=None, ge=1, le=1_000_000)
    """A group: ``pi`` with ``count: 4`` becomes pi-0 ... pi-3."""
    memory: Bytes | None = None
    """Memory for the model, instead of the machine's."""
    slots: Whole = Field(default=1, ge=1, le=100_000)
    """Requests served at once: in parallel at full speed (``slots``), before they slow each other (``shared``), or
    each on its own part of the machine (``partitioned``)."""
    concurrency: Literal["slots", "shared", "partitioned"] = "slots"
    slowdown: Number | None = Field(default=None, ge=1, allow_inf_nan=False)
    """``partitioned``: how many times longer a request takes on its part than on the whole machine (measured)."""
    load: LoadField = Field(default_factory=lambda: Capacity(Trace.of(0.0)), json_schema_extra={"default": "0 %"})
    """Background load: share of time that other processes want each core; a value or a recording."""
    competitors: Whole = Field(default=1, ge=1, le=1000)
    """Competing processes per core behind ``load``."""
    position: PositionField | None = None
    """Latitude and longitude, a list of them for a group, or a recording; for links that ``attach``."""

    @model_validator(mode="after")
    def _partitioned(self) -> NodeEntry:
        if (self.concurrency == "partitioned") != (self.slowdown is not None):
            raise ValueError(
                "slowdown goes with concurrency: partitioned, and only with it: how many times longer a request takes "
                "on its part than on the whole machine, e.g. slowdown: 3.2"
            )
        return self


class SoftwareEntry(Entry):
    """What a message costs at one end, instead of what the hardware says."""

    message: Seconds = 0.0
    byte: SecondsPerByte = 0.0


class LinkEntry(Entry):
    """A link; ``up`` is from the first of ``between`` to the second."""

    between: tuple[str, str]
    """The two nodes (or groups) it joins."""
    bandwidth: BandwidthField | None = None
    """Capacity of both directions."""
    up: BandwidthField | None = None
    down: BandwidthField | None = None
    delay: DelayField
    """Propagation, one way."""
    attach: AttachEntry | None = None
    """To one of a group of access points at a time, while the device at the other end moves."""
    duplex: Literal["full", "half"] = "full"
    """``half``: the two directions take turns."""
    sharing: Literal["fifo", "max-min", "airtime"] = "fifo"
    """What transfers do that meet: queue, share fairly, or get equal turns on one radio medium."""
    shared: bool = False
    """One link for a whole group, instead of one for each member."""
    medium: str | None = None
    """``airtime``: name of the radio medium; links of one medium share it (default: the link's own name)."""
    burst: Bytes = 0.0
    """Credit of the token bucket that shapes the link."""
    framing: Number | None = Field(default=None, ge=1, le=10, allow_inf_nan=False)
    """Bytes on the wire per byte sent (default 1500/1448, TCP over Ethernet; 1 with ``connection: none``, and where the
    bandwidth is a recorded goodput)."""
    connection: Literal["none", "persistent", "slow-start"] = "persistent"
    """``slow-start``: each message opens a connection with a window of 10 segments, doubling per round trip."""
    software: SoftwareEntry | None = None
    """Cost of a message at each end (default: what the hardware there says)."""
    from_graph: ClassVar[bool] = False
    """Whether its bandwidth may be left out, for a graph to say it."""

    @model_validator(mode="after")
    def _whole(self) -> LinkEntry:
        both = self.bandwidth is not None
        either = self.up is not None or self.down is not None
        given = both or either or not self.from_graph
        if given and (both == either or (self.up is None) != (self.down is None)):
            raise ValueError('give bandwidth: "50 Mbit/s" for both directions, or both up: and down:')
        if given and self.duplex == "half" and not both:
            raise ValueError("a half-duplex link has one bandwidth: for both directions, not up: and down:")
        if self.sharing != "fifo" and self.burst:
            raise ValueError(f"burst is modelled for sharing: fifo only, not {self.sharing}")
        if self.medium is not None and self.sharing != "airtime":
            raise ValueError("medium goes with sharing: airtime")
        return self


class PoissonEntry(Entry):
    """Independent requests at a mean rate."""

    kind: Literal["poisson"]
    rate: PerSecond
    """Mean rate of each device, such as 4 /s."""


class PeriodicEntry(Entry):
    """One request every so often."""

    kind: Literal["periodic"]
    every: Period
    """Time from one to the next, such as 100 ms."""
    phase: Literal["aligned", "random"] = "aligned"


class ClosedEntry(Entry):
    """Users who ask, wait for the answer, think, and ask again."""

    kind: Literal["closed"]
    users: Whole = Field(default=1, ge=1, le=1_000_000)
    think: Seconds
    """Time between an answer and the next request; the mean of it where it is spread."""
    spread: Literal["constant", "exponential"] = "constant"


class InferenceEntry(Entry):
    """Devices that send requests."""

    kind: Literal["inference"]
    """What the nodes are for."""
    sources: tuple[str, ...] = Field(min_length=1)
    """Devices (or groups) that ask."""
    arrivals: Annotated[PoissonEntry | PeriodicEntry | ReplayEntry | ClosedEntry, Field(discriminator="kind")]
    """When they ask."""
    deadline: Period | None = None
    """An answer later than this after its request counts as late."""
    batch: Whole = Field(default=1, ge=1, le=100_000)
    """Samples in one request."""
    input_bytes: Bytes | None = None
    """What crosses when nothing runs on the device, such as an encoded image (default: the raw input tensor)."""


def _distance(value: object, info: ValidationInfo) -> Delay | Literal["distance"]:
    if value == "distance":
        return "distance"
    delay = read_delay(value, info)
    if delay.trace is not None:
        raise ValueError('the links of a graph have a delay that stays; write distance, or a duration such as "5 ms"')
    return delay


class TopologyLinkEntry(LinkEntry):
    """What the links of a graph are like; their bandwidth is the graph's own where it says one."""

    model_config = ConfigDict(json_schema_extra=lambda schema: schema["properties"].pop("between"))

    between: tuple[str, str] = ("", "")
    """The graph says it; not to be written."""
    delay: Annotated[
        Literal["distance"] | Delay,  # type: ignore[assignment]
        BeforeValidator(_distance),
        WithJsonSchema({"type": "string", "examples": ["distance", "5 ms"]}),
    ]
    """``distance``: great circle over the speed of light in glass, 2e8 m/s; or one duration for all."""
    from_graph: ClassVar[bool] = True


class TopologyEntry(ReadingEntry):
    """A recorded graph, whose nodes and links are added to those written, each under its label."""

    trace: str
    """File of the graph (GraphML), relative to the scenario's, or in the folder of recordings."""
    node: NodeEntry
    """What each of its nodes is."""
    link: TopologyLinkEntry
    """What its links are like."""
    parallel: Literal["sum", "keep"] | None = None
    """Links beside each other: one of all their bandwidth, or all of them, of which that of least delay is used."""
    unknown_delay: Seconds | None = None
    """Delay of links whose ends' coordinates the graph does not have."""
    disconnected: Literal["refuse", "largest"] = "refuse"
    """A graph in several parts: an error, or its largest part alone."""

    @model_validator(mode="after")
    def _plain(self) -> TopologyEntry:
        said = [key for key in ("between", "attach", "shared") if key in self.link.model_fields_set]
        if said:
            raise ValueError(f"link: has {said[0]}:, but a link of a graph joins the two nodes it says; leave it out")
        return self


def _warmup(value: object) -> object:
    if value == "mser-5":
        return value
    try:
        return DURATION.parse(value)
    except UnitError as error:
        raise ValueError(f"{error}; or mser-5, which finds it") from None


WarmupField = Annotated[
    float | Literal["mser-5"],
    BeforeValidator(_warmup),
    WithJsonSchema(
        {"type": "string", "examples": ["10 s", "mser-5"], "description": "duration with its unit, or mser-5"}
    ),
]


class ScenarioEntry(Entry):
    """A whole scenario file."""

    name: str
    """What to call it in tables and figures."""
    seed: Whole = Field(default=0, ge=0, lt=2**63)
    until: Period
    """Arrivals end then; the run goes on until every request is answered."""
    drain: bool = True
    """False: the run is cut at ``until``, and requests under way are rows with outcome ``unfinished``."""
    replications: Whole = Field(default=1, ge=1, le=1_000_000)
    """How many independent runs ``offing run`` makes of it: with ``seed``, ``seed`` + 1, and so on."""
    warmup: WarmupField = Field(default=0.0, json_schema_extra={"default": "0 s"})
    """Requests that arrive before stay in the tables and out of the summaries; ``mser-5``: found in each run from its
    latencies."""
    variability: Literal["measured", "none"] = "measured"
    """Whether layer times vary as the profile's repeats did, or are their medians."""
    record: Literal["requests", "spans"] = "spans"
    """``requests``: one row per request and decision; ``spans``: and for each piece of work."""
    model: Annotated[ModelEntry, Or("string")]
    """The network that is served; ``offing models`` lists them."""
    nodes: dict[str, NodeEntry] = Field(min_length=1)
    """Devices and servers, by name."""
    links: dict[str, LinkEntry] = Field(default_factory=dict)
    """Links between them, by name."""
    topology: TopologyEntry | None = None
    """A recorded graph of more of them."""
    workload: InferenceEntry
    """Who asks for what, and when."""
    technique: dict[str, Any]
    """``{kind: NAME, ...parameters}``; ``offing techniques`` lists them."""
    knowledge: KnowledgeEntry = KnowledgeEntry()
    dynamics: tuple[HappeningEntry, ...] = ()
    """What goes down, and who comes and goes."""
