"""The template's API: whom it slows down, and what it writes about requests."""

import json
import re

from template import read as read_template
from template import resources


def test_the_api_is_throttled_and_logged():
    api = resources()["Api"]["Properties"]
    [settings] = api["MethodSettings"]
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    assert settings["ThrottlingRateLimit"] == "RequestsPerSecond"
    assert settings["ThrottlingBurstLimit"] == "RequestBurst"
    assert api["AccessLogSetting"]["DestinationArn"] == "AccessLogs.Arn"
    # API Gateway takes a log setting only once its role is set.
    assert "ApiGatewayAccount" in str(api["Variables"])


def test_addresses_are_limited_if_the_stack_says_so():
    """Not shown by the local AWS, which has no WAF."""
    template = read_template()
    parameter = template["Parameters"]["RateLimitPerAddress"]
    assert parameter["Default"] == "0"
    for text, fits in (("0", True), ("10", True), ("2000", True), ("9", False), ("-1", False), ("1e3", False)):
        assert bool(re.fullmatch(parameter["AllowedPattern"], text)) == fits, text
    acl, association = resources()["AddressLimits"], resources()["AddressLimitsOfApi"]
    assert acl["Condition"] == association["Condition"] == "LimitsAddresses"
    assert template["Conditions"]["LimitsAddresses"] == [["RateLimitPerAddress", "0"]]
    [rule] = acl["Properties"]["Rules"]
    statement = rule["Statement"]["RateBasedStatement"]
    assert (statement["AggregateKeyType"], statement["Limit"]) == ("IP", "RateLimitPerAddress")
    assert rule["Action"] == {"Block": {}}
    # A sample would have headers and query.
    assert rule["VisibilityConfig"]["SampledRequestsEnabled"] is False
    definition = resources()["Api"]["Properties"]["DefinitionBody"]
    assert definition["x-amazon-apigateway-gateway-responses"]["WAF_FILTERED"]["statusCode"] == "429"


def test_api_gateway_logs_no_requests_beside_the_access_log():
    # Its execution logs would have query strings, which carry secrets.
    [settings] = resources()["Api"]["Properties"]["MethodSettings"]
    assert not {"LoggingLevel", "DataTraceEnabled"} & settings.keys()


def test_the_stage_is_not_traced():
    # API Gateway records the URL of a request, with its query, and protocol C has its secret there.
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-using-xray-maps.html
    assert not resources()["Api"]["Properties"].get("TracingEnabled")


def test_no_answer_and_no_log_repeats_what_api_gateway_says_of_a_header():
    # Its message on an Authorization header at an unknown path has the header's value.
    api = resources()["Api"]["Properties"]
    assert "error.message" not in api["AccessLogSetting"]["Format"]
    responses = api["DefinitionBody"]["x-amazon-apigateway-gateway-responses"]
    assert "error.message" not in str(responses)


def test_what_api_gateway_refuses_has_the_form_of_every_protocol():
    responses = resources()["Api"]["Properties"]["DefinitionBody"]["x-amazon-apigateway-gateway-responses"]
    for name, response in responses.items():
        [text] = response["responseTemplates"].values()
        body = json.loads(text)
        code = int(response["statusCode"])
        message = body["message"]
        assert body == {
            "message": message,
            "request_id": "$context.requestId",
            "status": {"status_code": code, "message": message, "errors": [{"code": code, "message": message}]},
        }, name
        parameters = response.get("responseParameters", {})
        assert ("gatewayresponse.header.Retry-After" in parameters) == (code == 429), name


def test_every_path_has_one_method_which_is_any():
    paths = resources()["Api"]["Properties"]["DefinitionBody"]["paths"]
    assert {"/", "/{proxy+}", "/openapi.json"} <= paths.keys()
    for path, methods in paths.items():
        assert list(methods) == ["x-amazon-apigateway-any-method"], path


def test_nothing_is_paid_for_that_nobody_reads():
    [settings] = resources()["Api"]["Properties"]["MethodSettings"]
    assert not settings.get("MetricsEnabled")


def test_the_setting_of_the_account_waits_for_the_first_api():
    assert resources()["ApiGatewayAccount"]["DependsOn"] == "Api"
