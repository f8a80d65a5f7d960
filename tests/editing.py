"""Results changed on purpose, with checksums that say that nfanneal wrote them so."""

from __future__ import annotations

from contextlib import contextmanager

import h5py

from nfanneal.store.seal import DIGEST, content_digest, sealed


@contextmanager
def forged(path):
    """The file opened for changes; its checksums fit them afterwards."""
    with h5py.File(path, "r+") as file:
        yield file
        file.attrs[DIGEST] = content_digest(file)
    path.write_bytes(sealed(path.read_bytes()))


def of_before(path):
    """Make it a file of before there were checksums."""
    with h5py.File(path, "r+") as file:
        del file.attrs[DIGEST]
