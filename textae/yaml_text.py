"""YAML that anybody may have written: without its traps, and of bounded depth and size."""

import re
from typing import Any

import yaml

MOST_NESTED = 100
# With what aliases stand for. Nine lines in which each names the one before nine times are a billion.
MOST_NODES = 50_000
_LONGEST_NUMBER = 400
_MOST_BITS = 64


class StrictLoader(yaml.SafeLoader):
    """YAML as settings want it, every mistake in it a ``yaml.YAMLError``.

    ``1e-3`` is a number, a key given twice is an error, and so is what would take more time, memory or stack
    than any recipe needs: nesting, aliases of aliases, numbers of hundreds of digits.
    """

    def __init__(self, stream: str):
        super().__init__(stream)
        self._depth = self._nodes = 0
        self._nodes_of: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose the next node, counted as often as it is named."""
        event: Any = self.peek_event()
        mark: Any = event.start_mark
        before = self._nodes
        self._depth += 1
        if self._depth > MOST_NESTED:
            raise yaml.composer.ComposerError(None, None, "it is nested too deeply", mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(event, yaml.AliasEvent):
            if id(node) not in self._nodes_of:
                what = f'"*{event.anchor}" stands inside of what it stands for'
                raise yaml.composer.ComposerError(None, None, what, mark)
            self._nodes += self._nodes_of[id(node)]
        else:
            self._nodes += 1
            self._nodes_of[id(node)] = self._nodes - before
        if self._nodes > MOST_NODES:
            what = f"it has more than {MOST_NODES:,} values with what aliases stand for"
            raise yaml.composer.ComposerError(None, None, what, mark)
        return node

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """Make a value of a node; a date that no calendar has, for example, is an error of YAML, too."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, ArithmeticError, AttributeError, TypeError) as error:
            kind = str(node.tag).rpartition(":")[2]
            value = f'"{node.value[:40]}"' if isinstance(node.value, str) else "what stands here"
            what = f"{value} cannot be read as {kind}"
            raise yaml.constructor.ConstructorError(None, None, what, node.start_mark) from error

    def construct_whole_number(self, node: Any) -> int:
        """Make a whole number that a processor can hold."""
        # Looked at first: what is written to the base of 60 takes long.
        if len(str(node.value)) > _LONGEST_NUMBER:
            raise ValueError("too many digits")
        value: int = self.construct_yaml_int(node)
        if value.bit_length() > _MOST_BITS:
            raise ValueError("too many digits")
        return value

    def refuse_kind(self, node: Any) -> None:
        """Refuse what no setting is, and what does not come back the same once it is written."""
        raise ValueError("no kind of a setting")

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Make a mapping, no key twice."""
        seen: set[str] = set()
        # What is called a mapping by its tag may be none.
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f'"{key.value}" is given twice', key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


StrictLoader.add_constructor("tag:yaml.org,2002:int", StrictLoader.construct_whole_number)
for _kind in ("binary", "omap", "pairs", "set"):
    StrictLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", StrictLoader.refuse_kind)
StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)
