"""What a recorder wrote down, made readable; what it computes stays the same.

Nothing is left that leads to no result. What the source has no name for goes back to where it is
used, a loop's state is written to where it is computed, and variables get the names that they have
in the source.
"""

import ast
from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from .printing import INDENT, WIDTH


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
    _drop(body)
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
    match s:
        case ast.Assign(targets=[target]) | ast.For(target=target):
            return [node.id for node in ast.walk(target) if isinstance(node, ast.Name)]
    return []


def _read(s: ast.stmt) -> list[ast.expr]:
    """Return the expressions that a statement evaluates itself, apart from those inside it."""
    match s:
        case ast.Assign(value=value) | ast.For(iter=value) | ast.If(test=value):
            return [value]
        case ast.Expr(value=value) | ast.With(items=[ast.withitem(context_expr=value)]):
            return [value]
        case ast.Return(value=ast.expr() as value) | ast.Raise(exc=ast.expr() as value):
            return [value]
        case ast.AugAssign(target=target, value=value):
            return [target, value]
    raise TypeError(f"Expected a statement of a recorder. Received: {ast.dump(s)}")


def _uses(*nodes: ast.AST) -> Counter[str]:
    return Counter(n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name))


def _written_to(s: ast.stmt) -> str | None:
    """Return the array or list that a statement writes into."""
    match s:
        case ast.AugAssign(target=ast.Subscript(value=ast.Name(id=name))):
            return name
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name)))):
            return name
    return None


def _every(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for s in body:
        yield s
        for block in _blocks(s):
            yield from _every(block)


# What leads to no result


def _drop(body: list[ast.stmt]) -> None:
    """Leave the statements that lead to a result or an error."""
    needed: set[str] = set()
    kept, before = list[ast.stmt](), -1
    while before < len(needed):  # what a loop needs of its own rounds is seen the next time
        before = len(needed)
        kept = _leading(body, needed)
    for block, _ in _indented(body, 0):
        block[:] = [s for s in block if s in kept]
    for s in kept:
        # Of several that are assigned together those alone.
        pairs = _pairs(s)
        if len(pairs) > 1:
            _assign_together(s, [pair for pair in pairs if pair[0] in needed])


def _leading(body: list[ast.stmt], needed: set[str]) -> list[ast.stmt]:
    """Return the statements that lead to what is needed, and add what they use themselves."""
    found: list[ast.stmt] = []
    for s in body:
        inside = [part for block in _blocks(s) for part in _leading(block, needed)]
        if inside or _is_needed(s, needed):
            needed |= set(_uses(*_read(s)))
            found += [s, *inside]
    return found


def _is_needed(s: ast.stmt, needed: set[str]) -> bool:
    if isinstance(s, ast.Return | ast.Raise):
        return True
    names = [] if _blocks(s) else [*_targets(s), _written_to(s)]
    return any(name in needed for name in names)


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
    _call_by(body, renamed)
    if left:
        _assign_together(last, left)
    else:
        loop.body.pop()


# What has no name of its own


def _put_back(body: list[ast.stmt], temporary: Collection[str], bases: Mapping[str, str]) -> bool:
    """Write one variable's code where it is used; return whether there was one."""
    definitions = Counter(name for s in _every(body) for name in _targets(s))
    uses = sum((_uses(*_read(s)) for s in _every(body)), Counter[str]())
    for block, indent in _indented(body, INDENT):
        for i, s in enumerate(block):
            match s:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    later = block[i + 1 :]
                case _:
                    continue
            if isinstance(value, ast.Name) and definitions[name] == definitions[value.id] == 1:
                _replace(later, name, value)
                del block[i]
                return True
            user = next((u for u in later if name in _uses(*_read(u))), None)
            if user is None or not definitions[name] == uses[name] == 1:
                continue
            between = later[: later.index(user)]
            match user:
                case ast.Return(value=ast.Name()) if not between:
                    nameless = True
                case _:
                    nameless = name in temporary or _goes_on(name, user, bases)
            if nameless and _fits(value, user, between, name, bases, indent):
                _replace([user], name, value)
                del block[i]
                return True
    return False


def _indented(body: list[ast.stmt], indent: int) -> Iterator[tuple[list[ast.stmt], int]]:
    """Yield each block and how far it is indented, inner ones first."""
    for s in body:
        for block in _blocks(s):
            yield from _indented(block, indent + INDENT)
    yield body, indent


def _goes_on(name: str, user: ast.stmt, bases: Mapping[str, str]) -> bool:
    """Return whether a statement goes on with a variable: has it once more, or adds a term."""
    match user:
        case ast.Assign(
            targets=[ast.Name(id=new)],
            value=ast.Name(id=old) | ast.BinOp(left=ast.Name(id=old)),
        ):
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
    _call_by(body, given)


def _call_by(body: list[ast.stmt], names: Mapping[str, str]) -> None:
    for s in body:
        for node in ast.walk(s):
            if isinstance(node, ast.Name):
                node.id = names.get(node.id, node.id)


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
