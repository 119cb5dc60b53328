"""A few images of many pixels: maps by generalised least squares, ratios, and a plan."""

from __future__ import annotations

import numpy as np
from measure import cost, heading, row, stacks_of

import chemoscape as cs
from chemoscape import few_energies as few

ENERGIES = (508.0, 518.5, 532.7, 539.2)
SIDE = 1000


def few_images() -> None:
    """Maps of 1000² pixels at four energies beside the least squares that give no error, and the
    choice of four energies.
    """
    pair = cs.open_library("lixv2o5-model").select("alpha-Li0.1V2O5", "epsilon-Li0.3V2O5")
    truth = cs.simulate.core_shell(
        shape=(SIDE, SIDE), core="epsilon-Li0.3V2O5", energy=ENERGIES, poisson=True, photons=2e4
    )
    od = cs.optical_density(truth.stack)
    density = od["optical_density"].values
    few.fit_maps(od.isel(y=slice(0, 9)), pair)
    heading(f"{len(ENERGIES)} images of {SIDE}² pixels")
    mu = pair.spectra(np.array(ENERGIES)).values.T
    plain = cost(lambda: np.linalg.lstsq(mu, density.reshape(len(mu), -1), rcond=None))
    roles = few.roles_of(np.array(ENERGIES), pair)
    for what, work in (
        ("weights, composition, errors by source", lambda: few.fit_maps(od, pair)),
        ("ratio maps with their errors", lambda: few.ratio_maps(od, pair, roles)),
    ):
        spent = cost(work)
        ratio = f"{spent.seconds / plain.seconds:.0f} × lstsq"
        row(what, spent.seconds, ratio, memory=stacks_of(spent.extra_bytes, density.nbytes))
    row("numpy.linalg.lstsq, no error (peer)", plain.seconds)
    film = few.Expected.between(pair, 5, thickness_nm=60.0)
    chosen = cost(lambda: few.choose_energies(film, 4, dose_MGy=100.0))
    row("choosing four energies of a library", chosen.seconds)
