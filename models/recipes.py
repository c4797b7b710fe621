"""Every network that `twin train` knows, by name."""

from __future__ import annotations

from models.recipe import Recipe

RECIPES: dict[str, Recipe] = {}
