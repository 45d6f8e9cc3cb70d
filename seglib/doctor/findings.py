"""What a diagnosis returns: a fault with its evidence, or a note that no fault was found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Finding:
    """A probable cause of poor results.

    Attributes:
        code: a short name for scripts and tests, such as "boxes-misread".
        cause: one sentence.
        evidence: the numbers that point to it.
        advice: what to do.
        certainty: 0…1; findings are sorted by it. A cause has a higher certainty than the
            symptoms that it explains.
    """

    code: str
    cause: str
    evidence: str
    advice: str
    certainty: float


@dataclass(frozen=True)
class Passed:
    """Something that was examined and has no fault, with its numbers."""

    text: str


@dataclass(frozen=True)
class Report:
    """The result of an examination.

    Attributes:
        subject: what was examined.
        findings: the most probable cause first.
        passed: what was examined without a finding.
    """

    subject: str
    findings: list[Finding] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The report as values that JSON can represent."""
        return asdict(self)
