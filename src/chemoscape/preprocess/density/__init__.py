"""What the detector does to counts, and the pass that turns them into optical density."""
