"""From an explanation to findings and remarks, in the user's own terms."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from numpy_impl.types import Array
from parity.checking.bugs.deltas import DELTA_LEFT_OUT, DROPOUT_MASK_MISSING, DROPOUT_MASK_REDRAWN
from parity.checking.bugs.factors import (
    DROPOUT_SCALE_MISSING,
    DROPOUT_SCALE_TWICE,
    FACTOR,
    IN_LOOP,
    OF_BATCH,
    OVER_INPUTS,
    SIGN,
    TIMES_2,
    name,
    same,
)
from parity.checking.bugs.findings import Finding
from parity.checking.bugs.outputs import SAMPLE_LEFT_OUT, SAMPLE_TWICE
from parity.checking.bugs.parts import among
from parity.checking.bugs.table import (
    OTHER_LOSS,
    PENALTY_ADDED,
    PENALTY_FORM,
    PENALTY_UNKNOWN,
    UNKNOWN,
    UNKNOWN_LOSS,
    UNKNOWN_TENSOR,
    VANISHING,
    Bug,
    Values,
)
from parity.checking.bugs.tensors import (
    BIAS_CONSTANT,
    BIAS_OF_KERNEL,
    BIAS_OF_OTHER_LAYER,
    KERNEL_ONE_NUMBER,
)
from parity.checking.bugs.variant import Variant
from parity.checking.explain.agreement import Shares, scaled_bound
from parity.checking.explain.assessment import Assessment
from parity.checking.explain.dropout import scale_finding
from parity.checking.explain.explainer import Deviation
from parity.checking.explain.fit import MEANT, LayerFit
from parity.checking.explain.own_loss import OwnLoss
from parity.checking.explain.scaling import difference
from parity.checking.explain.weight_decay import Decays, rounded
from parity.checking.model.layout import Key
from parity.checking.model.losses import SQUARED, Declared, LossKind, reductions

# What stands in a bias's place with a size of its own, which is no factor besides.
_OF_OWN_SIZE = BIAS_CONSTANT, BIAS_OF_KERNEL, BIAS_OF_OTHER_LAYER
# How exactly a factor is measured on another batch: far above rounding, far below 1/m^2.
_MEASURED = 1e-4


@dataclass
class Judgement:
    """What is wrong, and what is only worth knowing.

    Attributes:
        findings: What is wrong, from the output down.
        remarks: What is not.
        loss: What the gradients are the gradients of, in words.
        unknown_loss: Whether nothing explains the output layer's gradients: the loss may be one
            that is not known here.
        shares: Of the weights themselves in their gradients, as it is meant.
    """

    findings: list[Finding] = field(default_factory=list[Finding])
    remarks: list[str] = field(default_factory=list[str])
    loss: str = ""
    unknown_loss: bool = False
    shares: Shares = field(default_factory=Shares)


class Judge:
    """Turns one assessment into words.

    Args:
        names: The user's name of the array that holds each tensor.
        declared: The loss that was named; None if none was.
        own: The user's own loss as measured; None if there is none.
        decays: Judges the weights' own share.
        loss_known: Whether gradients of a loss unknown here are wrong for certain.
        elsewhere: Measures the gradients' one factor on a batch of another size, which it returns
            with it; None where that cannot be done.
    """

    def __init__(
        self,
        assessment: Assessment,
        names: Mapping[Key, str],
        declared: Declared | None,
        own: OwnLoss | None,
        decays: Decays,
        loss_known: bool,
        elsewhere: Callable[[], tuple[int, float] | None],
    ) -> None:
        self.assessment = assessment
        self.explanation = assessment.analysis.explanation
        self.scale = assessment.analysis.scale
        self.observed = assessment.analysis.explainer.observed
        self.names = names
        self.declared = declared
        self.loss_known = loss_known
        self.elsewhere = elsewhere
        self.own = own if own is not None and own.kind is not None else None
        self.decays = decays
        probe = assessment.probes[0]
        self.batch, self.outputs = probe.y.shape
        self.plan = probe.plan
        self.result = Judgement()
        self.unexplained = False

    def judge(self) -> Judgement:
        """Return findings and remarks."""
        result, assessment = self.result, self.assessment
        top = self.explanation.layers[0]
        result.unknown_loss = bool(top.tensors) and not any(top.tensors.values())
        result.findings += assessment.misfits
        scaled = scale_finding(assessment.probes) if assessment.masked else None
        result.findings += [scaled] if scaled is not None else []
        if assessment.flaws and assessment.vanishes:
            softmax = self.plan.activations[-1].name == "softmax"
            how = "; softmax's Jacobian is summed instead of multiplied by the gradient, it seems"
            values = {"how": how if softmax else ""}
            evidence = "none exceeds what rounding leaves of terms that cancel"
            result.findings.append(Finding(VANISHING, "all gradients", values, evidence))
            result.unknown_loss = False
            return result
        divisor = self._wrong_divisor()
        looped = self._in_loop()
        result.findings += [looped] if looped is not None else []
        # As backpropagation meets them: each layer's deltas, tensors and factors, from the output.
        for fit in self.explanation.layers:
            self._layer(fit)
            for deviation in self.scale.deviations if divisor is None else ():
                if deviation.layer == fit.layer and (looped is None or deviation.part != "bias"):
                    self._deviation(deviation)
        if divisor is None:
            self._base()
        else:
            result.loss = self.explanation.kind.name
            result.findings.append(divisor)
        self._doubtful()
        self._penalties()
        findings, remarks = self.decays.judge()
        result.shares = self.decays.shares
        result.findings += findings
        result.remarks += remarks
        return result

    def _layer(self, fit: LayerFit) -> None:
        last = fit.layer == self.plan.depth - 1
        place = f"layer {fit.layer + 1}'s delta" + (", at the output" if last else "")
        for variant in fit.deltas:
            if variant.bug is not None and fit.matched:
                self.result.findings.append(self._of_delta(fit, variant, place))
        off = {key: match for key, match in fit.tensors.items() if match is None}
        for key in [key for key in off if self.observed.data[key].one_number]:
            where = f"layer {key.layer + 1} kernel ({self.names[key]})"
            evidence = "no loss has such a gradient: each element has its own input as a factor"
            self.result.findings.append(Finding(KERNEL_ONE_NUMBER, where, evidence=evidence))
            del off[key]
        if off and len(off) == len(fit.tensors):
            # Below a delta that nothing explains all are off, whether right in themselves or not.
            if not self.unexplained:
                self.result.findings.append(self._unknown(fit, place))
            self.unexplained = True
            return
        for key, match in fit.tensors.items():
            where = f"layer {key.layer + 1} {key.part} ({self.names[key]})"
            if key in off and fit.matched:
                self.result.findings.append(self._unknown_tensor(fit, key, where))
            elif match is not None and match.variant.bug is not None:
                evidence = "with it the tensor agrees up to rounding" if match.ratio else ""
                finding = Finding(match.variant.bug, where, match.variant.values, evidence)
                self.result.findings.append(finding)

    def _of_delta(self, fit: LayerFit, variant: Variant[...], place: str) -> Finding:
        assert variant.bug is not None
        evidence = "with it " + self._fitted(fit) + " agree up to rounding"
        if fit.alone:
            place = f"layer {fit.layer + 1}'s own gradients alone"
            evidence += "; what this layer hands down is right"
            if fit.layer == self.plan.depth - 1 and not self.loss_known:
                kind = self.assessment.kind
                evidence += f" (for the {kind.name}; no loss is given)"
        return Finding(variant.bug, place, variant.values, evidence)

    def _fitted(self, fit: LayerFit) -> str:
        parts = dict.fromkeys(self.names[key] for key, m in fit.tensors.items() if m is not None)
        return "the gradients of " + " and ".join(parts)

    def _unknown(self, fit: LayerFit, place: str) -> Finding:
        kind = self.assessment.kind.name
        rest = "; the layers below depend on it and are not judged" if fit.layer else ""
        if fit.layer < self.plan.depth - 1:
            above = f"layer {fit.layer + 2}"
            what = (
                f"the gradients of {above} are explained, and from its delta nothing known here "
                "leads to this layer's gradients: what is propagated may be wrong, or what this "
                "layer makes of it"
            )
            return Finding(UNKNOWN, place, evidence=what + rest)
        what = f"best candidate: {kind}"
        # Of a loss that is not known here the delta may be right.
        if self.result.unknown_loss and not self.loss_known:
            return Finding(UNKNOWN_LOSS, place, evidence=what + rest)
        return Finding(UNKNOWN, place, evidence=f"it is not the gradient of the {kind}{rest}")

    def _unknown_tensor(self, fit: LayerFit, key: Key, where: str) -> Finding:
        other = " and ".join(k.part for k, m in fit.tensors.items() if m is not None)
        evidence = f"the layer's {other} gradient agrees, so its delta is right; "
        evidence += self._off(fit, key)
        if key in self.assessment.penalised:
            return Finding(PENALTY_UNKNOWN, where, evidence=evidence)
        return Finding(UNKNOWN_TENSOR, where, {"part": key.part}, evidence)

    def _off(self, fit: LayerFit, key: Key) -> str:
        """Say how many elements of a tensor are off, and the worst."""
        data, scene = self.observed.data[key], self.observed.bounded[0]
        delta = fit.make(scene)
        assert delta is not None
        right = delta.sum(axis=0) if key.part == "bias" else scene.fwd.inputs[key.layer].T @ delta
        base = self.assessment.factor or 1.0
        error = np.abs(data.observed[0] - base * right.value)
        off = error > scaled_bound(right, base) + data.noise[0]
        worst = np.unravel_index(np.argmax(error), error.shape)
        return (
            f"{np.count_nonzero(off)} of {off.size} elements are off, the worst at "
            f"{[int(i) for i in worst]} (inputs, units): {data.observed[0][worst]:.10g} instead of "
            f"{base * right.value[worst]:.10g}{_where(off)}"
        )

    def _deviation(self, deviation: Deviation) -> None:
        layer, part = deviation.layer, deviation.part
        key = None if part == "gradients" or part == "delta" else Key(layer, part)
        match = self.explanation.tensors.get(key) if key is not None else None
        if match is not None and match.variant.bug in _OF_OWN_SIZE:
            return
        bug, values = name(
            deviation.factor, deviation.uncertainty, self.batch, self.outputs,
            self.plan.dropout[layer] if part != "bias" else 0.0,
        )  # fmt: skip
        deltas = {variant.bug for variant in self.explanation.fit(layer).deltas}
        if DELTA_LEFT_OUT in deltas:
            return  # and with it whatever scale it had
        scaled = bug in (DROPOUT_SCALE_MISSING, DROPOUT_SCALE_TWICE)
        if scaled and deltas & {DROPOUT_MASK_MISSING, DROPOUT_MASK_REDRAWN}:
            return  # the mask that is missing or another one takes its scale with it, or not
        where = {
            "gradients": f"layer {layer + 1}, kernel and bias",
            "delta": f"layer {layer + 1}'s delta, and all below it",
        }.get(part, f"layer {layer + 1} {part}")
        if key is not None:
            where += f" ({self.names[key]})"
        evidence = (
            f"the other gradients share one factor; here it is {deviation.factor:.7g} times that"
        )
        if any(d.part == "delta" and d.layer > layer for d in self.scale.deviations):
            evidence = f"of the factor that flows in from above it is {deviation.factor:.7g} times"
        what = {"delta": "delta", "gradients": "gradients"}.get(part, f"{part} gradient")
        self.result.findings.append(Finding(bug, where, {"what": what, **values}, evidence))

    def _base(self) -> None:
        """Say what the one factor of all gradients means."""
        scale, kind = self.scale, self.assessment.kind
        if not scale.base:
            return
        usual = reductions(kind, self.batch, self.outputs)
        words = next((w for f, w in usual if same(scale.base, f, scale.uncertainty)), "")
        self.result.loss = words or f"{kind.name}, times {scale.base:.7g}"
        if self.declared is not None:
            target = self.declared.factor(self.batch, self.outputs)
            if self.declared.kind is not kind:
                self._other_loss(self.declared.kind)
            else:
                self._against(target, f"the loss {self.declared.name}")
        elif self.own is not None and not (self.own.added_up and self.own.kind is kind):
            if self.own.kind is not kind:
                assert self.own.kind is not None
                self._other_loss(self.own.kind)
            else:
                self._against(self.own.factor, "your own loss", self.own)
        elif self.decays.apart is not None:
            self._against(self.decays.apart.factor, "your own loss")
        elif not words:
            self._undeclared(usual[0][0])

    def _in_loop(self) -> Finding | None:
        """Return that each bias has as a factor the number of its layer's inputs, or of its units.

        It is updated inside of the loop over these.
        """
        found = {d.layer: d for d in self.scale.deviations if d.part == "bias"}
        biased = {key.layer for key in self.explanation.tensors if key.part == "bias"}
        if set(found) != biased or len(found) < 2:
            return None
        sizes = self.plan.sizes
        for units, counts in (("inputs", sizes[:-1]), ("units", sizes[1:])):
            if all(same(d.factor, counts[n], d.uncertainty) for n, d in found.items()):
                said = ", ".join(f"{counts[n]} (layer {n + 1})" for n in sorted(found))
                values = {"what": "bias gradient", "units": units, "count": said}
                names = [self.names[Key(n, "bias")] for n in sorted(found)]
                return Finding(IN_LOOP, f"every layer's bias ({', '.join(names)})", values)
        return None

    def _wrong_divisor(self) -> Finding | None:
        """Return that gradients are divided by a number of units that stands for the batch size.

        By another one in each layer, or, where the loss is known, by the network's inputs.
        """
        explanation, sizes = self.explanation, self.plan.sizes
        kind, known = explanation.kind, self.declared is not None or self.own is not None
        usual = [factor for factor, _ in reductions(kind, self.batch, self.outputs)]
        base = self.assessment.factor
        if any(fit.cost or not fit.matched for fit in explanation.layers):
            return None
        matches = [(key.layer, m) for fit in explanation.layers for key, m in fit.matched.items()]
        if any(same(base, factor, self.scale.uncertainty) for factor in usual) and all(
            same(m.ratio, base, m.uncertainty) for _, m in matches
        ):
            return None
        every = {"inputs of its layer": sizes[:-1], "units of its layer": sizes[1:]}
        every = {units: counts for units, counts in every.items() if len(set(counts)) > 1}
        every |= {"inputs": (sizes[0],) * self.plan.depth} if known else {}
        for units, counts in every.items():
            for whole in (1.0, 2.0) if kind is SQUARED else (1.0,):
                if all(same(m.ratio, whole / counts[n], m.uncertainty) for n, m in matches):
                    said = ", ".join(map(str, dict.fromkeys(counts)))
                    in_rows = self.assessment.form.samples == "rows"
                    values = {
                        "what": "all gradients", "units": units, "count": said,
                        "samples": "len(x)" if in_rows else "x.shape[1]",
                    }  # fmt: skip
                    evidence = f"with it they are those of the {kind.name}, whatever the batch size"
                    return Finding(OVER_INPUTS, "all gradients", values, evidence)
        return None

    def _doubtful(self) -> None:
        """Remark a pair of output and loss that is right, and seldom what is meant."""
        last = self.plan.activations[-1].name
        known = self.declared is not None or self.own is not None
        if known or last != "softmax" or self.assessment.kind is not SQUARED:
            return
        self.result.remarks.append(
            "Loss: your gradients are those of the squared error of a softmax, and as such they "
            "are right. If your loss is the cross-entropy, give it "
            '(loss="categorical_crossentropy"), and they are checked against that.'
        )

    def _penalties(self) -> None:
        """Say what of functions of the weights the kernels' gradients have."""
        found: dict[tuple[str, str], list[str]] = {}
        for key, match in self.explanation.tensors.items():
            if match is not None and match.penalty:
                amount = f"{rounded(match.share, match.share_uncertainty):.6g}"
                if match.decay:  # an elastic net
                    decay = rounded(match.decay, match.decay_uncertainty)
                    amount = f"{decay:.6g} times W and {amount}"
                found.setdefault((match.penalty, amount), []).append(self.names[key])
        for (form, amount), names in found.items():
            where = f"kernel gradients ({', '.join(names)})"
            if form not in MEANT:
                values = {"amount": amount, "form": form}
                self.result.findings.append(Finding(PENALTY_FORM, where, values))
            elif self.own is not None or self.decays.given is not None:
                stated = "your loss" if self.own is not None else "what is declared"
                values = {"amount": amount, "form": form, "stated": stated}
                self.result.findings.append(Finding(PENALTY_ADDED, where, values))
            elif not self.decays.follows:
                self.result.remarks.append(
                    f"Penalty: the gradients have {amount} times {form} added "
                    f"({', '.join(names)}); it is not known from a loss of yours whether that is "
                    "meant."
                )

    def _undeclared(self, nearest: float) -> None:
        """Without a declared loss one factor is a scale, unless it shows the batch or a sign."""
        scale = self.scale
        bugs = {v.bug for fit in self.explanation.layers for v in fit.deltas}
        kind = self.assessment.kind
        # Divided by as many samples as were really added up.
        for bug, counted in ((SAMPLE_LEFT_OUT, self.batch - 1), (SAMPLE_TWICE, self.batch + 1)):
            for f, words in reductions(kind, counted, self.outputs) if bug in bugs else []:
                if same(scale.base, f, scale.uncertainty):
                    self.result.loss = words
                    return
        for n, (factor, _) in enumerate(reductions(kind, self.batch, self.outputs)):
            ratio, spread = scale.base / factor, scale.uncertainty / abs(factor)
            bug, values = name(ratio, spread, self.batch, 0)
            if bug is SIGN or (bug in OF_BATCH and self._holds_elsewhere(bug, n)):
                self._whole(bug, values, "a usual reduction of the loss")
                return
        if scale.base < 0:
            values = {"sign": "sign turned, and a factor", "besides": "", "note": ""}
            self._whole(SIGN, values, "any loss")
            return
        self.result.remarks.append(
            f"Scale: all gradients share the factor {scale.base / nearest:.7g} on those of the "
            f"loss ({self.assessment.kind.name}). That is a reduction or a weight of "
            "the loss that is not declared, and acts like a learning rate; it is no bug."
        )

    def _holds_elsewhere(self, bug: Bug, reduction: int) -> bool:
        """Return whether a factor with the batch size in it has it on a batch of another size too.

        A factor that does not know of the batch, such as 0.1, may be 1/(m - 1) of one m.
        """
        measured = self.elsewhere()
        if measured is None:
            return True
        batch, base = measured
        kind = self.assessment.kind
        factor, _ = reductions(kind, batch, self.outputs)[reduction]
        return name(base / factor, _MEASURED, batch, 0)[0] is bug

    def _whole(self, bug: Bug, values: Values, than: str) -> None:
        base = self.assessment.factor
        evidence = f"cosine 1 everywhere; one factor, {base:.7g} on the summed loss, unlike {than}"
        values = {**values, "what": "all gradients"}
        if self.decays.apart is not None:
            values["what"] = "what comes of the data in all gradients"
            evidence += "; the weights' own share in them, the penalty, is that of your loss"
        if bug is SIGN:
            values["note"] = ": the update goes uphill (wrong sign of the update)"
        self.result.findings.append(Finding(bug, "all gradients", values, evidence))

    def _against(self, target: float, what: str, own: OwnLoss | None = None) -> None:
        """Compare the one factor with that of a loss that is known."""
        scale, kind = self.scale, self.assessment.kind
        apart = self.decays.apart
        known = own if own is not None else apart
        spread = scale.uncertainty + (known.uncertainty if known is not None else 0.0)
        # The constant may have been written into an array of float32.
        spread += float(np.finfo(np.float32).eps) * abs(target)
        meant = target, own.batch if own is not None else self.batch
        if meant[1] == self.batch and same(scale.base, target, spread):
            return
        ratio, found = scale.base / target, (scale.base, self.batch)
        parts = difference(kind, self.outputs, found, meant, spread)
        usual = [f for f, _ in reductions(kind, self.batch, self.outputs)]
        if parts is None and any(same(scale.base, f, scale.uncertainty) for f in usual):
            parts = f"{ratio:.6g}"
        # Beside a share of the weights that is the loss's own, no factor is a learning rate.
        parts = parts if apart is None else None
        if parts:
            self.result.remarks.append(
                f"Scale: your gradients are those of {self.result.loss}, and those of {what} but "
                f"for a factor: {parts}. Another reduction, no bug; it acts like a learning rate."
            )
        if parts is not None:
            return
        bug, values = name(ratio, spread / abs(target), self.batch, self.outputs)
        if bug is FACTOR and ratio < 0:
            bug, values = SIGN, {**values, "sign": "sign turned, and a factor", "besides": ""}
        measured = self.elsewhere() if bug in OF_BATCH and own is None else None
        if measured is not None and self.declared is not None:
            batch, base = measured
            other = base / self.declared.factor(batch, self.outputs)
            if name(other, _MEASURED * abs(other), batch, self.outputs)[0] is not bug:
                bug, values = name(ratio, spread / abs(target), 1, self.outputs)
        if bug is TIMES_2:
            values = {**values, "note": " (as if the batch were counted twice)"}
        self._whole(bug, values, what)

    def _other_loss(self, stated: LossKind) -> None:
        kind = self.assessment.kind
        text = f"your loss is the {stated.name}, the gradients are those of {self.result.loss}"
        if stated.family == kind.family and self.declared is None:
            self.result.remarks.append(
                f"Loss: {text}. Both are right in themselves, as where a derivative cancels "
                "against that of the activation; what is printed is not what is descended."
            )
            return
        values = {
            "stated": stated.name,
            "found": self.result.loss,
            "formula": stated.formula,
            "other_formula": kind.formula,
        }
        evidence = "all gradients agree up to rounding with the other loss's"
        finding = Finding(OTHER_LOSS, "the output's delta", values, evidence)
        self.result.findings.append(finding)


def _where(off: Array) -> str:
    """Say which inputs and units the elements that are off belong to, if not to all."""
    matrix = off.reshape(-1, off.shape[-1])
    marked = {"unit": np.any(matrix, axis=0), "input": np.any(matrix, axis=1)}
    said = [among(which, noun) for noun, which in marked.items() if not np.all(which)]
    if not said or not np.any(off):
        return ""
    return f"; those that are off belong to {' and '.join(said)}, and the others are right"
