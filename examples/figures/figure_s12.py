"""Figure S12: clusters in the space of the components
===================================================

The paper shows
---------------
Pixels of the miscalibrated, noisy data set scattered in the space of the components, coloured by
k-means cluster (A), where the clusters are, and their mean spectra. There are three, although the
sample has two phases: a mixture is a cluster of its own.

Ours shows
----------
The same. Raw scores fan out with thickness; scaled to unit length they form heaps, so that clusters
follow the shape of a spectrum and not the thickness. Eight clusters are made and joined to three
along their tree, as the paper advises; matched with the standards they give the compositions of
core, mixture and shell, and the shift of the axis. The standards are synthetic.
"""

# sphinx_gallery_thumbnail_number = 2
import numpy as np

import chemoscape as cs
from chemoscape.report.matches import clusters_figure
from chemoscape.report.scores import dendrogram_figure, scores_figure

NOTE = "Simulated, with synthetic standards."
truth = cs.simulate.core_shell(shape=(60, 80), pixel_um=0.06, od_noise=0.01, energy_shift_eV=-0.4)
od = cs.optical_density(truth.stack, i0=truth.i0)
pcs = cs.principal_components(od)
many = cs.cluster(od, pcs, n_clusters=8)
figure_tree = dendrogram_figure(many, into=3, note=NOTE)

# %%
# Cut into three; A of the paper's figure.

groups = cs.cut_clusters(od, many, into=3)
figure_scores = scores_figure(pcs, groups, note=NOTE)

# %%
# Every combination of up to four standards for every cluster, with one shift for all.

table = cs.match(groups, truth.library)
figure_clusters = clusters_figure(groups, table, note=NOTE)
print(f"energy shift  {table.attrs['energy_shift_eV']:+.4f} eV (truth -0.4)")
x = np.sort(table.composition.values)
for value, wanted in zip(x, (0.1, 0.345, 0.45), strict=True):
    print(f"cluster       x = {value:.4f} (truth {wanted:g})")
groups_of = [truth.labels.values[(groups.label == k) & (truth.thickness >= 0.25)] for k in range(3)]
right = sum(int((one == np.bincount(one).argmax()).sum()) for one in groups_of)
share = right / sum(map(len, groups_of))
print(f"pixels in the cluster of their region: {100 * share:.1f} %")

assert share > 0.99
assert abs(table.attrs["energy_shift_eV"] + 0.4) < 0.01
assert np.abs(x - [0.1, 0.345, 0.45]).max() < 0.01
