"""YAML as nodes that know their place: no aliases, no depth without end, quick where libyaml is there."""

from __future__ import annotations

from typing import Any, Final

MAX_DEPTH: Final = 32


def compose(text: str) -> Any:
    """The root node of one document; None when there is none. Raises `yaml.YAMLError`."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    scalar_of: Any = yaml.resolver.Resolver().resolve
    roots: list[Any] = []
    open_: list[tuple[Any, list[Any]]] = []  # a collection, and what was read in it
    event: Any
    node: Any
    for event in yaml.parse(text, loader):
        kind = type(event)
        if kind is yaml.AliasEvent:
            raise yaml.MarkedYAMLError(problem="`*name` is not read here", problem_mark=event.start_mark)
        if kind is yaml.ScalarEvent:
            tag = event.tag or scalar_of(yaml.ScalarNode, event.value, event.implicit)
            node = yaml.ScalarNode(tag, event.value, event.start_mark, event.end_mark)
        elif kind is yaml.SequenceStartEvent or kind is yaml.MappingStartEvent:
            if len(open_) >= MAX_DEPTH:
                raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=event.start_mark)
            collection = yaml.SequenceNode if kind is yaml.SequenceStartEvent else yaml.MappingNode
            open_.append((collection(event.tag, [], event.start_mark, event.end_mark), []))
            continue
        elif kind is yaml.SequenceEndEvent or kind is yaml.MappingEndEvent:
            node, items = open_.pop()
            node.end_mark = event.end_mark
            node.value = (
                items if kind is yaml.SequenceEndEvent else list(zip(items[::2], items[1::2], strict=True))
            )
        else:
            if kind is yaml.DocumentStartEvent and roots:
                raise yaml.MarkedYAMLError(problem="one document is read", problem_mark=event.start_mark)
            continue
        (open_[-1][1] if open_ else roots).append(node)
    return roots[0] if roots else None
