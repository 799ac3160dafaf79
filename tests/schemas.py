"""JSON Schema for the tests: schemas with what they refer to, compiled once, and what is wrong with a value."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from jsonschema_rs import Draft202012Validator, ValidationError, ValidationErrorKind

# What a schema says for its readers alone.
ANNOTATIONS = {"description", "examples", "summary", "title"}


class ContentSchema:
    """The keyword `contentSchema` of JSON Schema: what the JSON in a text is. Validators leave it to the reader."""

    def __init__(self, parent_schema: dict, value: Any, schema_path: list):
        self.validator = compiled(value)

    def validate(self, instance: Any) -> None:
        for problem in self.iter_errors(instance):
            raise problem

    def iter_errors(self, instance: Any) -> Iterator[Exception]:
        try:
            for problem in problems_of(self.validator, json.loads(instance)):
                yield ValueError(problem.lstrip(": "))
        except (ValueError, TypeError) as error:
            yield ValueError(f"is not JSON: {error}")


def compiled(schema: Any) -> Draft202012Validator:
    return Draft202012Validator(
        schema,
        validate_formats=True,
        ignore_unknown_formats=False,
        formats={"int64": lambda value: not isinstance(value, int) or -(2**63) <= value < 2**63},
        keywords={"contentSchema": ContentSchema},
        offline=True,
    )


def problems_of(validator: Draft202012Validator, value: Any) -> list[str]:
    """What is wrong with a value, and where: ` at items[0].id: …`. At most five of it."""
    found = [it for error in validator.iter_errors(value) for it in closest(error)]
    return [f"{where(it.instance_path)}: {it.message[:300]}" for it in found[:5]]


def closest(error: ValidationError) -> list[ValidationError]:
    """An error; of alternatives, those of the one that fits best: what has gone deepest, or the least is wrong with."""
    if not isinstance(error.kind, ValidationErrorKind.AnyOf | ValidationErrorKind.OneOfNotValid):
        return [error]
    branches = [branch for branch in error.kind.context if branch]
    if not branches:
        return [error]
    best = min(branches, key=lambda branch: (-max(len(it.instance_path) for it in branch), len(branch)))
    return [it for inner in best for it in closest(inner)]


def where(path: Iterable[str | int]) -> str:
    text = "".join(f"[{it}]" if isinstance(it, int) else f".{it}" for it in path).lstrip(".")
    return f" at {text}" if text else ""


def inlined(node: Any, document: dict, known: dict[str, Any]) -> Any:
    """A node with what its references lead to in their places. What stands beside a reference counts as well.

    Raises RecursionError for a reference that leads into itself."""
    if isinstance(node, list):
        return [inlined(it, document, known) for it in node]
    if not isinstance(node, dict):
        return node
    own = {key: inlined(it, document, known) for key, it in node.items() if key != "$ref"}
    reference = node.get("$ref")
    if reference is None:
        return own
    if reference not in known:
        target: Any = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        known[reference] = inlined(target, document, known)
    if known[reference].keys() & own.keys() - ANNOTATIONS:
        return {**own, "allOf": [known[reference]]}
    return {**known[reference], **own} if own else known[reference]


def typed(schema: dict, text: str) -> Any:
    """A parameter or header as the value that its schema wants; as text if it isn't one."""
    if schema.get("type") == "integer" and re.fullmatch(r"-?\d{1,100}", text):
        return int(text)
    if schema.get("type") == "boolean" and text in ("true", "false"):
        return text == "true"
    return text


def parsed(body: bytes) -> tuple[Any, Exception | None]:
    """A JSON text, or what is wrong with it."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no number")

    try:
        return json.loads(body.decode(), parse_constant=refuse), None
    except (ValueError, RecursionError) as error:
        return None, error


def plain(body: bytes) -> bool:
    """Whether every reader of JSON reads the same in a body: what JSON Schema can say of it, and nothing else, counts."""

    def once(pairs: list[tuple[str, Any]]) -> dict:
        if len({name for name, _ in pairs}) < len(pairs):
            raise ValueError("a name occurs twice")
        return dict(pairs)

    try:
        json.dumps(json.loads(body.decode(), object_pairs_hook=once), ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return False
    return True
