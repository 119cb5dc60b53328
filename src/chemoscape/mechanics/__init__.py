"""From composition to stress: outlines, meshes, materials, plane elasticity, fields."""
