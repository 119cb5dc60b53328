"""Taking out drift: one fixed reference against a chain of neighbours.

Wires of two materials drift by several pixels, and jump once, while the energy crosses an
absorption edge: below it one material is nearly invisible, across it the contrast reverses. Every
frame is computed where it lies, so that no interpolation helps or harms, and counted with Poisson
noise. Correlating each frame with the one before it, as many programs do, adds up every error.
"""

from itertools import pairwise

import numpy as np
from scipy import ndimage
from skimage.registration import phase_cross_correlation

import chemoscape as cs
from chemoscape.stack import build

# 1. A sample, and how it moves.
random = np.random.default_rng(7)
energy = np.linspace(510.0, 530.0, 60)
edge = 0.5 * (1 + np.tanh((energy - 517.0) / 0.8))
absorption = {"first": 0.05 + 1.1 * edge, "second": 0.7 - 0.4 * edge}
displacement = random.normal(0.0, 0.2, (60, 2)).cumsum(axis=0)
displacement += np.linspace(0.0, 6.0, 60)[:, None] * [1.0, -0.5]
displacement[35:] += (4.0, -3.0)  # somebody closed a door

y, x = np.mgrid[:96, :96].astype(float)
wires = [  # material, centre y and x, angle, half length, half width (pixels)
    ("first", 30, 35, 0.4, 22, 3),
    ("first", 65, 50, -0.9, 18, 5),
    ("second", 45, 60, 1.3, 25, 4),
    ("second", 70, 25, 0.1, 12, 3),
]


def soft(distance):
    """1 inside, 0 outside, with the blur of the beam."""
    return 1 / (1 + np.exp(2 * distance))


def frame(i):
    """Counts expected at the i-th energy, with 400 in the open beam."""
    dy, dx = displacement[i]
    density = np.zeros_like(y)
    for material, cy, cx, angle, length, width in wires:
        along = (x - cx - dx) * np.cos(angle) + (y - cy - dy) * np.sin(angle)
        across = (y - cy - dy) * np.cos(angle) - (x - cx - dx) * np.sin(angle)
        density += absorption[material][i] * soft(abs(along) - length) * soft(abs(across) - width)
    return 400.0 * np.exp(-density)


counts = random.poisson([frame(i) for i in range(energy.size)])
stack = build(counts, energy, 0.05 * y[:, 0], 0.05 * x[0], quantity="counts")

# 2. Measure the drift. `drift.save("drift.aln")` writes it for aXis2000.
drift = cs.measure_drift(stack)

# 3. The same with a chain of neighbours, edges correlated as well.
edges = [ndimage.gaussian_gradient_magnitude(one.astype(float), 1.5) for one in stack.values]
steps = [
    phase_cross_correlation(
        before - before.mean(), after - after.mean(), upsample_factor=100, normalization=None
    )[0]
    for before, after in pairwise(edges)
]
chain = np.cumsum([np.zeros(2), *steps], axis=0)


# 4. Compare. A shift that is common to all frames is no error.
def rms(shifts):
    """Error per axis in pixels."""
    error = shifts + displacement
    return float(np.sqrt(((error - np.median(error, axis=0)) ** 2).mean()))


aligned = cs.crop_common(cs.align(stack, drift))

print(f"drift            {drift.max_px:.1f} pixels at most, {drift.rms_px:.1f} rms")
print(f"reference        frame {drift.reference}, {energy[drift.reference]:.1f} eV: most contrast")
print(f"error            {rms(drift.shifts):.3f} pixels rms")
print(f"chained instead  {rms(chain):.3f} pixels rms, {rms(chain) / rms(drift.shifts):.0f} × more")
print(
    f"seen by all      {aligned.sizes['y']} × {aligned.sizes['x']} of {y.shape[0]} × {x.shape[1]}"
)

assert rms(drift.shifts) < 0.06
assert rms(chain) > 3 * rms(drift.shifts)
