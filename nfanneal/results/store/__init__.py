"""Results as HDF5 files that are netCDF-4 too: h5py, xarray and ArviZ open them as they are."""

from nfanneal.results.store.reading import read
from nfanneal.results.store.writing import write, write_netcdf
from nfanneal.runs.checkpoint_file import (
    Plain,
    checkpoint_path,
    is_checkpointed,
    latest_checkpoint,
    remove_checkpoints,
    remove_halves,
    write_checkpoint,
)

__all__ = [
    "Plain",
    "checkpoint_path",
    "is_checkpointed",
    "latest_checkpoint",
    "read",
    "remove_checkpoints",
    "remove_halves",
    "write",
    "write_checkpoint",
    "write_netcdf",
]
