"""What a diagnosis returns: a fault with its evidence, or a statement that all is in order."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Finding:
    """A probable cause of bad figures.

    Attributes:
        code: a short name for scripts and tests, such as "boxes-misread".
        cause: one sentence.
        evidence: the numbers that point to it.
        advice: what to do.
        certainty: 0…1, by which findings are sorted. A cause that explains other symptoms has
            more than the symptoms that it explains.
    """

    code: str
    cause: str
    evidence: str
    advice: str
    certainty: float


@dataclass(frozen=True)
class InOrder:
    """Something that was examined and shows no fault, with its numbers."""

    text: str


@dataclass(frozen=True)
class Report:
    """The result of an examination.

    Attributes:
        subject: what was examined.
        findings: the most probable cause first.
        in_order: what was examined without a finding.
    """

    subject: str
    findings: list[Finding] = field(default_factory=list)
    in_order: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)
