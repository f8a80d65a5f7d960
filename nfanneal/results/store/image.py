"""HDF5 files made in memory and written in one go.

HDF5 writes in many small steps, and where one of them fails (a full disk) it may fail again while
it closes the file, and when the process exits. Bytes are written whole or raise one plain error.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import h5py

GROWTH = 2**22
"""Bytes by which the memory of a file grows."""
_numbers = itertools.count()


class Image:
    """An HDF5 `file` in memory; `content` is there once it is closed."""

    def __init__(self) -> None:
        self.file = h5py.File(
            f"in memory {next(_numbers)}",
            "w",
            driver="core",
            backing_store=False,
            block_size=GROWTH,
            libver=("v108", "latest"),
            track_order=True,
        )
        self.content = b""

    def close(self, *, keep: bool) -> None:
        """Close the file; `keep` its bytes."""
        if keep:
            self.file.flush()
            self.content = self.file.id.get_file_image()
        self.file.close()


@contextmanager
def in_memory() -> Iterator[Image]:
    """An image to fill; its `content` is there afterwards."""
    image = Image()
    done = False
    try:
        yield image
        done = True
    finally:
        image.close(keep=done)
