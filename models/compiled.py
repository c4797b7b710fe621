"""How functions are compiled that only compiled code calls.

Numba counts references to each array that a function is handed, and does so atomically. In a
function of a few operations that takes more time than the operations. These count none: they use
the arrays of their callers, and make and return none of their own, which numba checks.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from numba import njit

# Division by zero gives ∞, as in numpy; compiled with what calls it.
part: Any = njit(nogil=True, error_model="numpy", _nrt=False)
# Division by zero is an error, as in Python; found in the cache of its own file too.
cached_part: Any = njit(cache=True, nogil=True, _nrt=False)


def stamp(*names: str) -> int:
    """A number of the sources `names` of this room, so that after a release no cache holds.

    Numba looks at the file of a function alone, and not at what it calls elsewhere: what a function
    closes over is part of its key in the cache.
    """
    models = Path(__file__).parent
    texts = ((models / f"{name}.py").read_bytes() for name in names)
    return int.from_bytes(hashlib.sha256(b"".join(texts)).digest()[:7], "big")
