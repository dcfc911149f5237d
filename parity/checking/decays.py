"""Weight decay: the share that the weights themselves have in their gradients."""

from parity.checking.assess import Assessment
from parity.checking.fit import Match
from parity.checking.witnesses import OwnLoss
from parity.findings import Finding


class Decays:
    """Compares the weights' own share in the gradients with what it is meant to be.

    Args:
        assessment: The gradients, explained.
        own: The user's own loss as measured; None if there is none, or it is not known.
        weight_decay: The coefficient that the user declares; None if it is to be found out.
        follows: Whether the gradients are the derivative of the user's own loss as measured.
        unmeasured: Whether the user has a loss of which it is not known what it is.
    """

    def __init__(
        self,
        assessment: Assessment,
        own: OwnLoss | None,
        weight_decay: float | None,
        follows: bool,
        unmeasured: bool,
    ) -> None:
        self.assessment = assessment
        self.own = own if own is not None and own.kind is not None else None
        self.weight_decay = weight_decay
        self.follows = follows
        self.unmeasured = unmeasured
        self.findings: list[Finding] = []
        self.remarks: list[str] = []

    def judge(self) -> tuple[list[Finding], list[str]]:
        """Return what is wrong with the share, and what is worth knowing."""
        found = self._shares()
        base = self.assessment.scale.base or 1.0
        kernels = [m.decay / base for p, m in found if p == "kernel"]
        biases = [m.decay / base for p, m in found if p == "bias"]
        unsure = max((m.decay_uncertainty for _, m in found), default=0.0) / abs(base)
        if self.own is not None:
            factor = self.own.factor
            spread = 64 * self.own.decay_uncertainty / factor + unsure + 1e-12
            self._expected_decay("kernel", kernels, self.own.kernel_decay / factor, spread)
            self._expected_decay("bias", biases, self.own.bias_decay / factor, spread)
        elif self.follows:
            pass
        elif self.weight_decay is not None:
            wanted = self.weight_decay / base
            self._expected_decay("kernel", kernels, wanted, unsure)
            self._expected_decay("bias", biases, 0.0, unsure)
        elif biases and any(biases) and not self.unmeasured:
            title, fix = "weight decay on biases", "leave the biases out of the decay"
            self._decay_finding("weight-decay-on-biases", title, "bias", max(biases) * base, fix)
        elif any((*kernels, *biases)):
            self.remarks.append(
                f"Weight decay: the gradients have {max((*kernels, *biases)) * base:.6g} times the "
                "weight added, and it is not known from your loss. Give weight_decay to "
                "have it checked."
            )
        return self.findings, self.remarks

    def _shares(self) -> list[tuple[str, Match]]:
        return [
            (part, match)
            for fit in self.assessment.explanation.layers
            for part, match in fit.tensors.items()
            if match is not None and match.ratio and not match.variant.title
        ]

    def _expected_decay(self, part: str, found: list[float], wanted: float, spread: float) -> None:
        for share in dict.fromkeys(found):
            if abs(share - wanted) <= spread + 1e-9 * abs(wanted):
                continue
            where = {"kernel": "kernels", "bias": "biases"}[part]
            if not share:
                title = f"weight decay missing in the gradients of the {where}"
                fix = f"add {wanted:.6g} times the weight to its gradient"
                self._decay_finding("weight-decay-missing", title, part, wanted, fix)
            elif part == "bias":
                title = "weight decay on biases, which your loss does not have"
                fix = "leave the biases out of the decay"
                self._decay_finding("weight-decay-on-biases", title, part, share, fix)
            else:
                times = f"×{share / wanted:.6g}" if wanted else "which your loss does not have"
                title = f"weight decay (L2) {times} in the gradients of the {where}"
                code = "weight-decay-factor"
                fix = "the derivative of (λ/2)·w² is λ·w, that of λ·w² is 2·λ·w: "
                fix += f"expected {wanted:.6g}·w"
                self._decay_finding(code, title, part, share, fix)
            return

    def _decay_finding(self, code: str, title: str, part: str, share: float, fix: str) -> None:
        evidence = f"the gradients contain {share:.6g} times the {part} itself" if share else ""
        self.findings.append(Finding(code, title, f"{part} gradients", fix, evidence))
