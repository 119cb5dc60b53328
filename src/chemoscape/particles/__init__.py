"""Particles of a map: synthetic ensembles with known truth, finding, measuring, comparing."""
