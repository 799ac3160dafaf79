"""API Gateway as on AWS: what MiniStack's does otherwise, as far as the product depends on it."""

import gzip
import json

from ministack import app
from ministack.services import apigateway_v1

# The name under which an OpenAPI definition has the method that stands for all others.
ANY = "x-amazon-apigateway-any-method"


def correct() -> None:
    correct_gateway_responses()
    correct_any_method()
    correct_events()
    correct_compression()


def correct_gateway_responses() -> None:
    """The gateway responses in the OpenAPI definition of a REST API.

    MiniStack leaves them out when it imports a definition; AWS takes them over.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions-gateway-responses.html
    """
    original = apigateway_v1._import_rest_api

    def import_rest_api(spec: dict, base_data: dict | None = None) -> str:
        api_id = original(spec, base_data)
        responses = spec.get("x-amazon-apigateway-gateway-responses") or {}
        for response_type, response in responses.items():
            status, _headers, body = apigateway_v1._put_gateway_response(api_id, response_type, response)
            if status >= 400:
                raise ValueError(f"gateway response {response_type}: {json.loads(body)}")
        return api_id

    apigateway_v1._import_rest_api = import_rest_api


def correct_any_method() -> None:
    """The method `ANY` in the OpenAPI definition of a REST API.

    MiniStack leaves it out when it imports a definition; AWS takes it over.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions-any-method.html
    """
    original = apigateway_v1._import_path_item

    def import_path_item(api_id: str, path: str, item: dict, *arguments) -> None:
        renamed = {"any" if method == ANY else method: operation for method, operation in item.items()}
        original(api_id, path, renamed, *arguments)

    apigateway_v1._OPENAPI_HTTP_METHODS.add("any")
    apigateway_v1._import_path_item = import_path_item


def correct_events() -> None:
    """What a function is told of how it was called.

    MiniStack says nothing of the scheme, and leaves the part of the path out that stands
    for the domain. AWS passes `X-Forwarded-Proto` on, and in `requestContext.path` what
    was called: with the stage, or with the base path of a domain of one's own.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
    """
    original = apigateway_v1._build_lambda_event_v1

    def build_lambda_event(api_id: str, stage: str, *arguments, **named) -> dict:
        event = original(api_id, stage, *arguments, **named)
        context = event["requestContext"]
        context["path"] = f"/_aws/execute-api/{api_id}{context['path']}"
        event["headers"]["X-Forwarded-Proto"] = "http"
        event["multiValueHeaders"]["X-Forwarded-Proto"] = ["http"]
        return event

    apigateway_v1._build_lambda_event_v1 = build_lambda_event


def correct_compression() -> None:
    """What an API with `minimumCompressionSize` does.

    MiniStack stores the setting alone. AWS unpacks what callers send compressed, and compresses
    responses that are at least so large when the caller accepts it.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-gzip-compression-decompression.html
    """
    original = apigateway_v1.handle_execute

    async def handle_execute(api_id: str, stage: str, method: str, path: str, headers: dict, body: bytes, *rest):
        least = (apigateway_v1._rest_apis.get(api_id) or {}).get("minimumCompressionSize")
        if least is not None:
            body = app._decompress_request_body(body, headers)
        status, response_headers, response = await original(api_id, stage, method, path, headers, body, *rest)
        accepted = apigateway_v1._header_ci(headers, "accept-encoding").lower()
        if least is None or "gzip" not in accepted or len(response) < int(least):
            return status, response_headers, response
        return status, {**response_headers, "Content-Encoding": "gzip"}, gzip.compress(response)

    apigateway_v1.handle_execute = handle_execute
