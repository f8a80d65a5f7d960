"""Checksums of result files: of all bytes, looked at before the HDF5 library reads any, and of the

content, which other programs may have written anew.

The seal is a line after the end of what HDF5 calls the file; HDF5 ignores it, and drops it when a
file is opened for writing. Then the checksum of the content decides.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np

from nfanneal.errors import ResultError

DIGEST = "content_sha256"
"""The root attribute that holds the checksum of everything else in the file."""
_SEAL = re.compile(rb"\nnfanneal-sha256:([0-9a-f]{64})\n")
_LENGTH = len(b"\nnfanneal-sha256:\n") + 64
_REFERENCES = ("DIMENSION_LIST", "REFERENCE_LIST")
"""Attributes that hold addresses within the file."""
_BLOCK = 1 << 20
MOST_ITEMS = 20_000
MOST_EXPANSION = 1000
"""A file that another program has compressed expands by as much."""


def sealed(content: bytes) -> bytes:
    """A complete HDF5 file's bytes with their checksum appended."""
    return content + b"\nnfanneal-sha256:" + hashlib.sha256(content).hexdigest().encode() + b"\n"


def check_bytes(path: Path) -> bool:
    """Compare a sealed file with its seal; False if it has none.

    Raises:
        ResultError: they differ.
    """
    with path.open("rb") as file:
        end = file.seek(0, 2) - _LENGTH
        if end < 0:
            return False
        file.seek(end)
        found = _SEAL.fullmatch(file.read(_LENGTH))
        if found and _digest_until(file, end) != found[1].decode():
            raise _mismatch(path)
    return found is not None


def check_content(file: h5py.File, path: Path) -> None:
    """Compare the content with its checksum.

    Raises:
        ResultError: they differ, or there is none.
    """
    if file.attrs.get(DIGEST) != content_digest(file):
        raise _mismatch(path)


def _mismatch(path: Path) -> ResultError:
    return ResultError(
        f"{path}: the content does not match what nfanneal wrote: the file is damaged, or was "
        "edited or saved by another program; take a copy of it as it was (for changes of your own, "
        "`nfanneal export` it)"
    )


def _digest_until(file: BinaryIO, end: int) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while end > 0 and (block := file.read(min(_BLOCK, end))):
        digest.update(block)
        end -= len(block)
    return digest.hexdigest()


def content_digest(file: h5py.File) -> str:
    """SHA-256 of names, attributes, types, shapes and values of everything in the file."""
    digest = hashlib.sha256()
    for part in _parts(file):
        digest.update(b"%d:" % len(part))  # no two sequences of parts run together alike
        digest.update(part)
    return digest.hexdigest()


def _parts(file: h5py.File) -> Iterator[bytes]:
    names: list[str] = []
    file.visit(names.append)
    for name in ["/", *sorted(names)]:
        item = file[name]
        yield name.encode(errors="surrogatepass")
        for key in sorted(item.attrs):
            if key not in _REFERENCES and not (name == "/" and key == DIGEST):
                yield key.encode(errors="surrogatepass")
                yield from _value(item.attrs[key])
        if isinstance(item, h5py.Dataset):
            yield from _value(item[()])


def _value(value: Any) -> Iterator[bytes]:
    if isinstance(value, str):
        yield value.encode(errors="surrogatepass")
        return
    array = np.asarray(value)
    if array.dtype.hasobject:  # strings of any length
        yield repr(array.tolist()).encode(errors="surrogatepass")
        return
    yield f"{array.dtype.str}{array.shape}".encode()
    yield array.tobytes()


def refuse_hostile(file: h5py.File, path: Path, size: int) -> None:
    """Nothing in a result lies in other files, and nothing is larger than what was written.

    Raises:
        ResultError: a link or a dataset leads elsewhere, or claims more than the file can hold.
    """
    for count, (name, item) in enumerate(_items(file)):
        if count > MOST_ITEMS:
            raise ResultError(f"{path}: not as nfanneal writes it: more than {count:,} items")
        if item is None:
            raise ResultError(f"{path}: not as nfanneal writes it: '{name}' is a link")
        if isinstance(item, h5py.Dataset):
            if item.external is not None or item.is_virtual:
                where = f"'{name}' lies in another file"
                raise ResultError(f"{path}: not as nfanneal writes it: {where}")
            if item.nbytes > MOST_EXPANSION * size:
                raise ResultError(f"{path}: damaged: '{name}' claims {item.nbytes:,} bytes")


def _items(group: h5py.Group) -> Iterator[tuple[str, Any]]:
    """Everything below a group by its path; None for what is linked from elsewhere."""
    for name in group:
        path = f"{group.name.rstrip('/')}/{name}"
        if isinstance(group.get(name, getlink=True), h5py.HardLink):
            item = group[name]
            yield path, item
            if isinstance(item, h5py.Group):
                yield from _items(item)
        else:
            yield path, None
