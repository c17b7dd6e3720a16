"""Keywords of a JSON schema that are enforced, or that say nothing about the JSON.

llguidance names those that it knows and does not implement. One that nobody knows is most often misspelt, and
JSON Schema would have it ignored: here it is refused.
"""

from __future__ import annotations

from typing import Any

from arrowmind.errors import InvalidArgumentError

__all__ = ["check_keywords"]

# fmt: off
ENFORCED = frozenset((
    "type", "enum", "const", "$ref", "anyOf", "oneOf", "allOf",
    "properties", "patternProperties", "additionalProperties", "required", "minProperties", "maxProperties",
    "items", "prefixItems", "additionalItems", "minItems", "maxItems",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    "minLength", "maxLength", "pattern", "format",
))
_SAYING_NOTHING = frozenset((
    "$schema", "$id", "id", "$anchor", "$comment", "$defs", "definitions", "title", "description", "default",
    "example", "examples", "readOnly", "writeOnly", "deprecated",
))
# Of the specification, not implemented: llguidance names them.
_NAMED = frozenset((
    "not", "if", "then", "else", "contains", "minContains", "maxContains", "uniqueItems", "dependentRequired",
    "dependentSchemas", "dependencies", "propertyNames", "unevaluatedItems", "unevaluatedProperties",
    "contentEncoding", "contentMediaType", "contentSchema", "$dynamicRef", "$dynamicAnchor", "$vocabulary",
    "$recursiveRef", "$recursiveAnchor",
))
# fmt: on
_MAPS = ("properties", "patternProperties", "$defs", "definitions")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems", "items")
_SINGLE = ("items", "additionalProperties", "additionalItems")


def check_keywords(schema: Any, path: str = "#") -> None:
    """Refuses keywords that no version of JSON Schema has, wherever a schema may stand.

    Raises:
        InvalidArgumentError: There is one.
    """
    if not isinstance(schema, dict):
        return
    unknown = schema.keys() - ENFORCED - _SAYING_NOTHING - _NAMED
    unknown = {key for key in unknown if not key.startswith("x-")}
    if unknown:
        raise InvalidArgumentError(
            f"the JSON schema has {', '.join(map(repr, sorted(unknown)))} at {path}, which is no keyword; "
            f"take it out, or use one of {', '.join(sorted(ENFORCED))}"
        )
    for key in _MAPS:
        inner = schema.get(key)
        for name, value in inner.items() if isinstance(inner, dict) else ():
            check_keywords(value, f"{path}/{key}/{name}")
    for key in _LISTS:
        listed = schema.get(key)
        for index, value in enumerate(listed if isinstance(listed, list) else ()):
            check_keywords(value, f"{path}/{key}/{index}")
    for key in _SINGLE:
        check_keywords(schema.get(key), f"{path}/{key}")
