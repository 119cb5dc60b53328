"""From a solution to named fields at the nodes and over the triangles."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import xarray as xr

from chemoscape.mechanics.eigenstrain import in_image, strain_rotation
from chemoscape.mechanics.elasticity import Solution
from chemoscape.mechanics.elements import linear_in_triangles, linear_shape
from chemoscape.mechanics.lattice import Lattice
from chemoscape.mechanics.material import Material

MPA_PER_GPA = 1e3
KJ_PER_M3_PER_GPA = 1e6

#: Long name and unit; "element_…" is the mean of the same over a triangle.
DESCRIPTIONS = {
    "composition": ("composition", ""),
    "displacement_x": ("displacement along x", "µm"),
    "displacement_y": ("displacement along y", "µm"),
    "strain_xx": ("strain xx", "1"),
    "strain_yy": ("strain yy", "1"),
    "strain_xy": ("shear strain xy (half the engineering shear)", "1"),
    "strain_zz": ("strain across the image", "1"),
    "eigenstrain_xx": ("stress-free strain xx", "1"),
    "eigenstrain_yy": ("stress-free strain yy", "1"),
    "eigenstrain_xy": ("stress-free shear strain xy (half the engineering shear)", "1"),
    "eigenstrain_zz": ("stress-free strain across the image", "1"),
    "stress_xx": ("normal stress along x", "MPa"),
    "stress_yy": ("normal stress along y", "MPa"),
    "stress_xy": ("shear stress xy", "MPa"),
    "stress_zz": ("normal stress across the image", "MPa"),
    "stress_xi": ("normal stress along the particle's axis xi", "MPa"),
    "stress_eta": ("normal stress along the particle's axis eta", "MPa"),
    "shear_xi_eta": ("shear stress in the particle's axes", "MPa"),
    "von_mises": ("von Mises stress", "MPa"),
    "hydrostatic": ("hydrostatic stress (a third of the trace)", "MPa"),
    "principal_1": ("largest principal stress in the plane", "MPa"),
    "principal_2": ("smallest principal stress in the plane", "MPa"),
    "elastic_energy": ("elastic energy density", "kJ/m³"),
    "omega_sigma": ("work of the stress on the strain of one unit of composition", "MPa"),
    "von_mises_sd": ("standard deviation of the von Mises stress from the composition's", "MPa"),
    "area": ("area of the triangle", "µm²"),
    "particle": ("number of the particle, from 1, in the order of angle_deg", ""),
    "near_cut": ("1 within one width of a cut edge, where stress is not to be trusted", ""),
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


def in_particle_axes(stress: np.ndarray, angle_deg: np.ndarray | float) -> np.ndarray:
    """Stress (xx, yy, xy) as (xi, eta, xi-eta), shape (3, …): the paper's nominal stresses.

    Parameters
    ----------
    stress : numpy.ndarray, shape (3, …)
        In the image's axes.
    angle_deg : float or array_like
        From x to xi, towards y; broadcast against the other dimensions.

    Examples
    --------
    >>> in_particle_axes(np.array([2.0, 0.0, 0.0]), 45.0).round(3).tolist()
    [1.0, 1.0, -1.0]
    """
    # stress · strain is the same in all axes: stress turns with the transpose of strain's matrix
    return np.einsum("...ji,j...->i...", strain_rotation(angle_deg), stress)


def strain_per_composition(material: Material, composition: np.ndarray) -> np.ndarray:
    """Slope of the stress-free strain along xi, eta and across, shape (3, …); Ω of Equation 9.

    In a lattice table it is that of the segment; the step between two phases has none.
    """
    x = np.asarray(composition, dtype=float)
    table = material.eigenstrain
    if not isinstance(table, Lattice):
        rates = (*table, np.nan)[:3] if isinstance(table, tuple) else (table,) * 3
        return np.multiply.outer(np.array(rates), np.ones_like(x))
    order = ["abc".index(axis) for axis in table.axes]
    cells = np.array([table.a, table.b, table.c])[order]
    after = np.clip(np.searchsorted(table.x, x, side="left"), 1, len(table.x) - 1)
    width = np.take(table.x, after) - np.take(table.x, after - 1)
    start = table.cell(material.reference)[order].reshape(3, *[1] * x.ndim)
    return (cells[:, after] - cells[:, after - 1]) / width / start


def named_fields(solution: Solution, composition: np.ndarray, material: Material) -> xr.Dataset:
    """Everything that is kept of a solution, with names, units and provenance.

    Elastic energy is 1/2 stress : (strain - eigenstrain), the direction across included, and
    omega_sigma is Ω : stress, the part of stress in the chemical potential of lithium (per unit of
    composition and volume).

    Parameters
    ----------
    solution : Solution
        From `solve`, of a system with a law.
    composition : numpy.ndarray, shape (n_points,)
        At the mesh's points.
    material : Material
        Of the same system.
    """
    system, mesh = solution.system, solution.system.mesh
    own = system.particle
    strain_zz = np.broadcast_to(solution.strain_zz[own][:, None], solution.stress_zz.shape)
    angle, angle_at_node = material.angle_of(own), material.angle_of(mesh.particle)
    per_quadrature = angle if isinstance(angle, float) else np.asarray(angle)[:, None]

    # in the triangles: means of what is not linear in the stress are taken last
    inside = _derived(
        MPA_PER_GPA * solution.stress, MPA_PER_GPA * solution.stress_zz, per_quadrature
    )
    strains = {
        "strain_xx": solution.strain[0],
        "strain_yy": solution.strain[1],
        "strain_xy": solution.strain[2] / 2,
        "strain_zz": strain_zz,
        "eigenstrain_xx": solution.eigenstrain[0],
        "eigenstrain_yy": solution.eigenstrain[1],
        "eigenstrain_xy": solution.eigenstrain[2] / 2,
        "eigenstrain_zz": solution.eigenstrain_zz,
    }
    energy = KJ_PER_M3_PER_GPA * _energy(solution)
    work = MPA_PER_GPA * _work(solution, material, composition, per_quadrature)
    inside |= {"elastic_energy": energy, "omega_sigma": work} | strains

    displacement = solution.nodal_displacement()
    nodal_stress = solution.nodal(np.array([*solution.stress, solution.stress_zz])) * MPA_PER_GPA
    nodal = (
        {
            "composition": composition,
            "displacement_x": displacement[0],
            "displacement_y": displacement[1],
        }
        | {name: solution.nodal(values) for name, values in strains.items()}
        | _derived(nodal_stress[:3], nodal_stress[3], angle_at_node)
        | {
            "elastic_energy": KJ_PER_M3_PER_GPA * solution.nodal(_energy_from_corners(solution)),
            "omega_sigma": solution.nodal(work),
        }
    )
    elements = {"area": mesh.areas, "particle": own + 1} | {
        name: solution.element_mean(values) for name, values in inside.items()
    }
    variables = {
        prefix + name: (dim, values, described(name, mean=bool(prefix)))
        for dim, prefix, group in (("node", "", nodal), ("element", "element_", elements))
        for name, values in group.items()
        if np.isfinite(values).all()  # strain across is not known in plane stress
    }
    return xr.Dataset(
        variables | {"triangle": (("element", "vertex"), mesh.triangles)},
        coords={
            "node_x": ("node", mesh.points[:, 0], {"units": "µm"}),
            "node_y": ("node", mesh.points[:, 1], {"units": "µm"}),
        },
        attrs={
            "boundary": str(solution.boundary),
            **material_facts(material),
            "n_nodes": len(mesh.points),
            "n_elements": len(mesh.triangles),
        },
    )


def described(name: str, *, mean: bool = False) -> dict[str, str]:
    """Long name and unit of a variable."""
    long_name, units = DESCRIPTIONS[name]
    plain = not mean or name in ("area", "particle", "near_cut")
    return {
        "long_name": long_name if plain else f"mean {long_name} of the triangle",
        "units": units,
    }


def material_facts(material: Material) -> dict[str, str | float | list[float]]:
    """The material as attributes: numbers, flat lists, or text."""

    def plain(value: float | tuple[float, ...]) -> float | list[float]:
        return list(value) if isinstance(value, tuple) else float(value)

    table = material.eigenstrain
    facts: dict[str, str | float | list[float]] = {
        "reference": float(material.reference),
        "young_GPa": plain(material.young_GPa),
        "poisson": plain(material.poisson),
        "eigenstrain": "lattice table" if isinstance(table, Lattice) else plain(table),
        "angle_deg": plain(material.angle_deg),
        "material_status": material.status,
        "material_source": material.source,
    }
    if material.shear_GPa is not None:
        facts["shear_GPa"] = float(material.shear_GPa)
    if isinstance(table, Lattice):
        facts["lattice"] = json.dumps(asdict(table), ensure_ascii=False)
    if material.phases:
        facts["phases"] = json.dumps(
            [asdict(phase) for phase in material.phases], ensure_ascii=False
        )
    return facts


def _derived(s: np.ndarray, szz: np.ndarray, angle: np.ndarray | float) -> dict[str, np.ndarray]:
    """Stresses (…) and their invariants from (xx, yy, xy) and zz, all in MPa."""
    centre, radius = (s[0] + s[1]) / 2, np.hypot((s[0] - s[1]) / 2, s[2])
    xi, eta, shear = in_particle_axes(s, angle)
    return {
        "stress_xx": s[0],
        "stress_yy": s[1],
        "stress_xy": s[2],
        "stress_zz": szz,
        "stress_xi": xi,
        "stress_eta": eta,
        "shear_xi_eta": shear,
        "von_mises": von_mises(s[0], s[1], s[2], szz),
        "hydrostatic": (s[0] + s[1] + szz) / 3,
        "principal_1": centre + radius,
        "principal_2": centre - radius,
    }


def _across(solution: Solution, strain: np.ndarray) -> np.ndarray:
    """stress_zz times a strain across; nothing in plane stress, where that may be unknown."""
    return np.where(solution.stress_zz == 0, 0.0, solution.stress_zz * np.nan_to_num(strain))


def _energy(solution: Solution) -> np.ndarray:
    """1/2 stress : (strain - eigenstrain) in GPa at the quadrature points."""
    strain_zz = solution.strain_zz[solution.system.particle][:, None]
    across = _across(solution, strain_zz - solution.eigenstrain_zz)
    return ((solution.stress * (solution.strain - solution.eigenstrain)).sum(axis=0) + across) / 2


def _energy_from_corners(solution: Solution) -> np.ndarray:
    """The same, linear between the energies at the corners: extrapolating it would go below 0."""
    shape = linear_shape(solution.system)
    to_corners = np.linalg.pinv(shape)
    elastic = (solution.strain - solution.eigenstrain) @ to_corners
    energy = ((solution.stress @ to_corners) * elastic).sum(axis=0)
    strain_zz = solution.strain_zz[solution.system.particle][:, None] - solution.eigenstrain_zz
    energy += (solution.stress_zz @ to_corners) * (np.nan_to_num(strain_zz) @ to_corners)
    return (energy / 2) @ shape


def _work(
    solution: Solution, material: Material, composition: np.ndarray, angle: np.ndarray | float
) -> np.ndarray:
    """Ω : stress in GPa at the quadrature points."""
    x = linear_in_triangles(solution.system, composition)
    slope = in_image(strain_per_composition(material, x), angle)
    return (slope[:3] * solution.stress).sum(axis=0) + _across(solution, slope[3])
