"""template.yaml, for Python."""

from functools import cache

import yaml
from settings import ROOT


class Loader(yaml.CSafeLoader):
    """Reads CloudFormation's short tags, such as !Ref, as their arguments."""


def argument(loader: Loader, _tag: str, node: yaml.Node):
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


Loader.add_multi_constructor("!", argument)


@cache
def read() -> dict:
    return yaml.load((ROOT / "template.yaml").read_text(), Loader)


def resources() -> dict[str, dict]:
    return read()["Resources"]


def functions() -> dict[str, str]:
    """The folder of each function, such as `functions/subscribe`, by its logical id."""
    found = {name: it for name, it in resources().items() if it["Type"] == "AWS::Serverless::Function"}
    return {name: it["Properties"]["CodeUri"] for name, it in found.items()}
