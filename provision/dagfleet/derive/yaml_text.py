"""Derived YAML: the same text for the same values, and a line that says where it comes from."""

from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter

# Dagster reads YAML 1.1, where these words are booleans.
_BOOLEAN_WORDS = frozenset({"y", "n", "yes", "no", "on", "off"})


def yaml_text(values: dict[str, Any]) -> str:
    """Return `values` as YAML, in their order."""
    yaml = YAML(typ="rt", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.width = 4096
    text = StringIO()
    yaml.dump(values, text)
    return f"# Made from fleet.yml by Dagfleet: change it there.\n{text.getvalue()}"


class _Representer(RoundTripRepresenter):
    """Quotes what YAML 1.1 would not read as text."""

    def represent_text(self, value: str) -> ScalarNode:
        """Return the node for `value`."""
        style = '"' if value.lower() in _BOOLEAN_WORDS else None
        return self.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Representer.add_representer(str, _Representer.represent_text)
