"""Notebooks as pages: their cells and the outputs that are saved with them, in Markdown."""

import base64
import posixpath
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ANSI = re.compile(r"\x1b\[[0-9;]*m")


def _fenced(text: str, info: str) -> str:
    fence = "`" * (1 + max([2, *map(len, re.findall("`+", text))]))
    return f"{fence}{info}\n{text.rstrip()}\n{fence}"


def _printed(text: str) -> str:
    return _fenced(ANSI.sub("", text), "{ .text .output }")


def _output(output: Any, picture: str) -> tuple[str, bytes | None]:
    """Return an output's Markdown and, if it is a picture, the content of the file it names."""
    if output.output_type == "stream":
        return _printed(output.text), None
    if output.output_type == "error":
        return _printed("\n".join(output.traceback)), None
    data = output.data
    if "image/png" in data:
        return f"![What the code above draws]({picture})", base64.b64decode(data["image/png"])
    if "text/html" in data:
        return f"<div>{data['text/html']}</div>", None
    if "text/markdown" in data:
        return data["text/markdown"], None
    if "text/plain" in data:
        return _printed(data["text/plain"]), None
    raise PluginError(f"expected PNG, HTML, Markdown or text. Received: {', '.join(data)}")


def page(notebook: Any, name: str) -> tuple[str, dict[str, bytes]]:
    """Return a notebook in Markdown, as saved, and its pictures by their file names.

    Args:
        notebook: What ``nbformat.read`` returns; its first cell begins with the title.
        name: The notebook's file name without ``.ipynb``.

    Raises:
        PluginError: An output of a kind that is not shown here.
    """
    blocks: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            blocks.append(cell.source)
        elif cell.cell_type == "code":
            blocks.append(_fenced(cell.source, "python"))
            for output in cell.outputs:
                picture = f"{name}-{len(pictures) + 1}.png"
                shown, content = _output(output, picture)
                blocks.append(shown)
                if content is not None:
                    pictures[picture] = content
    title, _, rest = "\n\n".join(blocks).partition("\n")
    note = f'<p><a href="{name}.ipynb" download>Download this notebook</a></p>'
    return f"{title}\n\n{note}\n\n{rest}\n", pictures


def files(notebook: File, config: MkDocsConfig) -> Iterator[File]:
    """Yield a notebook's page and its pictures, as files of the site.

    Raises:
        PluginError: The file is no notebook, or has an output of a kind that is not shown here.
    """
    assert notebook.abs_src_path is not None
    name, folder = PurePosixPath(notebook.src_uri).stem, posixpath.dirname(notebook.src_uri)
    try:
        text, pictures = page(nbformat.read(notebook.abs_src_path, as_version=4), name)
    except (PluginError, nbformat.reader.NotJSONError) as error:
        raise PluginError(f"{notebook.src_uri}: {error}") from error
    for made, content in {f"{name}.md": text, **pictures}.items():
        yield File.generated(config, posixpath.join(folder, made), content=content)
