"""What the doctor found, and how it says so."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill

_WIDTH = 100


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    found: str
    """In a few words."""
    fix: str = ""
    """What to do; empty where all is well."""

    @property
    def sound(self) -> bool:
        """Whether all is well."""
        return not self.fix


def report(findings: Sequence[Finding]) -> str:
    """A table of what was looked at, and under it how to fix what is wrong."""
    rows = [[f"{'ok   ' if each.sound else 'WRONG'}  {each.what}", each.found] for each in findings]
    width = max(len(row[0]) for row in rows)
    table = "\n".join(f"{what.ljust(width)}  {found}" for what, found in rows)
    wrong = [each for each in findings if not each.sound]
    if not wrong:
        return f"{table}\n\nThis home is sound."
    fixes = "\n".join(f"{each.what}: {each.found}\n{_indented(each.fix)}" for each in wrong)
    return f"{table}\n\n{len(wrong)} of {len(findings)} wrong\n\n{fixes}"


def _indented(text: str) -> str:
    """Paths and commands stay whole, to be copied."""
    margin = " " * 4
    return fill(
        text,
        _WIDTH,
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )
