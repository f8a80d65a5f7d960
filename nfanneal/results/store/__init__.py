"""Results as HDF5 files that are netCDF-4 too: h5py, xarray and ArviZ open them as they are."""

from nfanneal.results.store.netcdf import write_netcdf
from nfanneal.results.store.reading import read, read_predictions
from nfanneal.results.store.writing import write

__all__ = ["read", "read_predictions", "write", "write_netcdf"]
