"""A check's report for people (text, HTML) and for programs (JSON)."""

from parity.reports.html import to_html
from parity.reports.schema import to_dict, to_json
from parity.reports.text import render, to_text

__all__ = ["render", "to_dict", "to_html", "to_json", "to_text"]
