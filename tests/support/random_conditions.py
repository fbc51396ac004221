"""Random conditions on data IDs that the Butler takes, which refuses more of them than registrytool does.

Left out is what differs on purpose: the begin and end of times that are not recorded, and joins of other dimensions.
They are not nested deeper, since the client writes each as ANDs of ORs, which can be millions for one that is.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

#: Names by what they hold, by dataset type; numbers of which ranges can be asked come first.
NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "raw": {
        "whole": ("detector", "exposure", "exposure.seq_num", "day_obs", "instrument.visit_system", "detector.id"),
        "real": ("exposure.exposure_time", "exposure.dark_time"),
        "text": ("band", "physical_filter", "exposure.observation_type", "target_name", "detector.purpose", "raw.run"),
        "truth": ("exposure.has_simulated", "can_see_sky"),
        "span": ("exposure.timespan", "day_obs.timespan"),
        "time": ("ingest_date", "raw.ingest_date"),
    },
    "calexp": {
        "whole": ("visit", "visit.seq_num", "detector", "visit.day_obs", "visit.id"),
        "real": ("visit.exposure_time", "zenith_angle"),
        "text": ("visit.name", "visit.physical_filter", "class_name", "band", "run"),
        "span": ("visit.timespan", "day_obs.timespan"),
        "time": ("calexp.ingest_date",),
    },
    "deepCoadd": {
        "whole": ("tract", "patch", "patch.cell_x", "skymap.tract_max", "patch.id"),
        "text": ("band", "skymap.name", "run", "deepCoadd.collection"),
        "time": ("ingest_date",),
    },
}
GOVERNORS = {"raw": "instrument", "calexp": "instrument", "deepCoadd": "skymap"}
COMPARISONS = ("=", "!=", "<", "<=", ">", ">=")


@dataclass(frozen=True)
class Conditions:
    """Draws conditions for one dataset type.

    Parameters
    ----------
    random : `random.Random`
        The generator.
    dataset_type : `str`
        The dataset type.
    values : `~collections.abc.Mapping` [`str`, `~collections.abc.Sequence`]
        Values that occur, by kind; times are TAI nanoseconds.
    """

    random: Random
    dataset_type: str
    values: Mapping[str, Sequence[Any]]

    def draw(self, governor: str) -> str:
        """Return a condition on the data IDs of an instrument or sky map, without which the Butler takes none."""
        return f"{GOVERNORS[self.dataset_type]} = '{governor}' AND ({self._condition(2)})"

    def _condition(self, depth: int) -> str:
        random = self.random
        match random.randrange(5) if depth else 0:
            case 1:
                return f"{random.choice(('NOT', 'not'))} ({self._condition(depth - 1)})"
            case 2:
                return f"({self._condition(depth - 1)})"
            case 3 | 4:
                word = random.choice(("AND", "OR", "or"))
                return f"{self._condition(depth - 1)} {word} {self._condition(depth - 1)}"
        kind = random.choice(sorted(NAMES[self.dataset_type]))
        return str(getattr(self, f"_{kind}")(random.choice(NAMES[self.dataset_type][kind])))

    def _value(self, kind: str) -> Any:
        return self.random.choice(self.values[kind])

    def _compared(self, name: str, value: str) -> str:
        sign = self.random.choice(COMPARISONS)
        return self.random.choice(
            (f"{name} {sign} {value}", f"{value}{sign}{name}", f"{name} = NULL", f"NULL != {name}")
        )

    def _listed(self, name: str, items: Sequence[str]) -> str:
        return f"{name} {self.random.choice(('IN', 'in', 'NOT IN'))} ({', '.join(items)})"

    def _whole(self, name: str) -> str:
        first, second = self._value("whole"), self._value("whole")
        stride = self.random.choice(("", ":2", " : 3"))
        return self.random.choice((
            self._compared(name, str(first)),
            self._compared(f"{name} * 2 - {second % 7}", str(first)),
            self._compared(f"{name} / 4", str(second / 2)),
            self._compared(f"-{name} % 3", str(second % 5 - 2)),
            self._listed(name, [f"{first - 2}..{first + 9}{stride}", str(second), f"+{second}", "NULL"]),
        ))  # fmt: skip

    def _real(self, name: str) -> str:
        return self._compared(name, repr(self._value("real")))

    def _text(self, name: str) -> str:
        first, second = self._value("text"), self._value("text")
        cut = self.random.randint(0, len(first))
        pattern = first[:cut] + self.random.choice(("*", "?", "**", "[", "%", "_")) + first[cut + 1 :]
        return self.random.choice(
            (
                self._compared(name, f"'{first}'"),
                self._listed(name, [f"'{first}'", f"'{second}'"]),
                f"GLOB({name}, '{pattern}')",
            )
        )

    def _truth(self, name: str) -> str:
        return self.random.choice((name, f"NOT {name}", f"{name} = NULL"))

    def _time(self, name: str) -> str:
        return self._compared(name, self._moment())

    def _span(self, name: str) -> str:
        other = self.random.choice(
            (self._moment(), f"({self._moment()}, {self._moment()})", f"(NULL, {self._moment()})")
        )
        return self.random.choice((f"{name} OVERLAPS {other}", f"{other} overlaps {name}", f"{name} != NULL"))

    def _moment(self) -> str:
        """Return a time near one that occurs, in one of its forms."""
        # As far away as the scales are from each other, or less.
        tai_ns = self._value("time") + self.random.choice((0, 1_000, 18 * 10**9, -18 * 10**9, -30 * 10**9))
        date = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=tai_ns // 1000)  # noqa: DTZ001 (of any scale)
        days = tai_ns / 86_400e9
        forms = [f"{date}", f"{date}".replace(" ", "T"), f"{date:%Y-%m-%d}", f"{date:%Y:%j:%H:%M:%S}", f"iso/{date}"]
        forms += [f"+0{date:%Y-%m-%dT%H:%M:%S}", f"{days + 40587:.5f}", f"jd/{days + 2440587.5:.5f}"]
        form = self.random.choice(forms)
        return f"T'{form}{self.random.choice(('', '', '', '/tai', '/utc', '/tt'))}'"
