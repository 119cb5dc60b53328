"""Non-negative matrix analysis: the phases of a particle and their maps, without standards.

Spectra and maps are found together, none of them negative (NNMA; Lerotic et al., J. Synchrotron
Rad. 21, 1206, 2014). Many answers describe the data equally well; a similarity to cluster spectra
decides for the one that looks like them. Here the clusters are not quite the phases, since one of
them holds mixed pixels, and the parts come closer to the phases than the clusters do.
"""

import numpy as np

import chemoscape as cs

truth = cs.simulate.core_shell(shape=(60, 80), poisson=True, photons=20_000)
od = cs.optical_density(truth.stack)
groups = cs.cluster(od, cs.principal_components(od), n_clusters=2)

# The two phases that the particle was made of, unknown to what follows.
phases = truth.library.select("epsilon-Li0.45V2O5", "alpha-Li0.1V2O5")
phases = phases.spectra(od.energy.values).values


def error(spectra):
    """Of the spectrum that is worse, relative, whatever the scale."""
    spectra, wanted = (
        np.asarray(s) / np.linalg.norm(s, axis=1)[:, None] for s in (spectra, phases)
    )
    return max(np.linalg.norm(spectra - one, axis=1).min() for one in wanted)


print(f"clusters            error of the spectra {100 * error(groups.spectrum):.2f} %")

# λ has no unit: at 1 a departure from the clusters costs as much as the same misfit of the data.
for similarity in (0, 0.1, 1, 100):
    parts = cs.factorise(od, 2, similar_to=groups, similarity=similarity)
    print(
        f"similarity {similarity:<8g} error of the spectra {100 * error(parts.spectrum):.2f} %, "
        f"distance to the clusters {parts.attrs['similarity_distance']:.1e}, "
        f"unexplained {1e3 * (1 - parts.attrs['explained_share']):.3f} ‰, "
        f"{parts.attrs['n_sweeps']} sweeps"
    )

parts = cs.factorise(od, 2, similar_to=groups, similarity=0.1)
share = parts.weight / parts.weight.sum("part")
for number in parts.part.values:
    print(f"part {number}              {float(share.sel(part=number).mean()):.3f} of the sample")

assert error(parts.spectrum) < 0.005
