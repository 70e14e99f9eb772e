"""What a film says and when: the one text of its screen, its captions and its transcript."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
OUT = ROOT / "docs" / "animations"

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Line:
    """One sentence, and the picture under it.

    Attributes:
        says: at the top of the screen, and as a caption.
        shows: the picture in words, with its numbers, for the transcript.
        seconds: that it stays.
    """

    says: str
    shows: str
    seconds: float


@dataclass(frozen=True)
class Script:
    """A film in words.

    Attributes:
        name: of its files, and of the command of `python -m repro.explain` that measures.
        title: of its transcript.
        lines: in their order; together as long as the film.
        labels: what the pictures write beside their drawings, with numbers, by a name.
        sources: the tables, relative to results/.
    """

    name: str
    title: str
    lines: tuple[Line, ...]
    labels: Mapping[str, str]
    sources: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Length of the film."""
        return sum(line.seconds for line in self.lines)

    @property
    def times(self) -> list[tuple[float, float]]:
        """Begin and end of each line, in seconds."""
        ends = list(itertools.accumulate(line.seconds for line in self.lines))
        return list(zip([0.0, *ends], ends, strict=False))

    @property
    def digest(self) -> str:
        """SHA-256 of what is on the screen, which a film carries: other words, another film."""
        lines = [(line.says, line.seconds) for line in self.lines]
        text = json.dumps([self.name, lines, dict(self.labels)], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def captions(self) -> str:
        """WebVTT."""
        cues = [
            f"{number}\n{_clock(start)} --> {_clock(end)}\n{line.says}\n"
            for number, (line, (start, end)) in enumerate(
                zip(self.lines, self.times, strict=True), start=1
            )
        ]
        return "\n".join([f"WEBVTT - {self.title}\n", *cues])

    def transcript(self) -> str:
        """Markdown: each sentence with its time, and the picture in words."""
        parts = [
            f"# {self.title}",
            f"Transcript of [{self.name}.mp4]({self.name}.mp4), {self.seconds:.0f} seconds, "
            f"without sound. [Captions]({self.name}.vtt). [All films](README.md).",
            f"![The end of the film]({self.name}.jpg)",
            *(
                f"**{int(start // 60)}:{int(start % 60):02d} {line.says}** {line.shows}"
                for line, (start, _) in zip(self.lines, self.times, strict=True)
            ),
            "Numbers: " + ", ".join(f"`results/{source}`" for source in self.sources) + ".",
        ]
        return "\n\n".join(parts) + "\n"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"00:{int(minutes):02d}:{rest:06.3f}"


def rounded(x: float, digits: int = 2) -> str:
    """To significant digits, without an exponent: 0.041547 is 0.042, and 19091.8 is 19,000."""
    if x == 0:
        return "0"
    for _ in range(2):  # rounding may carry: 0.0099998 is 0.010
        places = digits - 1 - math.floor(math.log10(abs(x)))
        x = round(x, places)
    return f"{x:,.{max(places, 0)}f}"


def scientific(x: float) -> str:
    """One digit and a power of ten: 1.03e-10 is 1·10⁻¹⁰."""
    digit, exponent = f"{x:.0e}".split("e")
    return f"{digit}·10{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def signed(text: str) -> str:
    """With minus signs for hyphens."""
    return text.replace("-", "−")


def percent(share: float) -> str:
    """A share as whole percent."""
    return f"{100 * share:.0f} %"
