"""The sections of a recipe, in the order of the work: each key, its default, its meaning."""
