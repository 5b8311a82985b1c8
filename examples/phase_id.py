"""Which liquid crystal is it? Finds and indexes the Bragg peaks of every SAXS profile in a folder, in parallel.

    nflow run examples/phase_id.py data=FOLDER out=FOLDER

For each profile (PDH, or text with the columns q, intensity and, if known, its standard deviation) a dag of its own
reads it, subtracts the background, finds the Bragg peaks and compares the ratios of their positions with those of the
lamellar, the hexagonal and three bicontinuous cubic phases. The last task writes `phases.csv` and `phases.png`. Without
`data` it simulates a folder of profiles first. All q are in nm^-1, all lengths in nm.
"""

import csv
import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, median_filter
from scipy.signal import argrelmax, peak_widths

from nflow.models import Dag, MultiTaskData, Option, Parameters, TaskData
from nflow.tasks import PythonTask

Array = NDArray[np.float64]

# --- the phases ------------------------------------------------------------------------------------------------------

#: The reflections of each phase, with the square m of their distance from the origin in units of the first lattice
#: vector: h² for layers, h² + hk + k² for a hexagonal lattice, h² + k² + l² for a cubic one. Of a space group only
#: the reflections that its reflection conditions allow (International Tables for Crystallography A, 2016: Ia-3d is
#: No. 230, Pn-3m No. 224, Im-3m No. 229).
REFLECTIONS: dict[str, dict[str, int]] = {
    "lamellar": {"1": 1, "2": 4, "3": 9, "4": 16, "5": 25, "6": 36, "7": 49, "8": 64},
    "hexagonal": {"10": 1, "11": 3, "20": 4, "21": 7, "30": 9, "22": 12, "31": 13, "40": 16},
    "Ia3d": {
        "211": 6,
        "220": 8,
        "321": 14,
        "400": 16,
        "420": 20,
        "332": 22,
        "422": 24,
        "431": 26,
        "521": 30,
        "440": 32,
    },
    "Pn3m": {"110": 2, "111": 3, "200": 4, "211": 6, "220": 8, "221": 9, "310": 10, "311": 11, "222": 12, "321": 14},
    "Im3m": {"110": 2, "200": 4, "211": 6, "220": 8, "310": 10, "222": 12, "321": 14, "400": 16, "330": 18, "420": 20},
}

#: Lattice parameter times the q of a reflection with m = 1: q = 2π √m / a, for a hexagonal lattice q = 4π √m / (√3 a)
#: (Kaasgaard & Drummond, Phys. Chem. Chem. Phys. 8 (2006) 4957).
FIRST_ORDER = dict.fromkeys(REFLECTIONS, 2 * np.pi) | {"hexagonal": 4 * np.pi / np.sqrt(3)}

FWHM = 2 * np.sqrt(2 * np.log(2))  #: full width at half maximum of a Gaussian in standard deviations
WIDEST = 0.12  #: nm^-1 at half height: what is wider is the hump of a liquid's short-range order, no Bragg peak
FAINTEST = 3.0  #: the least significance of a peak; with its position foretold by the others, this is enough
CLEAR = 8.0  #: the least significance of the clearest peak of a phase
LONELY = 12.0  #: the same where no second peak supports it


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The phase of a profile, and why: the peaks that its lattice explains."""

    phase: str = "none"
    lattice: float = 0.0  #: a, or the distance of the layers, in nm; 0 where there is no order
    score: float = 0.0  #: 0 … 1
    peaks: dict[str, float] = field(default_factory=dict)  #: reflection → q


# --- reading ---------------------------------------------------------------------------------------------------------

SUFFIXES = {".pdh", ".dat", ".txt", ".csv", ".xy", ".chi", ".tsv"}
INVERSE = r"\s?\^?[({]?[-\u2212\u207b][1\u00b9]"  # -1, as in nm-1, nm^-1, nm^(-1), with any minus
PER_ANGSTROM = re.compile(rf"1/\s?([\u00c5\u212b\ufffd]|A\b|[Aa]ng)|([\u00c5\u212b\ufffd]|\bA|[Aa]ngstroms?){INVERSE}")
PER_NANOMETRE = re.compile(rf"1/\s?nm|nm{INVERSE}")
FEWEST = 30  #: points that make a profile


def read_profile(path: Path) -> tuple[Array, Array, Array]:
    """The table in a file: q, intensity and its standard deviation, sorted by q.

    The table is the rows with the most common number of columns, whatever stands before and after it: a PDH file has
    five header lines, with other numbers of columns, and XML after its rows. Without a standard deviation the scatter
    of neighbouring points takes its place. ValueError where there is no profile.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    rows = [numbers(line) for line in lines]
    columns = max(Counter(len(row) for row in rows if len(row) > 1).items(), key=itemgetter(1), default=(2, 0))[0]
    table = np.array([row for row in rows if len(row) == columns]).reshape(-1, columns)[:, :3]
    table = table[np.isfinite(table[:, :2]).all(axis=1) & (table[:, 0] > 0)]
    table = table[np.unique(table[:, 0], return_index=True)[1]]
    if len(table) < FEWEST:
        raise ValueError(f"{path.name} has no table of q and intensity: {len(table)} rows of numbers are too few.")
    header = "\n".join(lines[: next(n for n, row in enumerate(rows) if len(row) == columns)])
    q = table[:, 0] * (10.0 if is_per_angstrom(header, table[-1, 0]) else 1.0)
    scatter = scatter_of(table[:, 1])
    sigma = table[:, 2] if columns > 2 else scatter
    return q, table[:, 1], np.where(np.isfinite(sigma) & (sigma > 0), sigma, scatter)


def numbers(line: str) -> list[float]:
    """The numbers in a line, or none if anything else is in it. Commas are decimal ones where something else parts."""
    decimal_comma = ";" in line or ("\t" in line and "." not in line)
    words = re.split(r"[\s;,]+", line.replace(",", ".") if decimal_comma else line)
    try:
        return [float(word) for word in words if word]
    except ValueError:
        return []


def is_per_angstrom(header: str, q_max: float) -> bool:
    """Whether q is in Å^-1: the header says so, or says nothing and q ends where SAXS in nm^-1 would only begin."""
    if PER_NANOMETRE.search(header):
        return False
    return bool(PER_ANGSTROM.search(header)) or q_max < 1.2


def scatter_of(intensity: Array) -> Array:
    """The noise of each point, from the second differences around it: their variance is 6 times that of a point.

    The median over 51 points, times 1.4826 for a Gaussian, does not see the few points of a peak (Rousseeuw & Croux,
    J. Am. Stat. Assoc. 88 (1993) 1273). It may not vanish where a masked detector or desmearing left a flat piece.
    """
    bends = np.abs(np.diff(intensity, 2, prepend=intensity[0], append=intensity[-1])) / np.sqrt(6)
    noise: Array = 1.4826 * median_filter(bends, 51, mode="nearest")
    return np.maximum(noise, max(0.3 * np.median(noise), np.finfo(float).tiny))


# --- the background --------------------------------------------------------------------------------------------------


def lit(q: Array, intensity: Array) -> slice:
    """The points from the edge of the beam stop to the edge of the detector; what is dark at both ends is not data."""
    dark = 0.3 * np.quantile(np.abs(intensity), 1 / 3)
    light = np.flatnonzero(median_filter(intensity, 5, mode="nearest") > dark)
    if not light.size:
        return slice(0)
    first, last = int(light[0]), int(light[-1])
    beam_stop = np.searchsorted(q, max(1.5 * q[first], q[first] + 0.15))
    return slice(first + int(np.argmax(intensity[first:beam_stop])), last + 1)


def background(q: Array, intensity: Array) -> Array:
    """What lies below the peaks: SNIP, which clips every point to what its neighbours at ±p predict, for falling p.

    Ryan et al., Nucl. Instrum. Methods B 34 (1988) 396, with the fourth-order filter of Morháč & Matoušek, Appl.
    Spectrosc. 62 (2008) 91, which follows broad humps. ±0.2 nm^-1 is wider than a Bragg peak and narrower than a hump.
    """
    if len(q) < FEWEST:
        return intensity
    level: Array = gaussian_filter1d(intensity, 1.5)
    reach = min(int(0.2 / np.median(np.diff(q))), (len(q) - 1) // 2)
    for p in range(reach, 0, -1):
        outer, half = level[: -2 * p] + level[2 * p :], p // 2
        inner = level[p - half : len(q) - p - half] + level[p + half : len(q) - p + half]
        predicted = np.maximum(outer / 2, (4 * inner - outer) / 6) if half else outer / 2
        level[p:-p] = np.minimum(level[p:-p], predicted)
    return level


# --- the peaks -------------------------------------------------------------------------------------------------------


def find_peaks(q: Array, net: Array, sigma: Array) -> Array:
    """The Bragg peaks, the most significant first: an array of rows (q, height, significance, width at half height).

    A profile smoothed to the width of a peak shows it best (the matched filter: Turin, IRE Trans. Inf. Theory 6 (1960)
    311), so each maximum counts at the smoothing at which it is most significant. What is wide in spite of that is a
    hump, and a point that stands alone is a hot pixel.
    """
    if len(q) < FEWEST:
        return np.empty((0, 4))
    step = float(np.median(np.diff(q)))
    noise = median_filter(sigma, 2 * int(0.25 / step) + 1, mode="nearest")  # that of the background: no peak is as wide
    kernels = np.geomspace(0.6, max(2 * WIDEST / FWHM / step, 2.0), 12)
    found = [
        (*peak, kernel) for kernel in kernels for peak in standing_out(net, noise, kernel, margin=int(0.05 / step))
    ]
    kept: list[tuple[float, ...]] = []
    for peak in sorted(found, reverse=True):
        if all(abs(peak[1] - other[1]) > 1.2 * FWHM * max(peak[-1], other[-1]) for other in kept):
            kept.append(peak)
    points = np.arange(len(q))
    rows = [
        (np.interp(at, points, q), height, significance, width * step)
        for significance, at, height, width, _ in kept
        if width * step < WIDEST and not stands_alone(net, round(at))
    ]
    return np.array(rows).reshape(-1, 4)


def stands_alone(net: Array, at: int) -> bool:
    """Whether a peak is one point: even one that is only 1.3 points wide at half height has neighbours of a fifth."""
    return bool(max(net[at - 1], net[at + 1]) < 0.1 * net[at])


def standing_out(net: Array, noise: Array, kernel: float, *, margin: int) -> list[tuple[float, float, float, float]]:
    """The maxima of the profile, smoothed by a Gaussian of `kernel` points, that rise above both of their flanks.

    The significance is the rise above the higher flank, in standard deviations of such a difference: smoothing divides
    the variance by 2 √π kernel. Where the profile scatters more than sigma says (the noise of neighbours is correlated,
    or sigma too small) its own scatter counts.

    Rows of significance, position (the top of a parabola), height, and width at half height without that of the kernel.
    """
    reach = max(2, round(1.5 * FWHM * kernel))
    margin = max(margin, reach, 4)
    if 2 * margin >= len(net):
        return []
    smooth = gaussian_filter1d(net, kernel, mode="nearest")
    left, top, right = smooth[: -2 * reach], smooth[reach:-reach], smooth[2 * reach :]
    error = noise[reach:-reach] / np.sqrt(np.sqrt(np.pi) * kernel)
    error *= max(1.0, 1.4826 * float(np.median(np.abs(top - (left + right) / 2) / error)) / np.sqrt(0.75))
    significance = np.pad((top - np.maximum(left, right)) / error, reach)
    tops = argrelmax(smooth)[0]
    tops = tops[(tops >= margin) & (tops < len(net) - margin) & (significance[tops] > FAINTEST)]
    before, at, after = smooth[tops - 1], smooth[tops], smooth[tops + 1]
    exact = tops + 0.5 * (after - before) / (2 * at - before - after)
    seen = peak_widths(smooth, tops, wlen=2 * reach + 1)[0]
    widths = np.sqrt(np.maximum(seen**2 - (FWHM * kernel) ** 2, 1.0))
    return list(zip(significance[tops].tolist(), exact.tolist(), at.tolist(), widths.tolist(), strict=True))


# --- the lattice -----------------------------------------------------------------------------------------------------


def identify_phase(peaks: Array) -> Answer:
    """The phase whose lattice explains the peaks best: each of the five clearest may be any of its first five."""
    answers = [
        fit_lattice(phase, q / np.sqrt(m), peaks)
        for phase, reflections in REFLECTIONS.items()
        for q in peaks[:5, 0]
        for m in list(reflections.values())[:5]
    ]
    best = max(answers, key=lambda answer: answer.score, default=Answer())
    return best if best.score > 0.15 else Answer()


def fit_lattice(phase: str, scale: float, peaks: Array) -> Answer:
    """How well a phase explains the peaks if its q are about `scale` √m; least squares make that exact.

    The score is the product of three parts, each 0 … 1: how much of all significance is explained (by its logarithm: a
    strong peak is not worth a hundred weak ones), how many of the reflections up to the last one are there (the nth
    counts 1/n²: high orders are often too weak to see), and how near they are to where they should be. The last one is
    whichever makes the score greatest. One peak alone may be the first of a stack of layers, but counts half.
    """
    labels, roots = list(REFLECTIONS[phase]), np.sqrt(list(REFLECTIONS[phase].values()))
    q, _, significance, width = peaks.T
    tolerance = np.sqrt((0.003 * q) ** 2 + (1.4 * width / FWHM / significance) ** 2 + 0.002**2)
    weight = np.log(significance / FAINTEST) + 0.1
    for _ in range(3):
        nearest = np.argmin(np.abs(q[:, None] - scale * roots), axis=1)
        hits = np.flatnonzero(np.abs(q - scale * roots[nearest]) < 2.5 * tolerance)
        found, strongest = np.unique(nearest[hits], return_index=True)
        used = hits[strongest]
        if not found.size or found[0] != 0:
            return Answer()
        root, precision = roots[found], tolerance[used] ** -2
        scale = float(np.sum(precision * q[used] * root) / np.sum(precision * root**2))
    deviation = (q[used] - scale * root) / tolerance[used]
    share = 1.0 / np.arange(1, len(roots) + 1) ** 2
    best = 0.0
    for n, last in enumerate(found, start=1):
        if significance[used[:n]].max() < (CLEAR if n > 1 else LONELY) or (n == 1 and phase != "lamellar"):
            continue
        complete = share[found[:n]].sum() / share[: last + 1].sum() if n > 1 else 0.5
        accurate = np.exp(-0.5 * np.mean(deviation[:n] ** 2)) if n > 1 else 1.0
        best = max(best, float(complete * accurate * weight[used[:n]].sum() / weight.sum()))
    named = {labels[order]: float(q[peak]) for order, peak in zip(found, used, strict=True)}
    return Answer(phase=phase, lattice=float(FIRST_ORDER[phase] / scale), score=best, peaks=named)


# --- a sample that does not exist ------------------------------------------------------------------------------------

#: Intensities of the first reflections, relative to the first: as usual for surfactants and lipids in water.
INTENSITIES = {
    "lamellar": [1.0, 0.1, 0.04],
    "hexagonal": [1.0, 0.1, 0.06, 0.02],
    "Ia3d": [1.0, 0.3, 0.03, 0.03, 0.04, 0.05],
    "Pn3m": [1.0, 0.6, 0.15, 0.15, 0.08, 0.06],
    "Im3m": [1.0, 0.5, 0.35, 0.08, 0.05, 0.05],
}


def simulate(
    phase: str, lattice: float, rng: np.random.Generator, *, width: float = 0.04
) -> tuple[Array, Array, Array]:
    """A profile (q, intensity, sigma) with counting noise; `none` is a liquid with a hump at the q of that distance.

    Gaussian peaks of this `width` at half height, on a flat background and a surface's q^-4 (Porod, Kolloid-Z. 124
    (1951) 83) that the beam stop cuts off.
    """
    q = np.arange(0.1, 7.0, 0.0066)
    intensity = 0.02 + 0.002 * q**-4
    if phase == "none":
        intensity += 0.5 * np.exp(-0.5 * ((q - 2 * np.pi / lattice) / 0.3) ** 2)
    else:
        at = FIRST_ORDER[phase] / lattice * np.sqrt(list(REFLECTIONS[phase].values()))
        for position, height in zip(at, INTENSITIES[phase], strict=False):
            intensity += 5 * height * np.exp(-0.5 * ((q - position) / (width / FWHM)) ** 2)
    intensity /= 1 + np.exp(-(q - 0.2) / 0.004)
    counts = rng.poisson(20_000 * intensity)
    return q, counts / 20_000, np.sqrt(np.maximum(counts, 1)) / 20_000


def simulate_folder(folder: Path) -> None:
    """A folder of twelve profiles, two of each phase."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, phase in enumerate([*REFLECTIONS, "none"]):
        for lattice in (5.0, 8.0):
            profile = np.column_stack(simulate(phase, lattice, np.random.default_rng(seed)))
            np.savetxt(folder / f"{phase}_{lattice:.0f}nm.dat", profile, fmt="%.6e", header="q (nm^-1)  I  sigma")


# --- the results -----------------------------------------------------------------------------------------------------


def write_table(results: list[dict[str, Any]], path: Path) -> None:
    """The phases as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", "phase", "lattice_nm", "score", "peaks"])
        for result in results:
            lattice = f"{result['lattice']:.3f}" if result["lattice"] else ""
            name = Path(result["path"]).name
            table.writerow([name, result["phase"], lattice, f"{result['score']:.2f}", in_words(result["peaks"])])


def in_words(peaks: dict[str, float]) -> str:
    """The peaks in a line, as `10@2.557 11@4.425`."""
    return " ".join(f"{reflection}@{q:.3f}" for reflection, q in peaks.items())


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """All profiles with their indexed peaks, two in a row."""
    rows = (len(results) + 1) // 2
    figure = Figure(figsize=(12, 1 + 2 * min(rows, 150)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(rows, 2, squeeze=False).flat)
    for axes in panels[len(results) :]:
        axes.remove()
    for axes, result in zip(panels, results, strict=False):
        q, intensity, _ = read_profile(Path(result["path"]))
        seen = lit(q, intensity)
        axes.semilogy(q[seen], np.where(intensity[seen] > 0, intensity[seen], np.nan), lw=0.7, color="0.3")
        for reflection, at in result["peaks"].items():
            axes.axvline(at, color="C3", lw=0.8, ls=":")
            axes.text(
                at, 0.98, reflection, transform=axes.get_xaxis_transform(), color="C3", size=7, va="top", rotation=90
            )
        lattice = f", {result['lattice']:.2f} nm, score {result['score']:.2f}" if result["peaks"] else ""
        axes.set_title(f"{Path(result['path']).name}: {result['phase']}{lattice}", size=9)
    figure.supxlabel("q (nm$^{-1}$)")
    figure.supylabel("intensity")
    figure.savefig(path, dpi=100)


# --- the workflow ----------------------------------------------------------------------------------------------------

parameters = Parameters(
    [
        Option("data", default="", help="folder of SAXS profiles; without one, some are simulated", type=str),
        Option("out", default=".", help="folder for phases.csv and phases.png", type=str),
    ]
)


def find_profiles(data, store, signal, context):
    """List the files that hold a profile. Paths are made absolute here: a later task may run in another folder."""
    out = Path(store.get("out")).expanduser().absolute()
    out.mkdir(parents=True, exist_ok=True)
    folder = Path(store.get("data")).expanduser().absolute() if store.get("data") else out / "simulated"
    if not store.get("data"):
        print(f"No data=FOLDER was given: simulating profiles in {folder}")
        simulate_folder(folder)
    profiles = []
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES):
        try:
            read_profile(path)
        except ValueError as error:
            print(f"Skipped: {error}")
        else:
            profiles.append(str(path))
    if not profiles:
        raise FileNotFoundError(f"No SAXS profile in {folder} (looked for {', '.join(sorted(SUFFIXES))}).")
    data["profiles"], data["out"] = profiles, str(out)


def identify(data, store, signal, context):
    """Start a dag for each profile, however many there are, and wait for all of them."""
    runs = [
        signal.start_dag(profile_dag, data=MultiTaskData(dataset=TaskData({"path": path}))) for path in data["profiles"]
    ]
    signal.join_dags(runs)


def report(data, store, signal, context):
    """Gather what the dags have pushed. By name: a dag that ran twice counts once."""
    results = sorted({result["path"]: result for result in store.get("results")}.values(), key=itemgetter("path"))
    out = Path(data["out"])
    write_table(results, out / "phases.csv")
    draw(results, out / "phases.png")
    print(f"{len(results)} profiles: {out / 'phases.csv'}, {out / 'phases.png'}")


def read(data, store, signal, context):
    """Read the profile and keep what lies between beam stop and edge of the detector."""
    q, intensity, sigma = read_profile(Path(data["path"]))
    seen = lit(q, intensity)
    data["q"], data["intensity"], data["sigma"] = q[seen], intensity[seen], sigma[seen]


def subtract(data, store, signal, context):
    """Subtract the background, which is known to 3 % at best: so much more uncertain is what stands on it."""
    level = background(data["q"], data["intensity"])
    data["net"] = data["intensity"] - level
    data["sigma"] = np.hypot(data["sigma"], 0.03 * level)


def find(data, store, signal, context):
    """Find the Bragg peaks."""
    data["peaks"] = find_peaks(data["q"], data["net"], data["sigma"])


def index(data, store, signal, context):
    """Index them, and tell the result to the task that writes the table."""
    answer = identify_phase(data["peaks"])
    store.push("results", {"path": data["path"], **asdict(answer)})
    lattice = f", {answer.lattice:.3f} nm, score {answer.score:.2f}: {in_words(answer.peaks)}" if answer.peaks else ""
    print(f"{Path(data['path']).name}: {answer.phase}{lattice}")


find_task = PythonTask(name="find_profiles", callback=find_profiles)
identify_task = PythonTask(name="identify", callback=identify)
report_task = PythonTask(name="report", callback=report)

main_dag = Dag("main")
main_dag.define({find_task: identify_task, identify_task: report_task})

read_task = PythonTask(name="read", callback=read)
subtract_task = PythonTask(name="subtract", callback=subtract)
peaks_task = PythonTask(name="find", callback=find)
index_task = PythonTask(name="index", callback=index)

profile_dag = Dag("profile", autostart=False)
profile_dag.define({read_task: subtract_task, subtract_task: peaks_task, peaks_task: index_task})
