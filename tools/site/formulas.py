"""Formulas as MathML, which browsers show by themselves: no script has to be fetched for them."""

import html
import re

import latex2mathml.converter
from mkdocs.exceptions import PluginError

# What pymdownx.arithmatex makes of $...$ and of $$...$$.
FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<latex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL
)
# What latex2mathml does not know it passes on as it is.
NOT_UNDERSTOOD = re.compile(r">(\\[^<]*|&|[{}$])<")
# What latex2mathml leaves to the browser, which does not do as LaTeX does: a minus after these is a
# sign and stands close to what follows; the bars of \lVert do not grow; a prime is high by itself.
BEFORE_A_SIGN = "([{,;=<>≤≥≈←→∈·×⊙"
MINUS = re.compile(r"(?P<before><mo[^>]*>(?P<after>[^<]+)</mo>)<mo>(?=&#x02212;)")
BAR, FIXED_BAR = "<mo>&#x02016;</mo>", '<mo stretchy="false">&#x02016;</mo>'
PRIME = re.compile(r"<msup>(<mi>[^<]*</mi>)<mi>&#x02032;</mi></msup>")
HIGH_PRIME = r'<mrow>\1<mo lspace="0" rspace="0">&#x02032;</mo></mrow>'


def _signed(found: re.Match[str]) -> str:
    sign = html.unescape(found["after"]) in BEFORE_A_SIGN
    return found["before"] + '<mo form="prefix">' if sign else found[0]


def mathml(latex: str, display: bool = False) -> str:
    r"""Return a formula in MathML.

    Args:
        latex: The formula, such as ``\frac{\eta}{m}``, without dollars.
        display: Whether it stands on a line of its own.

    Raises:
        PluginError: LaTeX that latex2mathml does not understand.
    """
    try:
        made = latex2mathml.converter.convert(latex, display="block" if display else "inline")
    except Exception as error:  # its errors have nothing in common, and no text
        raise PluginError(f"cannot read ({type(error).__name__}): {latex}") from error
    if found := NOT_UNDERSTOOD.search(made):
        raise PluginError(f"{found[1]} is unknown to latex2mathml: {latex}")
    return PRIME.sub(HIGH_PRIME, MINUS.sub(_signed, made).replace(BAR, FIXED_BAR))


def _with_mathml(found: re.Match[str]) -> str:
    latex, tag = html.unescape(found["latex"]).strip(), found["tag"]
    return f'<{tag} class="formula">{mathml(latex, display=tag == "div")}</{tag}>'


def convert(content: str) -> str:
    """Turn the formulas of a page of HTML, as pymdownx.arithmatex leaves them, into MathML.

    Raises:
        PluginError: As :func:`mathml`.
    """
    return FORMULA.sub(_with_mathml, content)
