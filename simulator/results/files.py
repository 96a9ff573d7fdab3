"""Folders that appear whole or not at all: written under a temporary name and renamed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simulator.foundation.errors import ResultsError


@contextmanager
def write_folder(target: Path) -> Iterator[Path]:
    """Give a draft folder to write in; when the block ends well it becomes *target*, in place of what was there.

    Raises:
        ResultsError: if it cannot be written.
    """
    draft = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
        yield draft
        draft.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        os.replace(draft, target)
    except OSError as error:
        raise ResultsError(f"{target}: cannot be written: {error.strerror}") from None
    finally:
        if draft is not None:
            shutil.rmtree(draft, ignore_errors=True)
