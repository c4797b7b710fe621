"""Every network that `twin train` knows, by name."""

from __future__ import annotations

from models.crack_operator_recipe import CRACK_K
from models.crack_stepper_recipe import ARTIFICIAL, SPIKING
from models.recipe import Recipe

RECIPES: dict[str, Recipe] = {
    "crack-artificial": ARTIFICIAL,
    "crack-k": CRACK_K,
    "crack-spiking": SPIKING,
}
