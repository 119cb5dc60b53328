"""How far frames have moved: edges and their correlation, frames that show little, all together."""
