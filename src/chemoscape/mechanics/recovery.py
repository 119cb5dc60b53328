"""From a solution to named fields at the nodes and over the triangles."""

from __future__ import annotations

import numpy as np
import xarray as xr

from chemoscape.mechanics.elasticity import Solution
from chemoscape.mechanics.material import Material, Plane

MPA_PER_GPA = 1e3

DESCRIPTIONS = {
    "composition": ("composition", ""),
    "displacement_x": ("displacement along x", "µm"),
    "displacement_y": ("displacement along y", "µm"),
    "strain_xx": ("strain xx", "1"),
    "strain_yy": ("strain yy", "1"),
    "strain_xy": ("shear strain xy (half the engineering shear)", "1"),
    "stress_xx": ("normal stress along x", "MPa"),
    "stress_yy": ("normal stress along y", "MPa"),
    "stress_xy": ("shear stress xy", "MPa"),
    "von_mises": ("von Mises stress", "MPa"),
    "hydrostatic": ("hydrostatic stress (a third of the trace)", "MPa"),
    "principal_1": ("largest principal stress in the plane", "MPa"),
    "principal_2": ("smallest principal stress in the plane", "MPa"),
    "element_area": ("area of the triangle", "µm²"),
    "element_von_mises": ("mean von Mises stress of the triangle", "MPa"),
    "element_hydrostatic": ("mean hydrostatic stress of the triangle", "MPa"),
}


def von_mises(
    sxx: np.ndarray, syy: np.ndarray, sxy: np.ndarray, szz: np.ndarray | float = 0.0
) -> np.ndarray:
    """Von Mises stress (Equation 11, with the out-of-plane stress that plane strain adds).

        sqrt(σx² + σy² - σx σy + 3 τxy²)   where σz = 0

    Examples
    --------
    >>> float(von_mises(np.array(1.0), np.array(0.0), np.array(4.0)))
    7.0
    """
    differences = (sxx - syy) ** 2 + (syy - szz) ** 2 + (szz - sxx) ** 2
    return np.sqrt(differences / 2 + 3 * sxy**2)


def named_fields(
    solution: Solution, composition: np.ndarray, material: Material, plane: Plane
) -> xr.Dataset:
    """Everything that is kept of a solution, with names, units and provenance."""
    mesh = solution.system.mesh
    out_of_plane = material.poisson if plane == "strain" else 0.0

    def invariants(s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        szz = out_of_plane * (s[0] + s[1])
        return von_mises(s[0], s[1], s[2], szz), (s[0] + s[1] + szz) / 3

    displacement = solution.nodal_displacement()
    strain, s = solution.nodal(solution.strain), MPA_PER_GPA * solution.nodal(solution.stress)
    nodal_von_mises, nodal_hydrostatic = invariants(s)
    centre, radius = (s[0] + s[1]) / 2, np.hypot((s[0] - s[1]) / 2, s[2])
    element_von_mises, element_hydrostatic = (
        MPA_PER_GPA * solution.element_mean(values) for values in invariants(solution.stress)
    )
    nodal = {
        "composition": composition,
        "displacement_x": displacement[0],
        "displacement_y": displacement[1],
        "strain_xx": strain[0],
        "strain_yy": strain[1],
        "strain_xy": strain[2] / 2,
        "stress_xx": s[0],
        "stress_yy": s[1],
        "stress_xy": s[2],
        "von_mises": nodal_von_mises,
        "hydrostatic": nodal_hydrostatic,
        "principal_1": centre + radius,
        "principal_2": centre - radius,
    }
    elements = {
        "element_area": mesh.areas,
        "element_von_mises": element_von_mises,
        "element_hydrostatic": element_hydrostatic,
    }
    variables = {
        name: (dim, values, dict(zip(("long_name", "units"), DESCRIPTIONS[name], strict=True)))
        for dim, group in (("node", nodal), ("element", elements))
        for name, values in group.items()
    }
    return xr.Dataset(
        variables | {"triangle": (("element", "vertex"), mesh.triangles)},
        coords={
            "node_x": ("node", mesh.points[:, 0], {"units": "µm"}),
            "node_y": ("node", mesh.points[:, 1], {"units": "µm"}),
        },
        attrs={
            "boundary": str(solution.boundary),
            "reference": float(material.reference),
            "young_GPa": float(material.young_GPa),
            "poisson": float(material.poisson),
            "eigenstrain": float(material.eigenstrain),
            "material_status": material.status,
            "material_source": material.source,
            "n_nodes": len(mesh.points),
            "n_elements": len(mesh.triangles),
        },
    )
