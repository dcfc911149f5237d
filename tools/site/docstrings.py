"""What docstrings have that is no Markdown, for mkdocstrings.

Reference: https://mkdocstrings.github.io/griffe/guide/users/extending/
"""

import re
from typing import Any

import griffe


class Prose(griffe.Extension):
    """Makes Markdown of docstrings: roles such as ``:func:`name```, ``>>>``, and references.

    A package's docstring gets a list of the names that it offers and of its modules.
    """

    ROLE = re.compile(r":(?:class|func|meth|mod):`([\w.]+)`")
    SESSION = re.compile(r"^(?:>>> .*\n?)+", re.MULTILINE)
    REFERENCE = re.compile(r"^(References?:)(?:\n((?: +.*\n?)+)|(?= ))", re.MULTILINE)

    def on_package(self, *, pkg: griffe.Module, loader: griffe.GriffeLoader, **_: Any) -> None:
        """Change the docstring of a package that is in no other."""
        self.on_object(obj=pkg, loader=loader)

    def on_object(self, *, obj: griffe.Object, loader: griffe.GriffeLoader, **_: Any) -> None:
        """Change an object's docstring."""
        if obj.docstring is None:
            return
        text = self._linked(obj.docstring.value, obj, loader)
        text = self.REFERENCE.sub(lambda r: f"**{r[1]}** {' '.join((r[2] or '').split())}", text)
        text = self.SESSION.sub(lambda s: f"```pycon\n{s[0].rstrip()}\n```\n", text)
        if isinstance(obj, griffe.Module) and obj.is_init_module:
            text += self._contents(obj, loader)
        obj.docstring.value = text

    def _linked(self, text: str, obj: griffe.Object, loader: griffe.GriffeLoader) -> str:
        def link(role: re.Match[str]) -> str:
            name = role[1]
            try:
                found = loader.modules_collection[name if "." in name else obj.resolve(name)]
                return f"[`{name}`][{found.canonical_path}]"
            except (KeyError, griffe.GriffeError):
                return f"[`{name}`][{name}]"  # mkdocs-autorefs will say that there is no such thing

        return self.ROLE.sub(link, text)

    def _contents(self, package: griffe.Module, loader: griffe.GriffeLoader) -> str:
        """Return the lists of what a package offers, each with its docstring's first sentence."""
        modules = {name: m for name, m in package.modules.items() if not name.startswith("_")}
        names = [str(name) for name in package.exports or () if str(name) not in modules]
        offered = {name: package.members[name] for name in names}
        text = ""
        for title, listed in ("Offers", offered), ("Modules", modules):
            lines = [self._line(name, member, loader) for name, member in sorted(listed.items())]
            text += f"\n\n**{title}**\n\n" + "\n".join(lines) if any(lines) else ""
        return text

    def _line(
        self, name: str, member: griffe.Object | griffe.Alias, loader: griffe.GriffeLoader
    ) -> str:
        try:
            found = member.final_target if isinstance(member, griffe.Alias) else member
        except griffe.GriffeError:
            return ""  # another project's
        said = found.docstring.value.split("\n\n")[0] if found.docstring else ""
        sentence = self._linked(" ".join(said.split()), found, loader)
        return f"- [`{name}`][{found.canonical_path}]: {sentence}"
