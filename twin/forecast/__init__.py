"""How long a crack will last, under the loads so far or others."""
