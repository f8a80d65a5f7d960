"""Arrays, as annotations name them; shapes stand in docstrings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
"""Numbers of double precision."""
Bools = NDArray[np.bool_]
"""Which of several."""
