"""Made-up recordings of the families that others recorded, and short words for reading one."""

from __future__ import annotations

import pytest

from simulator.foundation.errors import TraceError
from simulator.traces.reader import Request, read_file

PLAIN, REPAIR = Request(), Request(repair=True)


def only(path, request=PLAIN):
    (found,) = read_file(path, request).series.values()
    return found


def series(path, request=PLAIN):
    return read_file(path, request).series


def refused(path, request=PLAIN):
    with pytest.raises(TraceError) as caught:
        read_file(path, request)
    return str(caught.value)


def steps(found):
    return found.columns["start_s"].tolist(), found.columns["value"].tolist(), found.duration


LLM = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2031-01-02 23:59:59.9999999,5,6\r\n2031-01-03 00:00:01.0000001,7,0"
SITES = "SITE_ID,LATITUDE,LONGITUDE,NAME,STATE\n1,-37.5,144.5,A,VIC\n2,-37.25,144.75,B,\n"
PATH = "Latitude,Longitude\n-37.5, 144.5\n-37.5, 144.5\n-37.25, 144.75\n"
IMAGES = "gmt_create,predict_type,predict_status,exec_time_seconds,groupId,num_lora\n" + "".join(
    f"2031-05-05 10:00:0{second},T,{status},{took},G,0\n"
    for second, status, took in ((1, "SUCCEED", 3.0), (1, "FAILED", 0.0), (5, "SUCCEED", ""))
)
WORKERS = ",worker,gpu,time,batch_time_norm\n" + "".join(
    f"{i},{worker},25,{time},{value}\n"
    for i, (worker, time, value) in enumerate([(0, 1, 400), (7, 2, 800), (0, 11, 500), (7, 12, 500), (7, 12, 300)])
)
READINGS = "".join(
    f"{time},{vm},1.5,{3 * mean},{mean}\r\n" for time, vm, mean in [(600, "a+/=", 2), (600, "b", 30), (900, "a+/=", 4)]
)
MACHINES = "vm/1+,s,d,0,2591700,99.5,3.25,10.5,Delay-insensitive,>24,1.75\n"
NOISE = "value,runtime,starttime,VM_id\n9,1,2031-01-01 00:01:00.500,vm b\n8,1,2031-01-01 00:00:00.250,vm a\n"
BITBRAINS = "Timestamp [ms];\tCPU cores;\tCPU usage [%];\tMemory usage [KB]\n" + "".join(
    f"{time};\t2;\t{load};\t7.5\n" for time, load in ((1700000000, 10), (1700000300, 0), (1700001800, 100.5))
)
GRAPH = """<?xml version="1.0" encoding="utf-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
  <key attr.name="label" attr.type="string" for="node" id="a"/>
  <key attr.name="Latitude" attr.type="double" for="node" id="b"/>
  <key attr.name="Longitude" attr.type="double" for="node" id="c"/>
  <key attr.name="LinkSpeedRaw" attr.type="double" for="edge" id="d"/>
  <key attr.name="LinkSpeed" attr.type="string" for="edge" id="e"/>
  <key attr.name="LinkSpeedUnits" attr.type="string" for="edge" id="f"/>
  <graph edgedefault="{directed}">
    <node id="x1"><data key="a">Here</data><data key="b">1.5</data><data key="c">2.5</data></node>
    <node id="x2"><data key="a">Here</data><data key="b">1.5</data></node>
    <node id="x3"/><node id="x4"/>
    <edge source="x1" target="x2"><data key="d">34000000.0</data><data key="e">1</data><data key="f">G</data></edge>
    <edge source="x2" target="x3"><data key="e">2.5</data><data key="f">G</data></edge>
    <edge source="x3" target="x2"><data key="e">34/155</data><data key="f">M</data></edge>
    <edge source="x3" target="x3"><data key="d">0</data></edge>
  </graph>
</graphml>
"""
