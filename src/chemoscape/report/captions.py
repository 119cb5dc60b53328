"""Title and caption of every figure that a run makes, and the limits of what it can say."""

from __future__ import annotations

from chemoscape.results import RunSummary

#: Name of a figure (and of its file) to its title and caption, in the order of the report.
CAPTIONS: dict[str, tuple[str, str]] = {
    "truth": (
        "Result beside the known truth",
        "The stack was simulated. Composition it was made from, composition found, their "
        "difference, and the difference in units of the stated standard deviation: the histogram "
        "follows the curve where the uncertainties are right.",
    ),
    "composition": (
        "Composition",
        "Composition in every pixel of the sample, its total standard deviation (counting "
        "statistics and systematic errors together), the thickness, and the distribution by pixel "
        "and by mass. Grey: outside the mask. Smoothing widens phase boundaries by about a pixel, "
        "which the standard deviation does not include.",
    ),
    "images": (
        "Images",
        "Optical density of every image on one scale, after registration; of complex "
        "reconstructions the phase too, zero in the empty part with its linear ramp taken off.",
    ),
    "resolutions": (
        "Beside STXM",
        "Optical density of the particle by STXM and in the image of the nearest energy, found in "
        "each other; the latter blurred to the beam of STXM (in transmission) less the former; the "
        "regression of both; and a profile. A slope away from one at the same energy is an optical "
        "density that is wrong in one of them.",
    ),
    "ratios": (
        "One feature at a time",
        "Above, the optical density of each feature over that after the edge, both less that "
        "before the edge where there is such an image: thickness cancels. Below, the composition "
        "that this feature alone would give between the bounding standards, not used where more "
        "than one feature was measured: the map of composition takes all images, each weighed by "
        "its errors. Where both disagree by more than their errors, an energy is off.",
    ),
    "bounds": (
        "Between its bounds",
        "The bounding standards at the sample's mean mass, with its mean optical density in every "
        "image (bars: spread over the sample); composition before it was cut off at the bounds; "
        "and the standard deviation of composition by source, root mean square over the sample. "
        "Counting and misplaced images differ from pixel to pixel; the others are common to all "
        "pixels, the offset most where the sample is thin.",
    ),
    "stress": (
        "Stress",
        "Von Mises stress and the stress components on the finite-element mesh; where the errors "
        "of composition are known, the standard deviation that they give it, and the elastic "
        "energy. Each quantity has one colour scale for all boundaries. Free: the outline is not "
        "held; fixed: it cannot move. A real particle lies between the two. Edges at which the "
        "image cuts particles stay straight but free, unless the recipe turns that off.",
    ),
    "electrochemistry": (
        "Electrochemistry",
        "Voltage against the composition that the charge gives by Faraday's law, over the phases "
        "of equilibrium, and charge per voltage with its plateaus; the band is the mean of the map "
        "by mass. The charge tells of the whole electrode, the map of the few particles in it.",
    ),
    "composite": (
        "Composite of the weights",
        "The weights of the standards as colours that add up, on one scale, and each alone. "
        "Brightness is thickness, the colour tells which standard prevails. Weights below zero and "
        "above the legend's are cut; a mixed colour is a mixture or one particle over another.",
    ),
    "particles": (
        "Particles",
        "Outlines over the thickness. Masks are whole where particles lie over each other. What is "
        "missed or joined here is missed or joined in every number: small particles are missed "
        "more often than large ones.",
    ),
    "picture": (
        "The same field by another microscope",
        "The picture on the grid of the map, by the affine transform through the pairs of points "
        "that the recipe gives, and the map; outlines are those of the map's particles in both.",
    ),
    "contacts": (
        "Contacts",
        "Particles in the colour of their mean composition, with a line between those that touch; "
        "the larger its dot, the more their compositions differ. The test deals the compositions "
        "at random among the particles that touch another.",
    ),
    "sizes": (
        "Sizes of the particles",
        "Distribution of the area of the masks for each phase that prevails in a particle, with "
        "the mode of its kernel density and the 95 % interval of that. Below, the share of "
        "synthetic particles of a size that the method found: where it falls, particles are "
        "missing above.",
    ),
    "size-and-composition": (
        "Size and composition",
        "Area and mean composition of each particle, the regression of the logarithm of the area "
        "on composition with its 95 % band, and Spearman's rank correlation. Blur makes thin wires "
        "wider.",
    ),
    "absorbance": (
        "Transmission and optical density",
        "Transmission at the strongest absorption, mean optical density with the region of "
        "incident intensity (orange) and the sample (dotted), and the spectra of both.",
    ),
    "background": (
        "Check of the normalisation",
        "Mean transmission with the background hatched; I0 and its error; what is left of the "
        "background's optical density; and the pixels whose density is not to be believed. Where "
        "I0 was averaged over this background, its mean is zero by construction and proves "
        "nothing: the differences of its halves are shown, and show a beam that changed within the "
        "images or lights them unevenly. Where I0 comes from elsewhere, the mean is shown: a "
        "constant level is a mismatch of units, a level that varies is an I0 of another day. The "
        "bands are the counting noise of these averages, whatever their size: a departure of a few "
        "thousandths can leave them and do no harm. Above an optical density of 1.5 stray light "
        "lowers the peaks, above 2.2 their height means little; two standard deviations of noise "
        "are granted.",
    ),
    "drift": (
        "Drift",
        "Shift that brings every frame onto the reference, and how well the frame could be "
        "registered: the correlation of its edges with those of the reference, 1 for alike frames. "
        "It falls where contrast fades or reverses, and a low value alone is no error. The shift "
        "of hollow frames was not believed and is interpolated from their neighbours. Shifts below "
        "the recipe's threshold are not applied: interpolation would cost more than it mends.",
    ),
    "fit": (
        "Fit of the mean spectrum",
        "Mean spectrum of the sample, the least-squares fit by the standards, the part of each "
        "standard with its share of the fitted weight, and the residual. Structure in the residual "
        "means that the standards do not describe the sample, or that an energy axis is off.",
    ),
    "weights-direct": (
        "Direct route: weights of the standards",
        "Weight of each standard in every pixel, on one colour scale, and what the fit leaves "
        "over. A reduced χ² near 1 means that the residual is noise; structure in it is a warning.",
    ),
    "groups": (
        "Direct route: weights of groups of standards",
        "Standards that are alike trade weight with each other; their sums, of the groups that the "
        "recipe names, are known better than each alone.",
    ),
    "components": (
        "Principal components",
        "Number of components by five criteria, eigenvalues, and the first eigenspectra and "
        "eigenimages (their sign is arbitrary). Components that look like noise are noise.",
    ),
    "clusters": (
        "Clusters",
        "Pixels grouped by the shape of their spectra, the mean spectrum of each cluster, and the "
        "composition that its match to the standards gives.",
    ),
    "scores": (
        "Scores by cluster",
        "Every pixel at its scores, in the colour of its cluster, and the means of the clusters; "
        "above as the components have them, where thickness pulls them along rays, below scaled to "
        "unit length, as they were grouped. Clusters that run into each other are parts of one "
        "cloud: a gradient, not phases.",
    ),
    "dendrogram": (
        "Tree of the clusters",
        "Which clusters are alike, as they were found, before any cut, split or merge: branches "
        "join at the distance (Ward) of their centres. The line is the recipe's [clusters] cut.",
    ),
    "targets": (
        "Standards one by one",
        "Whether each standard lies in the space of the components that stand out of the noise, by "
        "Malinowski's SPOIL: below 3 it may be there, above 6 it is not as it stands. The mean of "
        "thousands of pixels is so sharp that a standard with another resolution or orientation "
        "fails: the mismatch says by how much.",
    ),
    "regions": (
        "Regions",
        "Mean spectra of the regions that the recipe names, the fit that is ranked first among all "
        "combinations of standards, and the composition it gives.",
    ),
    "factorisation": (
        "Parts without standards",
        "Non-negative spectra and maps whose products make up the optical density, found without "
        "standards, and those of the clusters that the search started from, or was held to "
        "(dashed). The answer is not unique: spectra further apart may explain as much.",
    ),
    "weights-clustered": (
        "Clustered route: weights of the cluster spectra",
        "Weight of each cluster's spectrum in every pixel, on one colour scale, and what the fit "
        "leaves over.",
    ),
}


def _share(value: float | None) -> str:
    """A share as per cent."""
    return "–" if value is None else f"{100 * value:.0f} %"


def limits_of_validity(summary: RunSummary, *, synthetic: bool, illustrative: bool) -> list[str]:
    """What these results cannot tell, in plain words.

    Parameters
    ----------
    summary : RunSummary
        Decides which limits apply.
    synthetic : bool
        Whether the standards were calculated.
    illustrative : bool
        Whether the material's values are only illustrative.

    Returns
    -------
    list of str
        One sentence or two each.
    """
    said = []
    if synthetic:
        said.append(
            "The standards are synthetic. Compositions found with them test the method; for a real "
            "sample use measured standards."
        )
    said.append(
        "Every pixel is an average through the thickness of the sample: what lies behind what "
        "cannot be seen."
    )
    said.append(
        "The composition is right only if the standards contain every phase of the sample and were "
        "measured with the same polarisation. Linear dichroism (orientation) can look like "
        "composition."
    )
    if summary.energy_shift_eV is not None:
        known = summary.calibration
        per_eV = None if known is None else known.composition_per_eV
        effect = "moves the composition"
        if per_eV is not None:
            effect += f" by {abs(per_eV) / 10:.3f} on average here"
        said.append(
            f"An energy axis that is off by 0.1 eV {effect}. The shift given above is one value "
            "for the whole stack."
        )
    few = summary.few_energies
    if few is not None and few.clipped_low is not None:
        said.append(
            "A few images cannot show what they do not contain: another phase, a wrong energy or "
            "damage looks like composition. The composition lies between the bounding standards "
            f"because it was cut off there ({_share(few.clipped_low)} of the sample at the lower, "
            f"{_share(few.clipped_high)} at the upper bound)."
        )
        if few.pre_eV is None:
            said.append(
                "There is no image before the edge. An optical density that is too large by the "
                "same amount everywhere makes thin parts look different from thick ones: a core "
                "and a shell may be made by it."
            )
    said.append(
        "Stated uncertainties hold counting statistics and the systematic errors listed in the "
        "documentation. Radiation damage, saturated absorption and stray light beyond the warnings "
        "above are not in them."
    )
    if summary.stress:
        said.append(
            "Stress is computed from composition by linear elasticity in two dimensions, not "
            "measured. It scales with the modulus and the strain per composition; under a fixed "
            "boundary it also depends on the strain-free reference. It does not predict fracture."
        )
        said.append(
            "The maximum of the von Mises stress depends on the mesh at corners of a fixed "
            "outline: compare the 99th percentile and the mean."
        )
    if illustrative:
        said.append(
            "The elastic constants and the strain per composition are illustrative: the pattern of "
            "the stress can be discussed, its size in MPa cannot."
        )
    return said
