"""Images from one grid of pixels onto another.

Between pixels an image is interpolated with a cubic spline, as a shifted image is
(`preprocess.resample`), here with an end condition (not-a-knot) that keeps polynomials up to the
third degree exact to the border. Where the new pixels are much larger, points would pick single
pixels and keep all of their noise, so new pixels are means over their own area: differences of the
spline through the running integral (de Boor, A Practical Guide to Splines, 1978, chapter VIII).
"""

from __future__ import annotations

from chemoscape.regrid._grids import Grid, centred, common_grid, pitch
from chemoscape.regrid._images import noise_gain, regrid, regrid_wave

__all__ = ["Grid", "centred", "common_grid", "noise_gain", "pitch", "regrid", "regrid_wave"]
