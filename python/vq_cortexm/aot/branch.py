"""What the templates of the library need of a program's branch."""

from __future__ import annotations

from typing import Any

from .program import Branch, Program

CONDITION, THRESHOLDS = "escalated", "thresholds"
"""Static variables of the executor."""

_CONFIDENCES = {
    "margin": "the largest logit less the second largest, in steps of their scale, 0 to 255",
    "maximum": "the largest logit, as the integer that it is",
    "entropy": "less the entropy of the softmax, in 1/1024 bit, -8192 to 0",
}


def state_symbols(program: Program) -> dict[str, str]:
    """Storage of a state → the C expression that points to it."""
    branch = program.branch
    return (
        {}
        if branch is None
        else {branch.condition: f"&{CONDITION}", branch.thresholds.name: THRESHOLDS}
    )


def describe_branch(branch: Branch | None) -> dict[str, Any] | None:
    """Which steps are in it, the thresholds, and in words what they are compared with."""
    if branch is None:
        return None
    return {
        "first": branch.first,
        "end": branch.end,
        "thresholds": [int(n) for n in branch.thresholds.value],
        "confidence": _CONFIDENCES[branch.confidence],
    }
