"""Files changed a little: bytes, whole numbers, JSON, and the members that are packed in them."""

import ast
import copy
import gzip
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import Generator

Mutation = Callable[[bytes, Generator], bytes]

# Numbers at which sizes and counts go wrong.
EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31, 2**63, 10**30, 1e308, float("inf"), float("nan"), "", "x", [], {},
    [[]], {"class_name": "Dense", "config": {}}, "relu", "float64", "../../x", "é\n",
)  # fmt: skip
# Most of what can go wrong stands so near to an end.
HEAD, TAIL = 4096, 2000


def changed(data: bytes, rng: Generator) -> bytes:
    """Return a file in which one to three places are changed, cut off, put in, or moved."""
    out = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        size = len(out)
        if size < 8:
            break
        start, other = (int(n) for n in rng.integers(size, size=2))
        count = int(rng.integers(1, 64))
        near = int(rng.integers(min(size, HEAD)))
        if rng.integers(2):
            near = size - 1 - int(rng.integers(min(size, TAIL)))
        match rng.integers(7):
            case 0:
                for place in rng.integers(size, size=int(rng.integers(1, 12))):
                    out[place] = rng.integers(256)
            case 1:
                del out[start:]
            case 2:
                out[start : start + count] = rng.bytes(int(rng.integers(64)))
            case 3:
                out[start : start + count] = out[other : other + count]
            case 4:
                width = int(rng.choice([1, 2, 4, 8]))
                edge = EDGES[int(rng.integers(len(EDGES)))] % 256**width
                order = "little" if rng.integers(2) else "big"
                out[near : near + width] = edge.to_bytes(width, order)
            case 5:
                out[near] ^= 1 << int(rng.integers(8))
            case _:
                out[near] = rng.integers(256)
    return bytes(out)


def unpacked_first(data: bytes, rng: Generator) -> bytes:
    """Change a gzip-ed file below the packing, where no checksum shields the reader, or above."""
    if rng.integers(4) == 0:
        return changed(data, rng)
    return gzip.compress(changed(gzip.decompress(data), rng), 1)


def with_checksums(data: bytes, rng: Generator) -> bytes:
    """Change a PNG, and mostly put its checksums right, so that its content is looked at."""
    png = changed(data, rng)
    if rng.integers(4) == 0:
        return png
    out, place = png[:8], 8
    while place + 12 <= len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        body = png[place + 4 : place + 8 + length]
        if len(body) < 4 + length:
            break
        out += png[place : place + 4] + body + struct.pack(">I", zlib.crc32(body))
        place += 12 + length
    return out + png[place:]


def in_a_member(data: bytes, rng: Generator) -> bytes:
    """Change one member of an archive, which is packed again, or the archive itself."""
    if rng.integers(3) == 0:
        return changed(data, rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = list(members)[int(rng.integers(len(members)))]
    if name.endswith(".json"):
        members[name] = in_json(members[name], rng)
    elif name == "config.npy" and rng.integers(3):
        return in_an_array(data, rng, "config")
    else:
        members[name] = changed(members[name], rng)
    return _packed(members, rng)


def in_an_array(data: bytes, rng: Generator, name: str) -> bytes:
    """Change the JSON that an ``.npz`` holds as an array of text."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    text = str(np.load(io.BytesIO(members[f"{name}.npy"])))
    content = io.BytesIO()
    np.save(content, np.array(in_json(text.encode(), rng).decode(errors="replace")))
    members[f"{name}.npy"] = content.getvalue()
    return _packed(members, rng)


def _packed(members: dict[str, bytes], rng: Generator) -> bytes:
    packed = io.BytesIO()
    method = zipfile.ZIP_STORED if rng.integers(2) else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def in_json(data: bytes, rng: Generator) -> bytes:
    """Change or take away one or two values of a JSON text."""
    tree = json.loads(data)
    for _ in range(rng.integers(1, 3)):
        places = list(_places(tree))
        if not places:
            break
        inside, key = places[int(rng.integers(len(places)))]
        if rng.integers(5) == 0:
            del inside[key]
        else:
            inside[key] = VALUES[int(rng.integers(len(VALUES)))]
    return json.dumps(tree).encode()


def _places(tree: Any) -> Any:
    """Yield every place of a JSON tree as what it is in and its key or number there."""
    if isinstance(tree, dict | list):
        for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
            yield tree, key
            yield from _places(tree[key])


def in_the_syntax(data: bytes, rng: Generator) -> bytes:
    """Change a program so that it is Python still: nodes of its tree go, come twice or change."""
    tree = ast.parse(data)
    for _ in range(rng.integers(1, 4)):
        places: dict[type, list[tuple[Any, str, int | None]]] = {}
        for node in ast.walk(tree):
            for name, value in ast.iter_fields(node):
                for i, one in enumerate(value if isinstance(value, list) else [value]):
                    kind = next((k for k in (ast.stmt, ast.expr) if isinstance(one, k)), None)
                    if kind is not None:
                        index = i if isinstance(value, list) else None
                        places.setdefault(kind, []).append((node, name, index))
        some = places.get(ast.stmt if rng.integers(2) else ast.expr, [])
        if not some:
            break
        one, other = (some[int(n)] for n in rng.integers(len(some), size=2))
        _put(one, copy.deepcopy(_at(other)), rng)
    try:
        program = ast.unparse(ast.fix_missing_locations(tree)).encode()
        ast.parse(program)
    except Exception:  # a node where there can be none, such as 3 = x
        return data
    return program


def _at(place: tuple[Any, str, int | None]) -> Any:
    node, name, index = place
    return getattr(node, name) if index is None else getattr(node, name)[index]


def _put(place: tuple[Any, str, int | None], new: Any, rng: Generator) -> None:
    node, name, index = place
    if index is None:
        setattr(node, name, new)
    elif not isinstance(new, ast.stmt) or rng.integers(3) == 0:
        getattr(node, name)[index] = new
    elif rng.integers(2):
        getattr(node, name).insert(index, new)
    else:
        getattr(node, name)[index] = ast.Pass()


def in_words(data: bytes, rng: Generator) -> bytes:
    """Change a program: words and signs are taken away, doubled, exchanged, or put elsewhere."""
    words = re.findall(rb"\w+|\s+|[^\w\s]", data)
    for _ in range(rng.integers(1, 6)):
        if not words:
            break
        one, other = (int(n) for n in rng.integers(len(words), size=2))
        match rng.integers(5):
            case 0:
                del words[one]
            case 1:
                words.insert(one, words[other])
            case 2:
                words[one] = words[other]
            case 3:
                words[one : one + 20] = words[other : other + 20]
            case _:
                words[one] = words[one] * int(rng.integers(2, 300))
    program = b"".join(words)
    return changed(program, rng) if rng.integers(8) == 0 else program
