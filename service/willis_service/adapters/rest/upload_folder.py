"""A folder for an upload on its way in."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from anyio.to_thread import run_sync

from willis_models.errors import StorageFull


@asynccontextmanager
async def upload_folder(parent: Path, prefix: str) -> AsyncIterator[Path]:
    """A new folder below ``parent``; gone when the block ends. Raises StorageFull."""
    folder = await run_sync(_new_folder, parent, prefix)
    try:
        yield folder
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull("No space is left for the upload.") from error
        raise
    finally:
        await run_sync(lambda: shutil.rmtree(folder, ignore_errors=True))


def _new_folder(parent: Path, prefix: str) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
