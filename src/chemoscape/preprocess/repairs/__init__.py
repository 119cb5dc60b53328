"""Spikes and lines that jumped, in single frames."""
