"""Measure how fast raw files are ingested; see ``scripts/benchmark``."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from registrytool.instruments.headers import read_headers
from tests.support import raws

PROGRAM = [sys.executable, "-c", "from registrytool.cli import main; main()"]
#: How many files of an exposure there are, and how many headers the CPU time is measured with.
DETECTORS, SAMPLE = 100, 500
#: How many files per minute are claimed, on two cores.
CLAIM = 10_000


@dataclass(frozen=True)
class Ingest:
    """How long it took to ingest files."""

    files: int
    seconds: float
    header_cpu_ms: float

    @property
    def per_minute(self) -> float:
        """Files in a minute, from the start of the program to its end."""
        return self.files / self.seconds * 60

    @property
    def kept(self) -> bool:
        """Whether the claim holds."""
        return self.per_minute >= CLAIM

    def line(self) -> str:
        """Return it for people."""
        return (
            f"sqlite, {self.files:,} raw files of HSC: {self.seconds:.1f} s, {self.per_minute:,.0f} per minute; "
            f"{self.header_cpu_ms:.2f} ms of CPU for each header   claim >= {CLAIM:,} per minute "
            f"{'kept' if self.kept else 'BROKEN'}"
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain values."""
        return {**asdict(self), "per_minute": self.per_minute, "kept": self.kept}


def make_files(folder: Path, number: int) -> list[str]:
    """Write small files of HSC: copies of one, with other numbers."""
    content = raws.hsc(folder / "model", 0, 0).read_bytes()
    (folder / "model").unlink()
    result = []
    for i in range(number):
        exposure, detector = 2 * (i // DETECTORS) + 2, i % DETECTORS
        cards = (
            ("EXP-ID", f"'HSCE{0:08d}'", f"'HSCE{exposure:08d}'"),
            ("FRAMEID", f"'HSCA{0:06d}{0:02d}'", f"'HSCA{exposure:06d}{detector:02d}'"),
            ("DET-ID", f"{0:>20d}", f"{detector:>20d}"),
            ("T_CCDSN", f"'{0:03d}     '", f"'{detector:03d}     '"),
        )
        mine = content
        for name, old, new in cards:
            card = f"{name:<8}= {old}".encode()
            mine = mine.replace(card, f"{name:<8}= {new}".encode())
        path = folder / f"HSCA{i:08d}.fits"
        path.write_bytes(mine)
        result.append(str(path))
    return result


def run(*words: str) -> str:
    """Run a command and return what it prints."""
    done = subprocess.run([*PROGRAM, "--quiet", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"{' '.join(words)} ended with {done.returncode}: {done.stderr}"
        raise SystemExit(message)
    return done.stdout


def measure_ingest(number: int) -> Ingest:
    """Ingest files into a new repository, with one process for each core."""
    with tempfile.TemporaryDirectory(prefix="registrytool-benchmark-") as folder:
        files = make_files(Path(folder), number)
        sample = files[:SAMPLE]
        list(read_headers(sample[:20], processes=1))  # imports what is needed
        begun = time.process_time()
        list(read_headers(sample, processes=1))
        cpu_ms = (time.process_time() - begun) / len(sample) * 1000
        repository = str(Path(folder) / "repo")
        run("create", repository)
        run("instrument", "register", repository, "HSC")
        start = time.perf_counter()
        report = json.loads(run("--format", "json", "raw", "ingest", repository, folder, "--transfer", "hardlink"))
        seconds = time.perf_counter() - start
    if report["datasets"] != number:
        message = f"{report['datasets']} of {number} files were ingested: {report['bad'][:3]}"
        raise SystemExit(message)
    return Ingest(number, seconds, cpu_ms)
