"""``Source``: a file on the disk as text, whatever it is wrapped in, and refused with a reason where it is none.

gzip, zip and tar are opened by what they begin with, not by their name; of an archive the one file in it is taken
(macOS leaves ``._`` files, which count for nothing). Pickles are never loaded: reading one runs its author's code.
Nothing is opened that could wait for ever (pipes, devices), and nothing is unpacked without a bound.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO, cast

from simulator.foundation.errors import TraceError, did_you_mean

HEAD = 65536
"""Bytes that are looked at to tell the format."""
LARGEST = 2**28
"""Bytes that are read at once; formats that may be larger are read in pieces."""
BLOCK = 2**24
"""Bytes of a piece."""
BOMB = 300, 2**28
"""How many times its size on the disk an archive may unpack to, once that is more than so many bytes (CSV: 3 to 30)."""
FOREIGN = {
    b"\x1f\x8b": "a gzip file", b"PK\x03\x04": "a zip archive", b"BZh": "a bzip2 file", b"\xfd7zXZ\x00": "an xz file",
    b"\x28\xb5\x2f\xfd": "a Zstandard file", b"7z\xbc\xaf": "a 7-Zip archive", b"Rar!": "a RAR archive",
}  # fmt: skip
"""What cannot be read, or not within another archive."""
PICKLE = (
    "{}: is a Python pickle; reading one runs the code of whoever wrote it, so none is ever loaded: "
    "ask its author for CSV or JSON"
)
LITTER = ("._", ".DS_Store")
"""What macOS leaves in archives."""
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
DAMAGE = (
    OSError, EOFError, ValueError, RuntimeError, zlib.error, lzma.LZMAError, struct.error, tarfile.TarError,
    zipfile.BadZipFile,
)  # fmt: skip
"""What reading and unpacking raise; ``RuntimeError`` is for want of a password."""
Progress = Callable[[int, int], None]
"""Called now and then with the bytes read so far, and of how many."""


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
        own = path.name or str(path)
        self.name = own if member is None else f"{own}:{member}"
        self.member = member
        self.repair = repair
        self.repaired: list[str] = []
        """What had to be mended to read it as text."""
        try:
            facts = path.stat()
            if stat.S_ISDIR(facts.st_mode):
                raise TraceError(f"{own}: is a folder, not a file")
            if not stat.S_ISREG(facts.st_mode):  # reading a pipe or a device might never end
                raise TraceError(f"{own}: is a pipe, a device or a socket; expected a file")
            self.size = facts.st_size
            with path.open("rb") as stream:
                self._magic = stream.read(512)
        except TraceError:
            raise  # it is a ValueError, too
        except (FileNotFoundError, NotADirectoryError):
            raise TraceError(f"no trace file {path.name} in {path.parent.name or '.'}/.{_near(path)}") from None
        except (OSError, ValueError) as error:  # ValueError: no path at all, such as one with a zero byte
            raise TraceError(f"{own}: cannot be read: {_reason(error)}") from None
        if not self._magic:
            raise TraceError(f"{own}: is empty")
        if _is_pickle(self._magic):
            raise TraceError(PICKLE.format(own))

    def open(self) -> IO[bytes]:
        """Return the bytes, unpacked.

        Raises:
            TraceError: if an archive is damaged, or holds more than one file and none was named.
        """
        with _damage(self.path.name):
            if self._magic[:2] == b"\x1f\x8b":
                if tarfile.is_tarfile(self.path):
                    return self._of_tar()
                self._no_member()
                return cast("IO[bytes]", gzip.open(self.path, "rb"))
            if self._magic[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
                return self._of_zip()
            if self._magic[257:262] == b"ustar":
                return self._of_tar()
            self._no_member()
            return self.path.open("rb")

    def _of_tar(self) -> IO[bytes]:
        with tarfile.open(self.path) as archive:
            files = {}
            for member in archive:
                self._bounded(member.offset_data + member.size)
                if member.isfile():
                    files[member.name] = member
            chosen = files[self._chosen(list(files))]
            if chosen.size > LARGEST:
                raise TraceError(f"{self.name}: longer than {LARGEST // 2**20} MiB; take it out of the archive first")
            stream = archive.extractfile(chosen)
            assert stream is not None  # it is a file
            return io.BytesIO(stream.read())

    def _of_zip(self) -> IO[bytes]:
        with zipfile.ZipFile(self.path) as archive:
            names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
            if any(name.endswith("data.pkl") for name in names):
                raise TraceError(f"{self.path.name}: is a PyTorch file, which holds a pickle; none is ever loaded")
            return archive.open(self._chosen(names))

    def _no_member(self) -> None:
        if self.member is not None:
            raise TraceError(f'{self.path.name}: is no archive, so there is no member "{self.member}" in it')

    def _chosen(self, names: list[str]) -> str:
        files = [name for name in names if not Path(name).name.startswith(LITTER) and "__MACOSX" not in name]
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
        with _damage(self.path.name), self.path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    @cached_property
    def start(self) -> bytes:
        """The first bytes, unpacked.

        Raises:
            TraceError: if they are those of a pickle, or of an archive (within an archive, or of a kind not known).
        """
        start = self._read(HEAD)
        if not start.strip():
            raise TraceError(f"{self.name}: is empty")
        if _is_pickle(start):
            raise TraceError(PICKLE.format(self.name))
        for magic, what in FOREIGN.items():
            if start.startswith(magic):
                raise TraceError(f"{self.name}: holds {what}; unpack that first (a gzip, zip or tar is read as it is)")
        return start

    @cached_property
    def head(self) -> str:
        """The first characters, for telling the format; empty where it is no text."""
        if self.start[:2] in UTF_16:
            return self.start.decode("utf-16", errors="replace")
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
        _ = self.start  # refused where it is no text at all
        data = self._read(LARGEST + 1)
        if len(data) > LARGEST:
            raise TraceError(f"{self.name}: longer than {LARGEST // 2**20} MiB; convert it to the project's own CSV")
        return self._decoded(data, 1)

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield the lines that are not blank, with their numbers (from 1)."""
        text = io.StringIO(self.text, newline=None)  # splitlines() would split at characters that end no line
        return ((number, line.rstrip("\n")) for number, line in enumerate(text, start=1) if line.strip())

    def blocks(self, progress: Progress | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield the file in pieces of whole lines (UTF-8, ended by a newline alone), with the number of their first.

        Args:
            progress: called with the bytes read (as they lie on the disk, as far as that is known) and their total.

        Raises:
            TraceError: as :attr:`text`; or if a line is longer than a piece.
        """
        if self.start[:2] in UTF_16:
            yield 1, self.text.replace("\r\n", "\n").encode()
            return
        line, rest, unpacked = 1, b"", 0
        with _damage(self.name), self.open() as stream:
            while data := stream.read(BLOCK):
                unpacked += len(data)
                self._bounded(unpacked)
                if progress is not None:
                    progress(min(_position(stream, unpacked), self.size), self.size)
                rest += data
                whole = _whole(rest)
                if not whole and len(rest) > 2 * BLOCK:
                    raise TraceError(f"{self.name}:{line}: the line is longer than {BLOCK // 2**20} MiB")
                if whole:
                    block = self._clean(rest[:whole], line)
                    rest = rest[whole:]
                    yield line, block
                    line += block.count(b"\n")
        if rest:
            yield line, self._clean(rest, line)

    def _bounded(self, unpacked: int) -> None:
        times, least = BOMB
        if unpacked > least and unpacked > times * self.size:
            raise TraceError(
                f"{self.name}: unpacks to more than {times} times its size, which no recording does; unpack it first"
            )

    def _clean(self, data: bytes, line: int) -> bytes:
        """Return *data*, which begins with *line*, in UTF-8 with a newline alone at the end of each line."""
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\x00" in data or not data.isascii():
            data = self._decoded(data, line).encode()
        return data

    def _decoded(self, data: bytes, line: int) -> str:
        """Return *data*, which begins with *line*, as text."""
        if data[:2] in UTF_16 and line == 1:
            if not self.repair:
                raise TraceError(f"{self.name}: is UTF-16; expected UTF-8 (repair: reads it all the same)")
            self._mended("read as UTF-16")
            return data.decode("utf-16", errors="replace")
        if b"\x00" in data:
            raise TraceError(f"{self.name}: is not a text file (there are zero bytes in it)")
        try:
            return data.decode("utf-8-sig" if line == 1 else "utf-8")
        except UnicodeDecodeError as error:
            if not self.repair:
                line += data[: error.start].count(b"\n")
                raise TraceError(
                    f"{self.name}:{line}: byte {data[error.start]:#04x} is not UTF-8; expected a text file in UTF-8 "
                    "(repair: reads it as Latin-1)"
                ) from None
            self._mended("read as Latin-1, being no UTF-8")
            return data.decode("latin-1")

    def _mended(self, what: str) -> None:
        if what not in self.repaired:
            self.repaired.append(what)

    def _read(self, most: int) -> bytes:
        with _damage(self.name), self.open() as stream:
            return stream.read(most)


@contextmanager
def _damage(name: str) -> Iterator[None]:
    """Turn what reading and unpacking raise into an error that names the file."""
    try:
        yield
    except TraceError:
        raise
    except DAMAGE as error:
        raise TraceError(f"{name}: damaged, cut off or gone: {_reason(error)}") from None


def _position(stream: IO[bytes], unpacked: int) -> int:
    """Return how far the file on the disk has been read."""
    packed = getattr(stream, "fileobj", None)  # of gzip
    return unpacked if packed is None else packed.tell()


def _whole(data: bytes) -> int:
    """Return how many bytes of *data* are whole lines, however they end."""
    end = data.rfind(b"\n") + 1
    return end or data.rfind(b"\r", 0, len(data) - 1) + 1  # a last one may be half of a \\r\\n


def _near(path: Path) -> str:
    try:
        return did_you_mean(path.name, os.listdir(path.parent))
    except (OSError, ValueError):
        return ""


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _is_pickle(magic: bytes) -> bool:
    return len(magic) > 1 and magic[0] == 0x80 and 2 <= magic[1] <= 5


def _some(names: list[str], most: int = 8) -> str:
    return ", ".join(sorted(names)[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
