"""Other people's tables: read whatever the file is called, or refused with the line."""

from __future__ import annotations

import gzip
import os
import threading
from pathlib import Path

import pytest

from calibration.measured.tables import read_table
from simulator.foundation.errors import ProfileError

TEXT = b"model,seconds\nvgg16,1.5\nlenet,0.25\n"


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.zip", "t.xz", "t.zst", "t.tar", "t.bz2"])
@pytest.mark.parametrize("packed", [False, True])
def test_what_a_file_holds_counts_and_not_its_name(tmp_path: Path, name: str, packed: bool) -> None:
    file = tmp_path / name
    file.write_bytes(gzip.compress(TEXT) if packed else TEXT)
    table = read_table(file, ("model", "seconds"), text=("model",))
    assert table["model"].tolist() == ["vgg16", "lenet"]
    assert table["seconds"].tolist() == [1.5, 0.25]


def test_a_pipe_is_read_as_a_file_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(gzip.compress(TEXT),))
    writer.start()
    assert len(read_table(pipe, ("model", "seconds"), text=("model",))) == 2
    writer.join()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"\xff\xfe\x00",
        b"PK\x03\x04junk\x00",
        gzip.compress(TEXT)[:-12],
        b"\x1f\x8b\x08\x00" + b"\x99" * 40,
    ],
    ids=["empty", "blank", "binary", "zip", "half a gzip", "no gzip inside"],
)
def test_what_is_no_table_is_refused_and_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "t.xz"
    file.write_bytes(content)
    with pytest.raises(ProfileError, match=r"t\.xz"):
        read_table(file, ("model", "seconds"), text=("model",))


@pytest.mark.parametrize("number", ["inf", "-inf", "nan", "1e999", "fast", ""])
def test_a_number_that_is_none_is_refused_with_its_line(tmp_path: Path, number: str) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(TEXT.replace(b"0.25", number.encode()))
    with pytest.raises(ProfileError, match=r"t\.csv:3: seconds is .*, expected a number"):
        read_table(file, ("model", "seconds"), text=("model",))
