"""Peaks of absorption spectra, fitted to a whole series at once.

fit = fit_peaks(library, "V L3")
print(fit, *fit.trends(within=(0, 0.7)), sep="\\n")
"""

from chemoscape.standards.peaks.fitting import fit_peaks
from chemoscape.standards.peaks.model import Peak, PeakModel, Step, peak_model
from chemoscape.standards.peaks.result import PeakFit
from chemoscape.standards.peaks.trends import Trend

__all__ = ["Peak", "PeakFit", "PeakModel", "Step", "Trend", "fit_peaks", "peak_model"]
