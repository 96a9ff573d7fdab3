"""``Source``: a file on the disk as text, whatever it is wrapped in, and refused with a reason where it is none.

gzip, zip and tar are opened by what they begin with, not by their name; of an archive the one file in it is taken
(macOS leaves ``._`` files, which count for nothing). Pickles are never loaded: reading one runs its author's code.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import IO, cast

from simulator.foundation.errors import TraceError, did_you_mean

HEAD = 65536
"""Characters that are looked at to tell the format."""
LARGEST = 2**30
"""Characters that are read at once; formats that may be larger are read in pieces."""


class Source:
    """A file to be read."""

    def __init__(self, path: Path, member: str | None = None, repair: bool = False) -> None:
        """Open nothing yet.

        Args:
            path: where it lies.
            member: which file of an archive.
            repair: whether to read bytes that are no UTF-8 as Latin-1.

        Raises:
            TraceError: if there is no such file, or it can never be read.
        """
        self.path = path
        self.name = path.name if member is None else f"{path.name}:{member}"
        self.member = member
        self.repair = repair
        self.repaired: list[str] = []
        """What had to be mended to read it as text."""
        if path.is_dir():
            raise TraceError(f"{path.name}: is a folder, not a file")
        if not path.is_file():
            near = did_you_mean(path.name, [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else [])
            raise TraceError(f"no trace file {path.name} in {path.parent.name or '.'}/.{near}")
        try:
            self.size = path.stat().st_size
            with path.open("rb") as stream:
                self._magic = stream.read(512)
        except OSError as error:
            raise TraceError(f"{path.name}: cannot be read: {error.strerror}") from None
        if not self.size:
            raise TraceError(f"{path.name}: is empty")
        if _is_pickle(self._magic):
            raise TraceError(
                f"{path.name}: is a Python pickle; reading one runs the code of whoever wrote it, so none is ever "
                "loaded: ask its author for CSV or JSON"
            )

    def open(self) -> IO[bytes]:
        """Return the bytes, unpacked.

        Raises:
            TraceError: if an archive is damaged, or holds more than one file and none was named.
        """
        try:
            if self._magic[:2] == b"\x1f\x8b":
                if tarfile.is_tarfile(self.path):
                    return self._of_tar()
                return cast("IO[bytes]", gzip.open(self.path, "rb"))
            if self._magic[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
                return self._of_zip()
            if self._magic[257:262] == b"ustar":
                return self._of_tar()
        except (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, NotImplementedError) as error:
            raise TraceError(f"{self.path.name}: a damaged archive: {error}") from None
        return self.path.open("rb")

    def _of_tar(self) -> IO[bytes]:
        with tarfile.open(self.path) as archive:
            files = {member.name: member for member in archive if member.isfile()}
            stream = archive.extractfile(files[self._chosen(list(files))])
            assert stream is not None  # it is a file
            return io.BytesIO(stream.read())

    def _of_zip(self) -> IO[bytes]:
        with zipfile.ZipFile(self.path) as archive:
            names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
            if any(name.endswith("data.pkl") for name in names):
                raise TraceError(f"{self.path.name}: is a PyTorch file, which holds a pickle; none is ever loaded")
            try:
                return archive.open(self._chosen(names))
            except RuntimeError as error:  # a password
                raise TraceError(f"{self.path.name}: {error}") from None

    def _chosen(self, names: list[str]) -> str:
        files = [name for name in names if not Path(name).name.startswith("._") and "__MACOSX" not in name]
        if self.member is not None:
            if self.member not in files:
                raise TraceError(f'{self.path.name}: no "{self.member}" in it.{did_you_mean(self.member, files)}')
            return self.member
        if len(files) != 1:
            raise TraceError(
                f"{self.path.name}: an archive of {len(files)} files; say which with member: ({_some(files)})"
            )
        return files[0]

    @cached_property
    def sha256(self) -> str:
        """Digest of the file as it lies on the disk."""
        with self.path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    @cached_property
    def start(self) -> bytes:
        """The first bytes, unpacked."""
        return self._guarded(lambda stream: stream.read(HEAD))

    @cached_property
    def head(self) -> str:
        """The first characters, for telling the format; empty where it is no text."""
        if b"\x00" in self.start:
            return ""
        return self.start.decode("utf-8-sig", errors="replace")

    def first_lines(self, count: int = 50) -> list[str]:
        """Return the first lines that are not blank and are whole."""
        lines = self.head.splitlines()
        whole = lines if len(self.start) < HEAD else lines[:-1]
        return [line for line in whole if line.strip()][:count]

    @cached_property
    def text(self) -> str:
        """The whole file as text, without a byte-order mark.

        Raises:
            TraceError: if it is no text, or too long to be read at once.
        """
        data = self._guarded(lambda stream: stream.read(LARGEST + 1))
        if len(data) > LARGEST:
            raise TraceError(f"{self.name}: longer than {LARGEST // 2**20} MiB; convert it to the project's own CSV")
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            if not self.repair:
                raise TraceError(f"{self.name}: is UTF-16; expected UTF-8 (repair: reads it all the same)")
            self.repaired.append("read as UTF-16")
            return data.decode("utf-16", errors="replace")
        if b"\x00" in data:
            raise TraceError(f"{self.name}: is not a text file (there are zero bytes in it)")
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            if not self.repair:
                line = data[: error.start].count(b"\n") + 1
                raise TraceError(
                    f"{self.name}:{line}: byte {data[error.start]:#04x} is not UTF-8; expected a text file in UTF-8 "
                    "(repair: reads it as Latin-1)"
                ) from None
            self.repaired.append("read as Latin-1, being no UTF-8")
            return data.decode("latin-1")

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield the lines that are not blank, with their numbers (from 1)."""
        return ((number, line) for number, line in enumerate(self.text.splitlines(), start=1) if line.strip())

    def _guarded(self, read: Callable[[IO[bytes]], bytes]) -> bytes:
        try:
            with self.open() as stream:
                return read(stream)
        except (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile) as error:
            raise TraceError(f"{self.name}: damaged or cut off: {error}") from None


def _is_pickle(magic: bytes) -> bool:
    return len(magic) > 1 and magic[0] == 0x80 and 2 <= magic[1] <= 5


def _some(names: list[str], most: int = 8) -> str:
    return ", ".join(sorted(names)[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
