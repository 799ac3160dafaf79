"""openapi.yaml is valid, describes what template.yaml and the functions have, and its examples are what it says."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from openapi_spec_validator import OpenAPIV31SpecValidator
from settings import ROOT
from template import resources

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
# What the keys of an object are up to the writer of the document, and not to OpenAPI.
NAMED = {
    "paths",
    "webhooks",
    "properties",
    "schemas",
    "parameters",
    "headers",
    "responses",
    "examples",
    "securitySchemes",
}
# What holds values of the API, of any shape.
VALUES = {"example", "examples", "default", "const", "enum", "value"}


@cache
def contract() -> dict:
    return yaml.load((ROOT / "openapi.yaml").read_text(), yaml.CSafeLoader)


def resolve(node: Any) -> Any:
    """The node that a reference leads to; any other node as it is."""
    while isinstance(node, dict) and "$ref" in node:
        target: Any = contract()
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def operations(section: str) -> Iterator[tuple[str, str, dict]]:
    """The operations of `paths` or `webhooks`: path or name, method in capitals, and the operation."""
    for path, item in contract()[section].items():
        for method in sorted(METHODS & item.keys()):
            yield path, method.upper(), item[method]


def all_operations() -> list:
    found = [*operations("paths"), *operations("webhooks")]
    return [pytest.param(path, it, id=it.get("operationId", f"{method} {path}")) for path, method, it in found]


def walk(node: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every node of the document but what is inside of values, with the keys that lead to it."""
    yield at, node
    named = bool(at) and at[-1] in NAMED
    if isinstance(node, dict):
        for key, inner in node.items():
            if named or key not in VALUES:
                yield from walk(inner, (*at, str(key)))
    elif isinstance(node, list):
        for n, inner in enumerate(node):
            yield from walk(inner, (*at, str(n)))


class TestDocument:
    """By itself."""

    def test_it_is_valid(self):
        problems = OpenAPIV31SpecValidator(contract()).iter_errors()
        assert [(list(it.absolute_path), it.message) for it in problems] == []

    def test_no_text_was_cut_at_a_comma(self):
        # In `{description: a, b}`, YAML reads b as a key of its own.
        assert ["/".join(at) for at, node in walk(contract()) if node is None] == []

    def test_operation_ids_are_unique(self):
        found = [*operations("paths"), *operations("webhooks")]
        ids = Counter(operation["operationId"] for _, _, operation in found)
        assert [name for name, count in ids.items() if count > 1] == []

    def test_all_components_are_used(self):
        used = {node for at, node in walk(contract()) if at and at[-1] == "$ref"}
        there = {f"#/components/{kind}/{name}" for kind, of in contract()["components"].items() for name in of}
        assert {it for it in there - used if not it.startswith("#/components/securitySchemes/")} == set()

    def test_objects_of_ours_have_no_other_keys(self):
        """What Amazon SNS sends is up to AWS, and what several events of a batch are, each of them says by itself."""
        open_on_purpose = {
            "EntityAnything",
            "BatchedEvent",
            "ResultsRequest",
            "ScrollRequest",
            "SnsNotification",
            "SnsSubscriptionConfirmation",
        }
        schemas = contract()["components"]["schemas"]
        found = {
            name for name, it in schemas.items() if "properties" in it and it.get("additionalProperties") is not False
        }
        assert found == open_on_purpose


class TestCalls:
    """Those of the API, as they are deployed."""

    def test_the_paths_are_those_of_the_template(self):
        body = resources()["Api"]["Properties"]["DefinitionBody"]
        # Consoles are pages, and no calls.
        others = {"/", "/console", "/operator"}
        deployed = {path for path in body["paths"] if not path.endswith("+}")} - others
        assert contract()["paths"].keys() == deployed

    def test_the_methods_are_those_of_the_functions(self):
        described = {(method, path) for path, method, _ in operations("paths")}
        assert described == routes()

    def test_path_parameters_are_declared(self):
        for path, item in contract()["paths"].items():
            declared = {it["name"] for it in map(resolve, item.get("parameters", [])) if it["in"] == "path"}
            for method in METHODS & item.keys():
                own = map(resolve, item[method].get("parameters", []))
                declared_here = declared | {it["name"] for it in own if it["in"] == "path"}
                assert declared_here == set(re.findall(r"{(\w+)}", path)), path

    @pytest.mark.parametrize(("path", "operation"), all_operations())
    def test_an_operation_says_what_a_caller_needs(self, path, operation):
        assert re.fullmatch("[a-z][A-Za-z]+", operation["operationId"])
        assert set(operation["tags"]) <= {tag["name"] for tag in contract()["tags"]}
        assert operation["tags"]
        assert operation["summary"]
        shown = [resolve(it) for it in operation["responses"].values()]
        assert all(it["description"] for it in shown)
        if path in contract()["paths"]:
            assert {"405", "406", "429", "500", "503"} <= operation["responses"].keys()
            assert "401" in operation["responses"] or operation.get("security") == []
            bodies = [status for status in operation["responses"] if status not in ("204", "304")]
            for status in bodies:
                for media in resolve(operation["responses"][status])["content"].values():
                    assert "schema" in media, status
        if "requestBody" in operation:
            for media in operation["requestBody"]["content"].values():
                assert "schema" in media

    def test_links_lead_to_operations_with_such_parameters(self):
        known = {}
        for path, _, operation in operations("paths"):
            parameters = [*contract()["paths"][path].get("parameters", []), *operation.get("parameters", [])]
            known[operation["operationId"]] = {resolve(it)["name"] for it in parameters}
        links = 0
        for _, _, operation in operations("paths"):
            for response in operation["responses"].values():
                for link in resolve(response).get("links", {}).values():
                    assert set(link.get("parameters", {})) <= known[link["operationId"]], link
                    links += 1
        assert links > 50


def routes() -> set[tuple[str, str]]:
    """The calls of all functions, from `routes!` in their `routes.rs`: method and path, in every spelling."""
    found = set()
    for file in ROOT.glob("functions/*/src/routes.rs"):
        text = file.read_text()
        under = re.search(r"^\s*under ([^;]*);", text, re.MULTILINE)
        prefixes = re.findall(r'"([^"]*)"', under[1]) if under else [""]
        spelled, _, beside = text.partition("beside;")
        for part, begins in ((spelled, prefixes), (beside, [""])):
            for method, paths in re.findall(r'^\s*"([A-Z]+)" ("[^=]*) => ', part, re.MULTILINE):
                found |= {(method, begin + path) for begin in begins for path in re.findall(r'"([^"]*)"', paths)}
    return found


def examples() -> list:
    """Every example of a body, a parameter, a header or a schema, with its schema."""
    found = []
    for at, node in walk(contract()):
        if not isinstance(node, dict) or at[:1] in (("x-errors",), ("x-failures",)):
            continue
        name = "/".join(at)
        if "schema" in node:
            named = node.get("examples", {})
            values = [(key, resolve(it)["value"]) for key, it in named.items()]
            found += [pytest.param(node["schema"], value, id=f"{name}/{key}") for key, value in values]
        elif isinstance(node.get("examples"), list):
            found += [pytest.param(node, value, id=name) for value in node["examples"]]
    return found


class TestExamples:
    @pytest.mark.parametrize(("schema", "value"), examples())
    def test_an_example_is_what_its_schema_says(self, schema, value):
        check(schema, value)

    def test_there_are_some(self):
        assert len(examples()) > 100

    def test_a_wrong_example_would_be_found(self):
        topic = {"$ref": "#/components/schemas/Topic"}
        with pytest.raises(AssertionError):
            check(topic, {"id": "not a UUID"})


def check(schema: dict, value: Any) -> None:
    """Fails unless the value is what the schema says; so does JSON in a text, if the schema says what it is."""
    whole = {**schema, "components": contract()["components"]}
    validator = OAS31Validator(whole, format_checker=oas31_format_checker)
    assert [error.message for error in validator.iter_errors(value)] == []
    schema = resolve(schema)
    if "contentSchema" in schema:
        check(schema["contentSchema"], json.loads(value))
