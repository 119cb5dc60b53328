"""Spectra, one by one, as sums of standards: fits, rankings of all combinations, matches."""
