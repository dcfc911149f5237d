"""What a page says that a program prints, compared with what it prints now."""


def stable(text: str) -> list[str]:
    """Return the lines without what rounding decides: which of the right elements is the worst."""
    lines = []
    for line in text.splitlines():
        words = line.split()
        lines.append(" ".join(words[:3]) if words and words[-1] == "ok" else " ".join(words))
    return lines
