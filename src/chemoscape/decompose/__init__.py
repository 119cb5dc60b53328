"""From optical density to spectral weights: the direct and the clustered route of the paper."""
