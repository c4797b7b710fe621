"""Every network that `twin train` knows, by name."""

from __future__ import annotations

from models.crack_operator_recipe import CRACK_K
from models.recipe import Recipe

RECIPES: dict[str, Recipe] = {
    "crack-k": CRACK_K,
}
