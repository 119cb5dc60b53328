"""Stacks as sums of a few spectra of their own: components, clusters, non-negative parts."""
