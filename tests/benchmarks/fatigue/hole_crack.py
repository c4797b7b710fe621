"""Makes `fatigue/hole_factors.py`: polynomials through finite elements of one crack at a hole.

`python -m tests.benchmarks.fatigue.hole_crack > models/fatigue/hole_factors.py` takes five minutes;
on standard error it tells how far the polynomials are from 80 solutions that they were not fitted
to.
"""

from __future__ import annotations

import math
import sys

import numpy as np
from numpy.polynomial import Polynomial
from numpy.polynomial.chebyshev import Chebyshev, cheb2poly, chebvander
from numpy.typing import NDArray

from tests.models.fatigue.plate_fem import Cracked

Floats = NDArray[np.float64]
WIDEST, LONGEST = 0.4, 0.95  # R/W, a/(W/2 − R)
DEGREES = (6, 9)

HEAD = '''"""What a round hole does to the stress intensity of a crack at its edge, as polynomials.

F = P(s) Q(ρ, x) / [(1 − 2ρ) √(1 − x)] with s = a/(R + a), ρ = R/W, x = a/(W/2 − R): P is the
infinite plate (`INFINITE`, rising powers of s), Q what the width adds (`FINITE`, rows rising
powers of ρ, columns of x). Fitted to six-node finite elements and a J integral, converged to
0.02 %, of a plate three times as long as it is wide, its ends free to rotate; by least squares of
the relative error at Chebyshev's points of ρ ≤ 0.4, x ≤ 0.95, s < 1.
Made by `python -m tests.benchmarks.fatigue.hole_crack`; do not edit.
"""

from __future__ import annotations
'''


def nodes(n: int) -> Floats:
    """Chebyshev's points of 0 … 1."""
    found: Floats = 0.5 * (1.0 - np.cos(math.pi * (np.arange(n) + 0.5) / n))
    return found


def factor(share: float, a: float, fine: float = 0.12) -> float:
    """K_I / (σ √(πa)) of a plate of width 1."""
    plate = Cracked(-0.5, 0.5, share, share + a, share, fine=fine)
    return plate.K() / math.sqrt(math.pi * a)


def infinite() -> Polynomial:
    """The factor against s = a/(R + a), in a plate a thousand times as wide as R + a."""
    s = nodes(24)
    F = np.array([factor(1e-3 * (1.0 - x), 1e-3 * x, 0.09) for x in s])
    return Chebyshev.fit(s, F, 8, domain=[0, 1], w=1.0 / F).convert(kind=Polynomial)


def rest(share: Floats, x: Floats, wide: Polynomial) -> Floats:
    """What is left of the factor for Q, at each pair of R/W and a/(W/2 − R)."""
    a = x * (0.5 - share)
    F = np.array([factor(float(r), float(length)) for r, length in zip(share, a, strict=True)])
    found: Floats = F / wide(a / (share + a)) * (1.0 - 2.0 * share) * np.sqrt(1.0 - x)
    return found


def finite(wide: Polynomial) -> Floats:
    """Coefficients (ρ, x) of Q."""
    share, x = np.repeat(WIDEST * nodes(10), 16), np.tile(LONGEST * nodes(16), 10)
    value = rest(share, x, wide)
    basis = np.einsum("ij,ik->ijk", *(_basis(share, x))).reshape(len(x), -1)
    c = np.linalg.lstsq(basis / value[:, None], np.ones(len(x)), rcond=None)[0]
    c = c.reshape(DEGREES[0] + 1, DEGREES[1] + 1)
    c = np.array([_powers(row, LONGEST) for row in c])
    return np.array([_powers(column, WIDEST) for column in c.T]).T


def _basis(share: Floats, x: Floats) -> tuple[Floats, Floats]:
    rows = chebvander(2.0 * share / WIDEST - 1.0, DEGREES[0])
    columns = chebvander(2.0 * x / LONGEST - 1.0, DEGREES[1])
    return np.asarray(rows, np.float64), np.asarray(columns, np.float64)


def _powers(c: Floats, end: float) -> Floats:
    """Powers of t in 0 … `end` from Chebyshev polynomials there."""
    powers = Polynomial(cheb2poly(c))(Polynomial([-1.0, 2.0 / end])).coef
    return np.asarray(powers, np.float64)


def main() -> None:
    """Print the module."""
    wide = infinite()
    table = finite(wide)
    draw = np.random.default_rng(1)
    share, x = draw.uniform(0.0, WIDEST, 80), draw.uniform(0.0, LONGEST, 80)
    share[:10], x[10:20] = 10.0 ** draw.uniform(-4, -2, (2, 10))
    off = np.polynomial.polynomial.polyval2d(share, x, table) / rest(share, x, wide) - 1.0
    print(f"largest error {np.abs(off).max():.5f} of 80", file=sys.stderr)
    print(HEAD)
    print(f"INFINITE = ({', '.join(repr(float(c)) for c in wide.coef)})\n")
    print("FINITE = (")
    for row in table:
        print(f"    ({', '.join(repr(float(c)) for c in row)}),")
    print(")")


if __name__ == "__main__":
    main()
