"""Simulated scans of ensembles: Beer's law, mixing, drift, counts."""

from __future__ import annotations

import numpy as np

import chemoscape as cs
from chemoscape.particles.experiment import measured_ensemble
from chemoscape.particles.shapes import Wire

PIXEL = 0.05
ENERGY = np.linspace(510.0, 530.0, 6)
SPECTRA = np.array([[0.1, 0.2, 0.9, 0.5, 0.4, 0.3], [0.1, 0.6, 0.3, 0.7, 0.4, 0.2]])


def scan(shares, counts=1e7, **more):
    rng = np.random.default_rng(0)
    wire = Wire(2.0, 2.0, 3.0, 1.5, 0.3, optical_density=1.0)
    return measured_ensemble(
        rng, [wire], np.array([shares]), SPECTRA, ENERGY, (80, 80), PIXEL, counts=counts, **more
    )


def test_a_mixed_particle_has_the_mixed_spectrum():
    made = scan([0.3, 0.7])
    middle = made.stack.values[:, 38:42, 38:42].mean((1, 2))
    empty = made.stack.values[:, :4, :4].mean((1, 2))
    np.testing.assert_allclose(-np.log(middle / empty), [0.3, 0.7] @ SPECTRA, atol=2e-3)


def test_counts_are_poisson():
    values = scan([1, 0], counts=400.0).stack.values[:, :15, :15].astype(float)
    assert abs(values.var() / values.mean() - 1) < 0.1


def test_the_sample_moves_as_it_says():
    made = scan([1, 0], counts=2000.0, drift_um=0.06)
    assert np.abs(made.drift_um).max() > PIXEL
    np.testing.assert_array_equal(made.drift_um[0], 0)
    found = cs.measure_drift(made.stack)
    moved = found.shifts - found.shifts[0]
    np.testing.assert_allclose(moved * PIXEL, -made.drift_um, atol=0.2 * PIXEL)
