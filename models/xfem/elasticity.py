"""Isotropic linear elasticity in the plane."""

from __future__ import annotations

from typing import Literal, NamedTuple

Plane = Literal["stress", "strain"]


class Moduli(NamedTuple):
    """An isotropic material as kernels take it: σ_xx = C11 ε_xx + C12 ε_yy, σ_xy = 2 C33 ε_xy."""

    C11: float  # [Pa]
    C12: float  # [Pa]
    C33: float  # [Pa] shear modulus
    kappa: float  # [1] Kolosov's constant


class Elastic(NamedTuple):
    """An isotropic material in plane stress or plane strain."""

    E: float = 207e9  # [Pa] Young's modulus; nickel
    nu: float = 0.31  # [1] Poisson's ratio
    plane: Plane = "stress"

    def checked(self) -> Elastic:
        """Itself; ValueError for constants that no material has."""
        if not self.E > 0.0 or not -1.0 < self.nu < 0.5 or self.plane not in ("stress", "strain"):
            raise ValueError(f"E {self.E} Pa, nu {self.nu}, plane {self.plane!r} is no material")
        return self

    @property
    def mu(self) -> float:
        """Shear modulus [Pa]."""
        return self.E / (2.0 * (1.0 + self.nu))

    @property
    def kappa(self) -> float:
        """Kolosov's constant [1]."""
        if self.plane == "strain":
            return 3.0 - 4.0 * self.nu
        return (3.0 - self.nu) / (1.0 + self.nu)

    @property
    def modulus(self) -> float:
        """E' [Pa] of J = K²/E'."""
        return self.E / (1.0 - self.nu**2) if self.plane == "strain" else self.E

    def moduli(self) -> Moduli:
        """What kernels take of it."""
        lame = self.mu * (3.0 - self.kappa) / (self.kappa - 1.0)
        return Moduli(lame + 2.0 * self.mu, lame, self.mu, self.kappa)
