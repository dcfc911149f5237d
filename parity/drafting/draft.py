"""Putting a Candidate together from what was found in a module."""

from dataclasses import dataclass

from parity.drafting import layers, parts, roles
from parity.drafting.calls import DraftPart
from parity.drafting.making import Maker
from parity.drafting.subjects import DraftSubject, subjects
from parity.drafting.survey import Survey


@dataclass
class Draft:
    """A Candidate in the making.

    Attributes:
        subject: What is checked.
        parts: Its functions, by the names of Candidate's arguments.
    """

    subject: DraftSubject
    parts: dict[str, DraftPart]

    @property
    def checks(self) -> list[str]:
        """What a person should look at, each once."""
        own = [check for part in self.parts.values() for check in part.checks]
        return list(dict.fromkeys([*self.subject.checks, *own]))

    @property
    def complete(self) -> bool:
        """Whether a Candidate can be made of it."""
        return "forward" in self.parts and bool({"gradients", "step"} & set(self.parts))


def draft(survey: Survey, alias: str) -> Draft | None:
    """Return the best Candidate that can be drafted from a module; None if there is none.

    Args:
        survey: What stands in the module.
        alias: What the adapter calls it.
    """
    maker = Maker(survey, alias)
    drafts = [_draft(subject, maker) for subject in subjects(survey, maker)]
    complete = [d for d in drafts if d.complete]
    return min(complete, key=lambda d: len(d.checks), default=None)


def _draft(subject: DraftSubject, maker: Maker) -> Draft:
    found = {
        "forward": parts.forward(subject, maker),
        "gradients": parts.gradient(subject, maker),
        "step": parts.step(subject, maker),
        "loss": parts.loss(subject, maker),
    }
    if subject.layers:
        _through_layers(subject, maker, found)
    step = found["step"]
    # With gradients at hand, a step that is not certain would only raise doubts.
    if found["gradients"] and step and (step.checks or _is_whole(step)):
        found["step"] = None
    return Draft(subject, {name: part for name, part in found.items() if part is not None})


def _is_whole(part: DraftPart) -> bool:
    return part.uses.lower() in roles.WHOLE_TRAININGS


def _through_layers(
    subject: DraftSubject, maker: Maker, found: dict[str, DraftPart | None]
) -> None:
    """Go through the layers one by one where the module has no function for it."""
    if found["forward"] is None:
        found["forward"] = layers.forward(subject)
    step = found["step"]
    if found["gradients"] or (step and not step.checks and not _is_whole(step)):
        return
    if (own := layers.backward(subject, maker)) is not None:
        found["step"] = None
        found[own[0]] = own[1]
