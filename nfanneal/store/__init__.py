"""Results as HDF5 files that are netCDF-4 too: h5py, xarray and ArviZ open them as they are."""

from nfanneal.store.checkpoints import (
    Plain,
    checkpoint_path,
    is_checkpointed,
    latest_checkpoint,
    remove_checkpoints,
    remove_halves,
    write_checkpoint,
)
from nfanneal.store.reading import read
from nfanneal.store.writing import write, write_netcdf

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
