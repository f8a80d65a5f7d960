"""Results changed on purpose, with checksums that say that nfanneal wrote them so."""

from __future__ import annotations

from contextlib import contextmanager

import h5py
import numpy as np

from nfanneal.results.store.seal import DIGEST, content_digest, sealed


@contextmanager
def forged(path):
    """The file opened for changes; its checksums fit them afterwards."""
    with h5py.File(path, "r+") as file:
        yield file
        file.attrs[DIGEST] = content_digest(file)
    path.write_bytes(sealed(path.read_bytes()))


def unsealed(path):
    """Open it for changes and make none: HDF5 drops the seal, the content's checksum stays."""
    with h5py.File(path, "r+"):
        pass


def corrupted(raw: bytes, rng: np.random.Generator, i: int) -> bytes:
    """A copy cut off, or with one to eight bytes flipped: of its head or of the whole."""
    if i % 4 == 0:
        return raw[: rng.integers(len(raw))]
    copy = bytearray(raw)
    for at in rng.integers(0, 4000 if i % 4 == 1 else len(raw), rng.integers(1, 9)):
        copy[at] ^= int(rng.integers(1, 256))
    return bytes(copy)
