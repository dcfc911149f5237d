"""What a specializer wrote down, made readable; what it computes stays the same.

Nothing is left that leads to no result. What the source has no name for goes back to where it is
used, a loop's state is written to where it is computed, and variables get the names that they have
in the source.
"""

import ast
import io
import tokenize
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise

WIDTH = 100
_INDENT = 4


def tidy(
    body: list[ast.stmt],
    result: ast.expr,
    arguments: list[str],
    bases: Mapping[str, str],
    names: Mapping[str, str],
    temporary: Collection[str],
    taken: Collection[str],
) -> list[ast.stmt]:
    """Return the body of a function.

    Args:
        body: Its statements.
        result: What it returns.
        arguments: The names of its arguments.
        bases: The name of each other variable in the source.
        names: Better ones, for some.
        temporary: Variables that the source has no name for.
        taken: Names that mean something else in the function.
    """
    body = [*body, ast.Return(result)]
    _drop(body, _needed(body))
    _write_states_in_place(body)
    while _put_back(body, temporary, bases):
        pass
    _rename(body, arguments, {**bases, **names}, taken)
    return [ast.fix_missing_locations(statement) for statement in body]


# What a statement does


def _blocks(s: ast.stmt) -> list[list[ast.stmt]]:
    return [s.body] if isinstance(s, ast.For | ast.If | ast.With) else []


def _targets(s: ast.stmt) -> list[str]:
    """Return the variables that a statement assigns."""
    targets = s.targets if isinstance(s, ast.Assign) else []
    targets = [s.target] if isinstance(s, ast.For) else targets
    names: list[str] = []
    for target in targets:
        if not isinstance(target, ast.Subscript):
            names += [node.id for node in ast.walk(target) if isinstance(node, ast.Name)]
    return names


def _read(s: ast.stmt) -> list[ast.expr]:
    """Return the expressions that a statement evaluates itself, apart from those inside it."""
    match s:
        case ast.Assign(targets=[target], value=value):
            return [value, target] if isinstance(target, ast.Subscript) else [value]
        case ast.AugAssign(target=target, value=value):
            return [target, value]
        case ast.For(iter=value) | ast.If(test=value):
            return [value]
        case ast.With(items=[item]):
            return [item.context_expr]
        case ast.Expr(value=value):
            return [value]
        case ast.Return(value=ast.expr() as value) | ast.Raise(exc=ast.expr() as value):
            return [value]
    raise TypeError(f"Expected a statement of a specializer. Received: {ast.dump(s)}")


def _uses(*nodes: ast.AST) -> Counter[str]:
    return Counter(n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name))


def _written_to(s: ast.stmt) -> str | None:
    """Return the array or list that a statement writes into."""
    node: ast.AST | None = None
    if isinstance(s, ast.Assign | ast.AugAssign):
        target = s.targets[0] if isinstance(s, ast.Assign) else s.target
        node = target.value if isinstance(target, ast.Subscript) else None
    elif isinstance(s, ast.Expr) and isinstance(s.value, ast.Call):
        node = s.value.func
        node = node.value if isinstance(node, ast.Attribute) else None
    return node.id if isinstance(node, ast.Name) else None


def _every(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for s in body:
        yield s
        for block in _blocks(s):
            yield from _every(block)


# What leads to no result


def _needed(body: list[ast.stmt]) -> set[str]:
    needed: set[str] = set()
    while True:
        before = len(needed)
        _collect(body, needed)
        if len(needed) == before:
            return needed


def _collect(body: list[ast.stmt], needed: set[str]) -> bool:
    """Add what the statements that are needed use; return whether there are any."""
    found = False
    for s in body:
        inside = [_collect(block, needed) for block in _blocks(s)]
        if any(inside) or _is_needed(s, needed):
            needed |= set(_uses(*_read(s)))
            found = True
    return found


def _is_needed(s: ast.stmt, needed: set[str]) -> bool:
    if isinstance(s, ast.Return | ast.Raise):
        return True
    if _blocks(s):
        return False
    names = [*_targets(s), _written_to(s)]
    return any(name in needed for name in names)


def _drop(body: list[ast.stmt], needed: set[str]) -> None:
    kept: list[ast.stmt] = []
    for s in body:
        for block in _blocks(s):
            _drop(block, needed)
        if _is_needed(s, needed) or any(_blocks(s)):
            kept.append(s)
        # Of several that are assigned together those alone.
        pairs = _pairs(s)
        if len(pairs) > 1:
            _assign_together(s, [pair for pair in pairs if pair[0] in needed])
    body[:] = kept


def _pairs(s: ast.stmt) -> list[tuple[str, ast.expr]]:
    """Return which variable is assigned what."""
    match s:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return [(name, value)]
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            return list(zip(names, values, strict=False)) if len(names) == len(values) else []
    return []


def _assign_together(s: ast.stmt, pairs: list[tuple[str, ast.expr]]) -> None:
    assert isinstance(s, ast.Assign)
    names = [ast.Name(name) for name, _ in pairs]
    values = [value for _, value in pairs]
    one = len(pairs) == 1
    s.targets = [names[0] if one else ast.Tuple(list(names))]
    s.value = values[0] if one else ast.Tuple(values)


# A loop's state


def _write_states_in_place(body: list[ast.stmt]) -> None:
    for s in _every(body):
        if isinstance(s, ast.For) and s.body and _pairs(s.body[-1]):
            _write_state_in_place(s, body)


def _write_state_in_place(loop: ast.For, body: list[ast.stmt]) -> None:
    """Let what becomes the state be computed into it, where the old one is not used any more."""
    last = loop.body[-1]
    places = {name: i for i, s in enumerate(loop.body[:-1]) for name in _targets(s)}
    definitions = Counter(name for s in _every(body) for name in _targets(s))
    pairs, renamed = _pairs(last), dict[str, str]()
    states = {state for state, _ in pairs}
    left: list[tuple[str, ast.expr]] = []
    for state, value in pairs:
        new = value.id if isinstance(value, ast.Name) else ""
        later = loop.body[places.get(new, 0) + 1 : -1]
        still = sum((_uses(*_read(s)) for s in _every(later)), Counter[str]())
        fits = new in places and definitions[new] == 1 and new not in renamed
        if fits and not still[state] and new not in states:
            renamed[new] = state
        else:
            left.append((state, value))
    # Another state that is still to be written must not read one that is written before.
    if set(_uses(*(value for _, value in left))) & {*renamed.values()}:
        return
    for s in _every(body):
        for node in ast.walk(s):
            if isinstance(node, ast.Name):
                node.id = renamed.get(node.id, node.id)
    if left:
        _assign_together(last, left)
    else:
        loop.body.pop()


# What has no name of its own


def _put_back(body: list[ast.stmt], temporary: Collection[str], bases: Mapping[str, str]) -> bool:
    """Write one variable's code where it is used; return whether there was one."""
    definitions = Counter(name for s in _every(body) for name in _targets(s))
    uses = sum((_uses(*_read(s)) for s in _every(body)), Counter[str]())
    single = {name for name in definitions if definitions[name] == uses[name] == 1}
    return _put_back_in(body, single, temporary, bases, definitions, _INDENT)


def _put_back_in(
    body: list[ast.stmt],
    single: set[str],
    temporary: Collection[str],
    bases: Mapping[str, str],
    definitions: Counter[str],
    indent: int,
) -> bool:
    for i, s in enumerate(body):
        for block in _blocks(s):
            further = (single, temporary, bases, definitions, indent + _INDENT)
            if _put_back_in(block, *further):
                return True
        match s:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                pass
            case _:
                continue
        if isinstance(value, ast.Name) and definitions[name] == definitions[value.id] == 1:
            _replace(body[i + 1 :], name, value)
            del body[i]
            return True
        if name not in single:
            continue
        user = next((u for u in body[i + 1 :] if name in _uses(*_read(u))), None)
        if user is None:
            continue
        between = body[i + 1 : body.index(user)]
        direct = isinstance(user, ast.Return) and isinstance(user.value, ast.Name) and not between
        if name not in temporary and not direct and not _goes_on(name, user, bases):
            continue
        if _fits(value, user, between, name, bases, indent):
            _replace([user], name, value)
            del body[i]
            return True
    return False


def _goes_on(name: str, user: ast.stmt, bases: Mapping[str, str]) -> bool:
    """Return whether a statement adds, say, one more term to what a variable was so far."""
    match user:
        case ast.Assign(targets=[ast.Name(id=new)], value=ast.BinOp(left=ast.Name(id=old))):
            return old == name and bases.get(new) == bases[name]
    return False


def _fits(
    value: ast.expr,
    user: ast.stmt,
    between: list[ast.stmt],
    name: str,
    bases: Mapping[str, str],
    indent: int,
) -> bool:
    read = set(_uses(value))
    for s in _every(between):
        if read & {*_targets(s), _written_to(s)}:
            return False
    loops = (ast.GeneratorExp, ast.ListComp)
    inner = [n for part in _read(user) for n in ast.walk(part) if isinstance(n, loops)]
    if any(name in _uses(n.elt) for n in inner):  # it would be computed again and again
        return False
    # How long the line would be.
    shown = {n: base for n, base in bases.items() if n in {*_uses(user), *_uses(value)}}
    both = [ast.unparse(ast.fix_missing_locations(n)).split("\n")[0] for n in (user, value)]
    for own, base in shown.items():
        both = [text.replace(own, base) for text in both]
    return indent + sum(map(len, both)) <= WIDTH


def _replace(body: list[ast.stmt], name: str, value: ast.expr) -> None:
    class Replace(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return value if node.id == name else node

    for s in body:
        Replace().visit(s)


# Names


def _rename(
    body: list[ast.stmt],
    arguments: list[str],
    bases: Mapping[str, str],
    taken: Collection[str],
) -> None:
    """Give each variable its name in the source, or one like it while that is in use."""
    spans = {name: [-1.0, -1.0] for name in arguments}
    _measure(body, spans, 0, {*bases, *arguments})
    given = {name: name for name in arguments}
    for name in sorted(spans, key=lambda n: spans[n][0]):
        if name in given:
            continue
        start, end = spans[name]
        busy = {given[n] for n, (a, b) in spans.items() if n in given and a < end and start < b}
        base, number = bases[name].strip("_"), 2
        free = base
        while free in busy or free in taken:
            free, number = f"{base}_{number}", number + 1
        given[name] = free if start < end else "_"
    for s in body:
        for node in ast.walk(s):
            if isinstance(node, ast.Name):
                node.id = given.get(node.id, node.id)


def _measure(body: list[ast.stmt], spans: dict[str, list[float]], at: int, own: set[str]) -> int:
    """Note from which statement to which each variable is in use; return the next number."""
    for s in body:
        for name in set(_uses(*_read(s))) & own:
            if name in spans:
                spans[name][1] = max(spans[name][1], at)
            else:  # of a comprehension
                spans[name] = [at - 0.5, at + 0.5]
        for name in _targets(s):
            span = spans.setdefault(name, [at, at])
            span[1] = max(span[1], at)
        start, at = at, at + 1
        for block in _blocks(s):
            before = set(spans)
            at = _measure(block, spans, at, own)
            if isinstance(s, ast.For):  # what comes from outside is needed again in each round
                inside = set(_uses(*block))
                for name in before & inside:
                    if spans[name][0] <= start:
                        spans[name][1] = max(spans[name][1], at)
                at += 1
    return at


# Lines


def text_of(node: ast.AST, indent: int = 0) -> str:
    """Return the text of statements, in lines of at most ``WIDTH`` columns where possible."""
    lines: list[str] = []
    for line in ast.unparse(node).split("\n"):
        lines += wrapped(" " * indent + _quoted(_without_pairs(line)))
    return "\n".join(lines)


def _without_pairs(line: str) -> str:
    """Return a line without the second brackets in calls such as ``tuple((k for k in x))``."""
    stack: list[tuple[int, bool]] = []
    closed: dict[int, tuple[int, bool]] = {}
    drop: set[int] = set()
    margin = len(line) - len(line.lstrip())
    for token in _tokens(line):
        column = token.start[1] + margin
        if token.string == "for" and stack:
            stack[-1] = stack[-1][0], True
        elif token.string == "(":
            stack.append((column, False))
        elif token.string == ")" and stack:
            opening, loop = stack.pop()
            closed[opening] = column, loop
            inner = closed.get(opening + 1)
            called = line[opening - 1 : opening].isidentifier()
            if called and inner == (column - 1, True):
                drop |= {opening + 1, column - 1}
    return "".join(c for i, c in enumerate(line) if i not in drop)


def _quoted(line: str) -> str:
    """Return a line with double quotes around its strings, as everywhere in the project."""
    tokens = _tokens(line)
    margin = len(line) - len(line.lstrip())
    for token in tokens:
        text, start = token.string, token.start[1] + margin
        plain = text[1:-1] if text.startswith("'") else text[2:-1] if text[:2] == "f'" else None
        if token.type == tokenize.STRING and plain is not None and not set(plain) & {'"', "\\"}:
            new = text[: text.index("'")] + f'"{plain}"'
            line = line[:start] + new + line[start + len(text) :]
    return line


def wrapped(line: str) -> list[str]:
    """Return a line of code as lines of at most ``WIDTH`` columns, where brackets allow it."""
    if len(line) <= WIDTH:
        return [line]
    margin = len(line) - len(line.lstrip())
    opening, ends, closing = _outermost(line.strip(), margin)
    if not closing:
        return [line]
    inner = line[opening + 1 : closing].strip()
    first, last = line[: opening + 1], " " * margin + line[closing:]
    if margin + _INDENT + len(inner) <= WIDTH or not ends:
        parts = [inner]
    else:
        bounds = [opening, *ends, closing]
        comma = "," if line[ends[0]] == "," else ""
        parts = [line[a + 1 : b].strip() + comma for a, b in pairwise(bounds)]
    pieces = [piece for part in parts for piece in wrapped(" " * (margin + _INDENT) + part)]
    return [first, *pieces, *wrapped(last)]


def _tokens(line: str) -> list[tokenize.TokenInfo]:
    """Return the tokens of a line, which may have brackets that close in another."""
    found: list[tokenize.TokenInfo] = []
    inside = 0  # f-strings, whose parts are tokens since Python 3.12
    try:
        for token in tokenize.generate_tokens(io.StringIO(line.strip()).readline):
            kind = tokenize.tok_name[token.type]
            inside += (kind == "FSTRING_START") - (kind == "FSTRING_END")
            if not inside and kind != "FSTRING_END":
                found.append(token)
    except (tokenize.TokenError, IndentationError):
        pass
    return found


def _outermost(line: str, margin: int) -> tuple[int, list[int], int]:
    """Return where the longest pair of brackets in a line opens, can be parted, and closes."""
    best: tuple[int, list[int], int] = (0, [], 0)
    stack: list[tuple[int, list[int]]] = []
    loops: dict[int, list[int]] = {}
    for token in _tokens(line):
        if token.string == "for" and stack:  # the blank before it
            loops[stack[-1][0]] = [token.start[1] + margin - 1]
        if token.type != tokenize.OP:
            continue
        column = token.start[1] + margin
        if token.string in "([{":
            stack.append((column, []))
        elif token.string in ")]}" and stack:
            opening, commas = stack.pop()
            if not stack and column - opening > best[2] - best[0]:
                best = opening, loops.get(opening, commas), column
        elif token.string == "," and stack:
            stack[-1][1].append(column)
    return best
