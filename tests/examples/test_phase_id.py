"""Phases are told right: for samples that were made up, and for measured ones where their data are at hand."""

import csv
import importlib.util
import os
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest

from nflow.models import MultiTaskData, TaskContext
from nflow.models.execution import Succeeded, run_task
from nflow.models.workflow import load

ROOT = Path(__file__).parents[2]
FILE = ROOT / "examples" / "phase_id.py"
MEASURED = Path(os.environ.get("NFLOW_TEST_DATA", ROOT.parent / "shared" / "data")) / "saxs"
ORDERED = ["lamellar", "hexagonal", "Ia3d", "Pn3m", "Im3m"]

_spec = importlib.util.spec_from_file_location("phase_id", FILE)
phase_id = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(phase_id)

needs_measured = pytest.mark.skipif(
    not MEASURED.is_dir(), reason=f"no measured profiles in {MEASURED}; NFLOW_TEST_DATA names their parent folder"
)


class Store:
    """The two things that the workflow asks of a store."""

    def __init__(self, **values):
        self.values = values

    def get(self, key):
        return self.values.get(key)

    def push(self, key, value):
        self.values.setdefault(key, []).append(value)


class Player:
    """Runs the dags task after task; it is also their signal."""

    def __init__(self, **values):
        self.workflow = load(FILE)
        self.store = Store(**self.workflow.parameters.resolve(values))

    def start_dag(self, dag, *, data=None):
        data = MultiTaskData() if data is None else data
        for task in self.workflow.dags[dag.name].graph().tasks:
            ending = run_task(task, data, self.store, self, TaskContext(task.name, dag.name, "phase_id", "1", "host"))
            assert isinstance(ending, Succeeded), ending
            data = MultiTaskData(dataset=deepcopy(ending.data))
        return dag.name

    def join_dags(self, names):
        pass


def play(**values):
    player = Player(**values)
    player.start_dag(player.workflow.dags["main"])
    with (Path(values["out"]) / "phases.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def identified(q, intensity, sigma=None):
    """What the four tasks of a profile make of it."""
    sigma = phase_id.scatter_of(intensity) if sigma is None else sigma
    seen = phase_id.lit(q, intensity)
    data = {"q": q[seen], "intensity": intensity[seen], "sigma": sigma[seen]}
    phase_id.subtract(data, None, None, None)
    phase_id.find(data, None, None, None)
    return phase_id.identify_phase(data["peaks"])


def simulated(phase, lattice=6.0, seed=1, **changes):
    return phase_id.simulate(phase, lattice, np.random.default_rng(seed), **changes)


@pytest.fixture
def written(tmp_path):
    def write(text, name="profile.dat", encoding="utf-8"):
        path = tmp_path / name
        path.write_text(text, encoding=encoding)
        return path

    return write


def rows(*columns, separator=" "):
    return "\n".join(separator.join(f"{value:.6e}" for value in row) for row in zip(*columns, strict=True)) + "\n"


# --- phases ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [0.02, 0.07])
@pytest.mark.parametrize("lattice", [3.7, 6.0, 11.0])
@pytest.mark.parametrize("phase", ORDERED)
def test_every_phase_is_told_with_its_lattice(phase, lattice, width):
    q, intensity, sigma = simulated(phase, lattice, width=width)

    answer = identified(q, intensity, sigma)

    assert answer.phase == phase
    assert answer.lattice == pytest.approx(lattice, rel=2e-3)
    assert 0.8 < answer.score <= 1


def test_nearly_every_sample_of_unknown_size_and_noise_is_told_right():
    rng = np.random.default_rng(42)
    samples = [(phase, rng.uniform(4, 12), rng.uniform(0.02, 0.07)) for phase in ORDERED * 12]
    wrong = []

    for phase, lattice, width in samples:
        q, intensity, sigma = phase_id.simulate(phase, lattice, rng, width=width)
        noise = 10 ** rng.uniform(-3, -1.7)
        answer = identified(q, intensity + rng.normal(0, noise, len(q)), np.hypot(sigma, noise))
        if answer.phase != phase:
            wrong.append((phase, lattice, width, noise, answer))

    assert len(wrong) <= 2, wrong


def test_no_order_is_seen_in_noise_and_in_the_humps_of_liquids():
    rng = np.random.default_rng(7)
    q = np.arange(0.1, 7, 0.0066)
    noise = [(q, rng.normal(1.0, 0.1, len(q)), np.full(len(q), 0.1)) for _ in range(20)]
    liquids = [simulated("none", lattice, seed) for seed, lattice in enumerate(np.linspace(2.2, 6, 20))]

    phases = {identified(*profile).phase for profile in noise + liquids}

    assert phases == {"none"}


def test_a_hump_beneath_the_peaks_does_not_hide_the_phase():
    q, intensity, sigma = simulated("hexagonal", 3.0)
    hump = 0.3 * np.exp(-0.5 * ((q - 2.3) / 0.3) ** 2)

    answer = identified(q, intensity + hump, np.hypot(sigma, 0.01))

    assert answer.phase == "hexagonal"


def test_one_sharp_peak_alone_is_layers_with_half_the_score():
    q, intensity, sigma = simulated("lamellar", 1.5)

    answer = identified(q, intensity, sigma)

    assert (answer.phase, list(answer.peaks)) == ("lamellar", ["1"])
    assert answer.score == pytest.approx(0.5, abs=0.05)


def test_a_hot_pixel_is_no_peak():
    q, intensity, sigma = simulated("none", 3.0)
    intensity[700] += 5.0

    assert identified(q, intensity, sigma).phase == "none"


def test_a_second_phase_in_traces_does_not_change_the_answer():
    q, intensity, sigma = simulated("Pn3m", 7.0)
    _, traces, _ = simulated("lamellar", 4.1)

    answer = identified(q, intensity + 0.02 * traces, sigma)

    assert answer.phase == "Pn3m"
    assert answer.score < 1


@pytest.mark.parametrize("phase", [*ORDERED, "none"])
def test_noise_of_neighbours_that_is_alike_is_not_taken_for_peaks(phase):
    q, intensity, sigma = simulated(phase)
    smoothed = np.convolve(intensity, np.ones(4) / 4, mode="same")

    assert identified(q, smoothed, sigma).phase == phase


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0])
def test_a_profile_without_any_structure_has_no_order(level):
    q = np.arange(0.1, 7, 0.0066)

    assert identified(q, np.full(len(q), level)).phase == "none"


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_pdh_file_is_read_without_its_header_and_its_xml(written):
    q, intensity, sigma = simulated("Ia3d")
    header = f"\nSAXS BOX\n {len(q)} 0 0 0 0 0 0 0\n 0.0 306.8 0.0 1012.3 0.1542\n 25.2 1.06 0.0 0.0 0.0\n"
    path = written(header + rows(q, intensity, sigma) + "<?xml version='1.0'?>\n<fileinfo>7</fileinfo>", "profile.pdh")

    read = phase_id.read_profile(path)

    for got, given in zip(read, (q, intensity, sigma), strict=True):
        np.testing.assert_allclose(got, given, rtol=1e-5)


@pytest.mark.parametrize("separator", [" ", "\t", ", ", ";"])
def test_text_with_two_columns_is_read_and_its_noise_is_found_in_the_data(written, separator):
    q, intensity, sigma = simulated("none")
    path = written("# sample 12\n% q I\n" + rows(q, intensity, separator=separator))

    read_q, _, read_sigma = phase_id.read_profile(path)

    np.testing.assert_allclose(read_q, q, rtol=1e-5)
    assert np.median(read_sigma[q > 3] / sigma[q > 3]) == pytest.approx(1.0, abs=0.15)


def test_decimal_commas_are_read(written):
    q, intensity, _ = simulated("none")
    path = written(rows(q, intensity, separator=";").replace(".", ","))

    np.testing.assert_allclose(phase_id.read_profile(path)[0], q, rtol=1e-5)


@pytest.mark.parametrize(
    ("header", "factor"), [("q(A^-1) I", 10), ("q (Å⁻¹)  I", 10), ("q/(1/nm)", 1), ("# q [nm-1]", 1), ("", 10)]
)
def test_q_per_angstrom_becomes_q_per_nanometre(written, header, factor):
    q, intensity, _ = simulated("none")
    path = written(f"{header}\n{rows(q / 10, intensity)}")

    np.testing.assert_allclose(phase_id.read_profile(path)[0], q / 10 * factor, rtol=1e-5)


def test_rows_out_of_order_twice_or_not_a_number_do_no_harm(written):
    q, intensity, sigma = simulated("Im3m")
    sigma[::7] = 0
    sigma[3::7] = np.nan
    intensity[::50] = np.nan
    order = np.random.default_rng(0).permutation(len(q))
    text = rows(q[order], intensity[order], sigma[order])
    path = written(text + text[: text.index("\n") + 1])

    read = phase_id.read_profile(path)

    assert len(read[0]) == np.isfinite(intensity).sum()
    assert np.isfinite(read).all()
    assert (read[2] > 0).all()
    assert identified(*read).phase == "Im3m"


def test_a_file_without_a_table_is_refused_by_name(written):
    path = written("file,phase\na.pdh,none\n", "expected.csv")

    with pytest.raises(ValueError, match=r"expected\.csv has no table"):
        phase_id.read_profile(path)


# --- the workflow ----------------------------------------------------------------------------------------------------


def test_without_data_a_folder_is_simulated_and_every_phase_in_it_is_found(tmp_path, capsys):
    results = play(out=str(tmp_path))

    assert {row["file"]: row["phase"] for row in results} == {row["file"]: row["file"].split("_")[0] for row in results}
    assert [row["file"] for row in results] == sorted(row["file"] for row in results)
    assert list(results[0]) == ["file", "phase", "lattice_nm", "score", "peaks"]
    assert (tmp_path / "phases.png").read_bytes().startswith(b"\x89PNG")
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("No data=FOLDER was given")
    assert str(tmp_path / "phases.csv") in out[-1]


def test_a_file_that_is_no_profile_is_left_out(tmp_path, written, capsys):
    written("q and I are missing", "notes.txt")
    written(rows(*simulated("lamellar")), "sample.dat")

    results = play(data=str(tmp_path), out=str(tmp_path / "results"))

    assert [(row["file"], row["phase"]) for row in results] == [("sample.dat", "lamellar")]
    assert "Skipped: notes.txt has no table" in capsys.readouterr().out


@needs_measured
def test_the_phase_of_every_measured_profile_is_the_known_one(tmp_path):
    with (MEASURED / "expected.csv").open(encoding="utf-8") as file:
        expected = {row["file"]: row["phase"] for row in csv.DictReader(file)}

    results = play(data=str(MEASURED), out=str(tmp_path))

    assert {row["file"]: row["phase"] for row in results} == expected


@needs_measured
def test_measured_profiles_are_told_right_without_their_sigma_and_per_angstrom(written):
    with (MEASURED / "expected.csv").open(encoding="utf-8") as file:
        expected = {row["file"]: row["phase"] for row in csv.DictReader(file)}
    phases = {}

    for name in expected:
        q, intensity, _ = phase_id.read_profile(MEASURED / name)
        phases[name] = identified(*phase_id.read_profile(written(rows(q / 10, intensity)))).phase

    assert phases == expected
