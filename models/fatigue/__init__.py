"""What a load does to any crack: counting, laws, geometries, materials, integration."""
