"""From a composition map to stress fields: what they hold, what is refused or warned of."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import meshio
import numpy as np
import pytest
import xarray as xr
from shapely.geometry import Point

from chemoscape.errors import (
    ChemoscapeWarning,
    MaterialError,
    MeshError,
    RecipeError,
    ResultsError,
    StackError,
)
from chemoscape.mechanics.boundaries import Cut, Springs
from chemoscape.mechanics.elasticity import solve
from chemoscape.mechanics.elements import assemble, material_eigenstrain
from chemoscape.mechanics.fields import StressField, stress
from chemoscape.mechanics.lattice import Lattice
from chemoscape.mechanics.material import LIXV2O5_ILLUSTRATIVE, Material
from chemoscape.mechanics.mesh import triangulate
from chemoscape.mechanics.recovery import named_fields, strain_per_composition

PITCH = 0.1


def ellipse(rows=30, columns=50, origin=(0.0, 0.0)):
    """Lithium-rich core in an elliptic particle; NaN outside, as `composition` leaves it."""
    y, x = np.mgrid[:rows, :columns]
    rho = np.hypot((x - columns / 2) / (0.45 * columns), (y - rows / 2) / (0.42 * rows))
    inside = rho < 1
    values = 0.1 + 0.175 * (1 - np.tanh((rho - 0.6) / 0.1))
    return xr.Dataset(
        {
            "composition": (("y", "x"), np.where(inside, values, np.nan)),
            "mask": (("y", "x"), inside),
        },
        coords={
            "y": origin[0] + PITCH * np.arange(rows),
            "x": origin[1] + PITCH * np.arange(columns),
        },
        attrs={"variable": "x in LixV2O5"},
    )


@pytest.fixture(scope="module")
def pair():
    return stress(ellipse(), LIXV2O5_ILLUSTRATIVE, boundary=["free", "fixed"])


def test_importing_the_room_loads_neither_gmsh_nor_a_window():
    code = (
        "import sys, chemoscape.mechanics.fields, chemoscape.mechanics.material; "
        "loaded = {'gmsh', 'matplotlib.pyplot'} & set(sys.modules); assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_boundary_gives_one_field_and_a_list_a_list(pair):
    single = stress(ellipse(), LIXV2O5_ILLUSTRATIVE, boundary="fixed")
    assert [field.boundary for field in pair] == ["free", "fixed"]
    xr.testing.assert_identical(single.dataset, pair[1].dataset)
    (springs,) = stress(ellipse(), LIXV2O5_ILLUSTRATIVE, boundary=[Springs(10.0)])
    assert springs.boundary == "springs-10-GPa-per-um"
    means = [f.von_mises_summary()["von_mises_mean_MPa"] for f in (pair[0], springs, pair[1])]
    assert means == sorted(means)


def test_what_a_field_holds(pair):
    for field in pair:
        data = field.dataset
        assert set(data.sizes) == {"node", "element", "vertex"}
        assert data["triangle"].max() == data.sizes["node"] - 1
        assert all("units" in data[name].attrs for name in data.data_vars if name != "triangle")
        assert all(isinstance(value, str | int | float) for value in data.attrs.values())
        assert data.attrs["material_status"] == "illustrative"
        assert (data.attrs["reference"], field.reference) == (0.0, 0.0)
        for name in data.data_vars:
            assert np.isfinite(data[name]).all(), name


def test_derived_stresses_agree_with_the_tensor(pair):
    data = pair[1].dataset
    tensor = np.array(
        [[data.stress_xx, data.stress_xy], [data.stress_xy, data.stress_yy]]
    ).transpose(2, 0, 1)
    low, high = np.linalg.eigvalsh(tensor).T
    np.testing.assert_allclose(data.principal_1, high, atol=1e-9)
    np.testing.assert_allclose(data.principal_2, low, atol=1e-9)
    np.testing.assert_allclose(data.von_mises**2, low**2 + high**2 - low * high, rtol=1e-9)
    np.testing.assert_allclose(3 * data.hydrostatic, low + high, atol=1e-9)


def uniform(value=0.4):
    image = ellipse()
    return image.assign(composition=image["composition"] * 0 + value)


def test_plane_strain_counts_the_out_of_plane_stress():
    e = LIXV2O5_ILLUSTRATIVE.strain(0.4)
    flat = dataclasses.replace(LIXV2O5_ILLUSTRATIVE, eigenstrain=(e / 0.4, e / 0.4, 0.0))
    in_plane = -1e3 * 43.0 * e / (1.3 * 0.4)
    data = stress(uniform(), flat, boundary="fixed", plane="strain").dataset
    np.testing.assert_allclose(data.stress_xx, in_plane, rtol=1e-9)
    np.testing.assert_allclose(data.stress_zz, in_plane * 0.6, rtol=1e-9)
    np.testing.assert_allclose(data.von_mises, abs(in_plane) * 0.4, rtol=1e-9)
    np.testing.assert_allclose(data.hydrostatic, in_plane * 2.6 / 3, rtol=1e-9)
    # of a single number the strain across is held back as well: pressure from all sides
    data = stress(uniform(), LIXV2O5_ILLUSTRATIVE, boundary="fixed", plane="strain").dataset
    pressure = -43.0 * e / 0.4
    np.testing.assert_allclose(data.stress_xx, 1e3 * pressure, rtol=1e-9)
    np.testing.assert_allclose(data.stress_zz, 1e3 * pressure, rtol=1e-9)
    np.testing.assert_allclose(data.von_mises, 0.0, atol=1e-6)
    np.testing.assert_allclose(data.elastic_energy, -1e6 * 1.5 * pressure * e, rtol=1e-9)
    np.testing.assert_allclose(data.omega_sigma, 3e3 * pressure * e / 0.4, rtol=1e-9)


CORE, RADIUS, STRAIN = 0.5, 1.0, 0.01


@pytest.fixture(scope="module")
def core_shell():
    """A core that swells in a free disk, on a mesh with a side along its rim."""
    disk, core = (Point(0, 0).buffer(r, quad_segs=64) for r in (RADIUS, CORE))
    mesh = triangulate([disk], 0.05, embedded=[core])
    material = Material(43.0, 0.3, STRAIN)
    x = np.ones(len(mesh.points))
    system = assemble(mesh, material.law())
    in_core = np.hypot(*mesh.points[mesh.triangles].mean(axis=1).T) < CORE
    swelling = material_eigenstrain(system, material, x) * in_core[:, None]
    return named_fields(solve(system, swelling), x, material), in_core


def test_energy_and_driving_stress_of_a_core_in_a_disk(core_shell):
    data, in_core = core_shell
    pressure = -43.0 * STRAIN / 2 * (1 - CORE**2 / RADIUS**2)
    inside = data.isel(element=in_core)
    for name, closed in (
        ("element_elastic_energy", 1e6 * pressure**2 * 0.7 / 43.0),
        ("element_omega_sigma", 1e3 * 2 * pressure * STRAIN),
        ("element_hydrostatic", 1e3 * 2 * pressure / 3),
    ):
        error = np.sqrt(np.average((inside[name] - closed) ** 2, weights=inside.element_area))
        assert error < 3e-3 * abs(closed), name
    # a free body does no work on its outline: energy = -1/2 ∫ stress : eigenstrain
    total = float((data.element_elastic_energy * data.element_area).sum())
    assert total == pytest.approx(-1e6 * pressure * STRAIN * np.pi * CORE**2, rel=3e-3)
    assert float(data.elastic_energy.min()) >= 0


def test_stress_along_the_axes_of_a_particle():
    turned = Material(43.0, 0.3, (-0.02, 0.04), angle_deg=30.0)
    data = stress(uniform(0.5), turned, boundary="fixed").dataset
    d = turned.stiffness() * 1e3
    along = -d @ [-0.01, 0.02, 0.0]
    np.testing.assert_allclose(data.stress_xi, along[0], rtol=1e-9)
    np.testing.assert_allclose(data.stress_eta, along[1], rtol=1e-9)
    np.testing.assert_allclose(data.shear_xi_eta, 0.0, atol=1e-6)
    np.testing.assert_allclose(data.element_stress_eta, along[1], rtol=1e-9)
    assert float(np.abs(data.stress_xy).min()) > 100


def test_every_particle_has_its_own_axes():
    image = uniform(0.5)
    image["mask"][:, 23:27] = False
    turned = Material(43.0, 0.3, (-0.02, 0.04), angle_deg=(30.0, -50.0))
    data = stress(image, turned, boundary="fixed").dataset
    along = -1e3 * turned.stiffness() @ [-0.01, 0.02, 0.0]
    np.testing.assert_allclose(data.stress_xi, along[0], rtol=1e-9)
    np.testing.assert_allclose(data.stress_eta, along[1], rtol=1e-9)
    assert set(data.element_particle.values) == {1, 2}
    assert data.attrs["angle_deg"] == [30.0, -50.0]
    with pytest.raises(MaterialError, match="3 angles for 2 particles"):
        stress(image, dataclasses.replace(turned, angle_deg=(0.0, 0.0, 0.0)))


def test_lattice_table_and_its_slope(tmp_path):
    table = Lattice((0.0, 0.3, 0.3, 1.0), (10, 10, 10.2, 10.2), (4, 4.03, 4.03, 4.1), (5,) * 4)
    material = Material(43.0, 0.3, table)
    slope = strain_per_composition(material, np.array([0.1, 0.3, 0.5]))
    np.testing.assert_allclose(slope[0], 0.0, atol=1e-12)  # the step is none
    np.testing.assert_allclose(slope[1], [0.025, 0.025, 0.025], rtol=1e-9)
    image = ellipse()
    field = stress(image, material, boundary="fixed", follow_phase=0.3)
    assert field.dataset.attrs["eigenstrain"] == "lattice table"
    path = tmp_path / "field.h5"
    field.dataset.to_netcdf(path, engine="h5netcdf")
    poor = float(image["composition"].min())
    with pytest.raises(MaterialError, match="outside its range"):
        stress(image.assign(composition=image["composition"] - poor - 0.1), material)


def test_meshes_that_follow_the_composition(pair):
    graded = stress(ellipse(), LIXV2O5_ILLUSTRATIVE, graded=True)
    assert graded.dataset.sizes["element"] > 1.2 * pair[0].dataset.sizes["element"]
    p99 = [field.von_mises_summary()["von_mises_p99_MPa"] for field in (pair[0], graded)]
    assert p99[1] == pytest.approx(p99[0], rel=0.1)
    followed = stress(ellipse(), LIXV2O5_ILLUSTRATIVE, follow_phase=0.275).dataset
    rho = np.hypot((followed.node_x - 2.5) / 2.25, (followed.node_y - 1.5) / 1.26)
    # many points lie on the contour, which no other mesh knows
    assert int((np.abs(rho - 0.6) < 0.02).sum()) > 20
    with pytest.warns(ChemoscapeWarning, match=r"crosses 0\.9 along no line"):
        stress(ellipse(), LIXV2O5_ILLUSTRATIVE, follow_phase=0.9)


def test_a_particle_cut_by_the_image():
    half = ellipse().isel(x=slice(20, None))
    data = stress(half, LIXV2O5_ILLUSTRATIVE, boundary=Cut(("left",))).dataset
    near = data.element_near_cut.values.astype(bool)
    assert 0 < near.sum() < near.size
    field = StressField(data, half.y.values, half.x.values)
    kept = data.element_von_mises.values[~near].max()
    assert field.von_mises_summary()["von_mises_max_MPa"] == kept
    with pytest.warns(ChemoscapeWarning, match="no stress is left"):
        field = stress(
            ellipse().isel(x=slice(35, None)), LIXV2O5_ILLUSTRATIVE, boundary=Cut(("left",))
        )
    assert np.isnan(field.von_mises_summary()["von_mises_mean_MPa"])


def test_composition_on_the_nodes_has_no_false_rim(pair):
    nodes = pair[0].dataset["composition"]
    inside = ellipse()["composition"]
    assert float(nodes.min()) >= float(inside.min())
    assert float(nodes.max()) <= float(inside.max())


def test_back_on_the_pixel_grid(pair):
    image = ellipse()
    maps = pair[0].to_grid()
    assert maps["von_mises"].dims == ("y", "x")
    np.testing.assert_array_equal(maps.x, image.x)
    mask = image["mask"].values
    found = np.isfinite(maps["composition"].values)
    assert (found & ~mask).sum() < 0.01 * mask.sum()
    assert (found & mask).sum() > 0.98 * mask.sum()
    difference = (maps["composition"] - image["composition"]).values[found]
    assert np.abs(difference).mean() < 0.01

    finer = pair[0].to_grid(like=image.interp(x=np.arange(0.5, 4.5, 0.03), y=[1.0, 1.5, 2.0]))
    assert finer["displacement_x"].shape == (3, 134)
    # a grid far away sees nothing
    assert pair[0].to_grid(image.assign_coords(x=image.x + 100))["von_mises"].isnull().all()


def test_place_on_the_stage_does_not_matter(pair):
    moved = stress(ellipse(origin=(-2000.0, 11000.0)), LIXV2O5_ILLUSTRATIVE, boundary="free")
    for name, value in pair[0].von_mises_summary().items():
        assert moved.von_mises_summary()[name] == pytest.approx(value, rel=0.03)
    assert float(moved.dataset.node_x.mean()) > 11000


def test_summary_is_weighted_by_area(pair):
    data = pair[1].dataset
    summary = pair[1].von_mises_summary()
    assert summary["von_mises_mean_MPa"] == pytest.approx(
        np.average(data.element_von_mises, weights=data.element_area)
    )
    above = data.element_von_mises > summary["von_mises_p99_MPa"]
    assert 0.001 < float(data.element_area[above].sum() / data.element_area.sum()) <= 0.01
    assert summary["von_mises_max_MPa"] == float(data.element_von_mises.max())


def test_save_for_paraview(tmp_path, pair):
    target = tmp_path / "stress-free.vtu"
    target.write_text("an older file")
    assert pair[0].save(target) == target
    read = meshio.read(target)
    np.testing.assert_allclose(read.point_data["von_mises"], pair[0].dataset["von_mises"])
    np.testing.assert_allclose(read.cell_data["element_area"][0], pair[0].dataset["element_area"])
    written = {*read.point_data, *read.cell_data} - {"displacement"}
    assert written == set(pair[0].dataset.data_vars) - {"triangle"}
    assert read.point_data["displacement"].shape[1] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["stress-free.vtu"]

    with pytest.raises(ResultsError, match=r"saved as \.vtu"):
        pair[0].save(tmp_path / "stress.vtk")
    with pytest.raises(ResultsError, match="cannot be written"):
        pair[0].save(tmp_path / "nowhere" / "stress.vtu")


def test_dataset_survives_netcdf(tmp_path, pair):
    path = tmp_path / "field.h5"
    pair[0].dataset.to_netcdf(path, engine="h5netcdf")
    with xr.open_dataset(path, engine="h5netcdf") as read:
        xr.testing.assert_equal(read.load(), pair[0].dataset)


def test_paper_mode_is_close_to_the_default(pair):
    first = stress(ellipse(), LIXV2O5_ILLUSTRATIVE, order=1)
    assert first.von_mises_summary()["von_mises_mean_MPa"] == pytest.approx(
        pair[0].von_mises_summary()["von_mises_mean_MPa"], rel=0.05
    )


def test_input_is_left_alone():
    image = ellipse()
    before = image.copy(deep=True)
    stress(image, LIXV2O5_ILLUSTRATIVE)
    xr.testing.assert_identical(image, before)


def test_large_strain_is_said():
    soft = Material(43.0, 0.3, 0.1)
    with pytest.warns(ChemoscapeWarning, match="free boundary: strains reach 4.*3%"):
        stress(ellipse(), soft)


def test_pixels_without_composition_are_said():
    image = ellipse()
    image["composition"].values[14:16, 24:26] = np.nan
    with pytest.warns(
        ChemoscapeWarning, match="4 of .* pixels inside the mask have no composition"
    ):
        field = stress(image, LIXV2O5_ILLUSTRATIVE)
    assert np.isfinite(field.dataset["von_mises"]).all()


def test_large_particles_get_a_coarser_mesh_and_it_is_said(monkeypatch):
    monkeypatch.setattr("chemoscape.mechanics.problem.MAX_DEFAULT_TRIANGLES", 100)
    with pytest.warns(ChemoscapeWarning, match="particles are large"):
        field = stress(ellipse(), LIXV2O5_ILLUSTRATIVE)
    assert field.dataset.sizes["element"] < 250


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda d: d.drop_vars("mask"), StackError, "no map 'mask'"),
        (lambda d: d.drop_vars("x"), StackError, "no ascending coordinate 'x'"),
        (lambda d: d.isel(y=slice(None, None, -1)), StackError, "ascending coordinate 'y'"),
        (lambda d: d.transpose("x", "y"), StackError, "dims"),
        (lambda d: d.assign(mask=d["mask"] & False), MeshError, "holds no pixel"),
        (lambda d: d.assign(composition=d["composition"] * np.nan), MeshError, "finite"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*pixels inside the mask have no composition")
def test_maps_that_cannot_be_used(change, error, match):
    with pytest.raises(error, match=match):
        stress(change(ellipse()), LIXV2O5_ILLUSTRATIVE)


def test_unknown_boundary_is_refused_before_any_work():
    with pytest.raises(RecipeError, match="'clamped' is unknown"):
        stress(ellipse(), LIXV2O5_ILLUSTRATIVE, boundary=["free", "clamped"])


def test_reference_is_carried():
    field = stress(ellipse(), dataclasses.replace(LIXV2O5_ILLUSTRATIVE, reference=0.1))
    assert field.reference == 0.1


def test_a_particle_that_leaves_the_image_is_not_torn_at_its_edge():
    """A long strip across the image, composition rising across it: as if the image went on."""
    n, across = 60, 16
    y, x = (np.arange(size) * 0.05 for size in (across + 8, n))
    inside = np.zeros((y.size, x.size), dtype=bool)
    inside[4:-4] = True
    values = np.where(inside, 0.3 + 0.2 * np.sin(3 * y)[:, None], np.nan)
    comp = xr.Dataset(
        {"composition": (("y", "x"), values), "mask": (("y", "x"), inside)},
        coords={"y": ("y", y), "x": ("x", x)},
    )
    material = Material(43.0, 0.3, 0.02)
    torn, whole = (stress(comp, material, cut_edges=cut) for cut in (False, True))
    assert torn.boundary == whole.boundary == "free"

    def size_at_ends(field):
        nodes = field.dataset
        ends = (nodes.node_x < 0.2) | (nodes.node_x > x[-1] - 0.2)
        squares = nodes["stress_xx"] ** 2
        return float(np.sqrt(squares.where(ends).mean() / squares.where(~ends).mean()))

    assert size_at_ends(whole) == pytest.approx(1, abs=0.1)
    assert size_at_ends(torn) < 0.8  # an end without force
    assert whole.dataset["element_near_cut"].sum() > 0
    assert "element_near_cut" not in torn.dataset
