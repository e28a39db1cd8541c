"""Let operations on the same key of a dict share one search.

Before::

    graph(%d: Dict[str, int], %k: str):
      %c: bool = dict::contains(%d, %k)
      %v: int = dict::getitem(%d, %k)
      %one: int = prim::Constant[value=1]()
      %w: int = int::add(%v, %one)
      dict::setitem(%d, %k, %w)
      return (%c)

After::

    graph(%d: Dict[str, int], %k: str):
      %e: int = dict::find(%d, %k)
      %zero: int = prim::Constant[value=0]()
      %c: bool = int::ge(%e, %zero)
      %f: int = dict::find(%d, %k)
      dict::check_found(%d, %k, %f)
      %v: int = dict::value_at(%d, %f)
      %one: int = prim::Constant[value=1]()
      %w: int = int::add(%v, %one)
      dict::set_at(%d, %f, %w)
      return (%c)

Searches are pure, so that equal ones are merged later.  A value is stored at the entry that was
read, if nothing in between may add or remove keys; where the key may have been absent (``get`` with
a default), the entry decides; where a test has just failed to find it, it is added without another
search; in loops, other stores search first, too.  Only int and str keys and tuples of them have the
fast search.
"""

from __future__ import annotations

from scriptmode.analysis.borrowing import may_drop, with_nested
from scriptmode.analysis.simple_keys import is_simple_key
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import YIELD, Block, Graph, Node, Program, Value, innermost_loop
from scriptmode.ops.aten import schema_of

_SEARCHING = ("dict::contains", "dict::getitem", "dict::get_default")
_FARTHEST = 40  # nodes between reading and storing


def share_lookups(graph: Graph, program: Program | None = None) -> bool:
    """Return whether the graph changed."""
    stores = [n for n in graph.walk() if n.kind == "dict::setitem" and _has_fast_search(n)]
    readers = {store: _reader_of(store) for store in stores}
    additions = [store for store in stores if readers[store] is None and _adds(store)]
    entries = {
        node: _search(node)
        for node in list(graph.walk())
        if node.kind in _SEARCHING and _has_fast_search(node)
    }
    changed = bool(entries)
    for store, reader in readers.items():
        if reader is not None:
            _store_at(store, entries[reader], surely=reader.kind == "dict::getitem")
    for store, reader in readers.items():
        if reader is None and store not in additions and _is_in_loop(store):
            _store_at(store, None, surely=False)
            changed = True
    for store in additions:
        build = _builder(store)
        build.op_node("dict::add", store.inputs)
        _replace(store, build)
    return changed


def _has_fast_search(node: Node) -> bool:
    dictionary, key = node.inputs[:2]
    if type(dictionary.type) is not T.DictType:  # a subclass may make what is missing
        return False
    return is_simple_key(key.type) and key.type == dictionary.type.key


def _reader_of(store: Node) -> Node | None:
    """The node that reads the value of the same key before, while no key comes or goes."""
    current = store.previous
    for _ in range(_FARTHEST):
        if current is None:
            return None
        if current.kind in _SEARCHING:
            if current.inputs[:2] == store.inputs[:2]:
                return current
        if any(may_drop(inner, store) for inner in with_nested(current)):
            return None
        current = current.previous
    return None


def _adds(store: Node) -> bool:
    """Whether the branch around a store is taken only if its key is not there."""
    assert store.block is not None
    branch = store.block.owner
    if branch is None or branch.kind != "prim::If":
        return False
    test, is_else = branch.inputs[0].node, branch.blocks[1] is store.block
    while test is not None and test.kind == "bool::not":
        test, is_else = test.inputs[0].node, not is_else
    return (
        test is not None
        and is_else
        and test.kind == "dict::contains"
        and test.inputs[:2] == store.inputs[:2]
        and _keeps_keys(branch, test, store)
        and _keeps_keys(store, None, store)
    )


def _keeps_keys(node: Node, first: Node | None, store: Node) -> bool:
    """Whether no key comes or goes before ``node``, from ``first`` or the block's start on."""
    current = node.previous
    for _ in range(_FARTHEST):
        if current is first:
            return True
        if current is None or any(may_drop(inner, store) for inner in with_nested(current)):
            return False
        current = current.previous
    return False


def _builder(node: Node) -> Builder:
    build = Builder(Block(None), schema_of)
    build.span, build.scope = node.span, node.scope
    return build


def _replace(node: Node, build: Builder, *results: Value) -> None:
    """Put what was built in the place of ``node``."""
    for made in list(build.block.nodes):
        made.detach()
        made.insert_before(node)
    node.replace_with(*results)


def _search(node: Node) -> Value:
    """Replace a reading node by a search and what depends on it; the entry."""
    dictionary, key = node.inputs[:2]
    build = _builder(node)
    entry = build.op("dict::find", dictionary, key)
    if node.kind == "dict::getitem":
        build.op_node("dict::check_found", [dictionary, key, entry])
        result = build.op("dict::value_at", dictionary, entry)
    else:
        result = build.op("int::ge", entry, build.constant(0))
        if node.kind == "dict::get_default":
            result = _choose(build, node, entry, result)
    _replace(node, build, result)
    return entry


def _choose(build: Builder, node: Node, entry: Value, found: Value) -> Value:
    """The value of the entry, or the default."""
    dictionary, _, default = node.inputs
    branch = build.if_node(found)
    output = branch.add_output(node.output.type, node.output.name)
    with build.at(branch.blocks[0]):
        value = build.op("dict::value_at", dictionary, entry)
    branch.blocks[0].terminate(YIELD, [value], node.span)
    branch.blocks[1].terminate(YIELD, [default], node.span)
    return output


def _is_in_loop(node: Node) -> bool:
    """Whether a node may run again and again."""
    assert node.block is not None
    return innermost_loop(node.block) is not None


def _store_at(store: Node, entry: Value | None, *, surely: bool) -> None:
    """Store into the entry, or that of a search; unless it ``surely`` exists, only if it does."""
    dictionary, key, value = store.inputs
    build = _builder(store)
    if entry is None:
        entry = build.op("dict::find", dictionary, key)
    if surely:
        build.op_node("dict::set_at", [dictionary, entry, value])
    else:
        branch = build.if_node(build.op("int::ge", entry, build.constant(0)))
        with build.at(branch.blocks[0]):
            build.op_node("dict::set_at", [dictionary, entry, value])
        with build.at(branch.blocks[1]):
            build.op_node("dict::add", [dictionary, key, value])
        for block in branch.blocks:
            block.terminate(YIELD, [], store.span)
    _replace(store, build)
