"""What Keras, and the user's own loss as measured, say of the gradients."""

from numpy_impl.types import Array
from parity.checking.asking.subject import Subject
from parity.checking.bugs.findings import KERAS, OWN_LOSS, NotAsked, Notes, Witness
from parity.checking.explain import class_weights, keras_gradients, other_loss, own_loss, rows
from parity.checking.explain.agreement import Shares
from parity.checking.explain.assessment import Assessment
from parity.checking.explain.judge import Judgement
from parity.checking.model.layout import Key


def ask_keras(
    assessment: Assessment, shares: Shares, wanted: bool
) -> tuple[Witness, dict[Key, Array] | None]:
    """Return Keras as a witness, and its gradients.

    Args:
        assessment: Of the user's gradients.
        shares: Of the weights themselves that are meant to be in them.
        wanted: Whether Keras may be asked at all.
    """
    if not wanted:
        return Witness(KERAS, None, "keras=True asks it (some seconds)"), None
    if assessment.times is not None:  # a loss that is known by its values alone
        return Witness(KERAS, None, keras_gradients.NO_SUCH_LOSS), None
    kind = assessment.kind
    try:
        _, theirs = keras_gradients.ask(assessment.probes[0], kind)
    except NotAsked as reason:
        return Witness(KERAS, None, str(reason)), None
    agree, weights = rows.agreeing(assessment, theirs, shares), len(assessment.probes[0].weights)
    if not agree:
        return Witness(KERAS, None, "none of your gradients can be compared"), theirs
    compared = f"{len(agree)} of {weights} gradients compared ({kind.name})"
    said = "equal up to rounding" if all(agree) else f"{agree.count(False)} differ"
    return Witness(KERAS, all(agree), f"{compared}: {said}"), theirs


def own_loss_of(subject: Subject, assessment: Assessment, judgement: Judgement) -> Notes:
    """Return the derivative of the user's own loss as a witness, with what is to be said of it."""
    own = assessment.own
    if assessment.masked and callable(subject.candidate.loss) and subject.loss_repeats:
        comment = "your gradients drop units, and the loss does not drop the same"
        return Notes(witnesses=[Witness(OWN_LOSS, None, comment)])
    if own is None:
        stated = callable(subject.candidate.loss)
        comment = "the loss could not be called" if stated else "no loss function is given"
        if not subject.loss_repeats:
            comment = "the loss is another number at each call (dropout in it?)"
        return Notes(witnesses=[Witness(OWN_LOSS, None, comment)])
    if own.kind is None and not own_loss.tells(own, assessment.probes):
        comment = "the derivative of the loss could not be measured well enough"
        return Notes(witnesses=[Witness(OWN_LOSS, None, comment)])
    times = own_loss.follows(own, assessment.probes)
    agrees = times is not None
    what = own.kind.name if own.kind is not None else "a function unknown here"
    if own.kind is None and times not in (None, 1.0):
        what += f", of whose derivative your gradients are {times:.3g} times"
    notes = Notes(witnesses=[Witness(OWN_LOSS, agrees, f"{what}, measured by {own.method}")])
    if own.added_up:
        notes.remarks.append(
            f"Loss: yours returns numbers of shape {subject.loss_shape} where one was expected; "
            "their sum was taken, and what it is to be divided by is left open."
        )
    if own.kind is None and not agrees and not judgement.findings:
        weighted = class_weights.find(own, assessment.probes, assessment.kind)
        other = [weighted] if weighted else None
        notes.findings = other or other_loss.find(own, assessment.probes, judgement.loss)
        notes.remarks += [] if notes.findings else [
            f"Loss: your gradients are those of {judgement.loss}, and not the derivative of "
            "your own loss as measured. What is printed is not what is descended."
        ]  # fmt: skip
    return notes
