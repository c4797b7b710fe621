"""What a constant of a law, a geometry or a part may be: one number, or one for each row."""

from __future__ import annotations

from torch import Tensor

Value = float | Tensor
