"""Clients that are generated from openapi.yaml use the local stack, and so do the programs in docs/clients.md.

Types are checked before anything runs. What needs a tool that no pin installs is skipped without it.
"""

import json
import os
import re
import shutil
import uuid
from pathlib import Path

import client_tools
import collection
import pytest
import yaml
from client_tools import CONTRACT, PINS, run
from conftest import Client, Stack
from receiver import Receiver
from settings import ROOT, environment
from streams import Streams, is_streams

PAGE = ROOT / "docs" / "clients.md"
UREQ = "3.5.2"  # of the program in Rust
SERDE_JSON = "1.0.154"


class Programs:
    """Runs programs that subscribe, publish and read exchanges, and looks at what came of them."""

    def __init__(self, streams: Streams, receiver: Receiver):
        self.streams = streams
        self.receiver = receiver
        self.stack: Stack = streams.stack
        # On no other machine has a program the environment of the stack, such as its AWS.
        self.env = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "BELLWIRE_"))} | {
            "BELLWIRE_URL": self.stack.url,
            "BELLWIRE_API_KEY": streams.subscriber.api_key,
            "BELLWIRE_PUBLISHER_KEY": streams.publisher.api_key,
            "WEBHOOK_URL": f"{receiver.url}/hook",
        }

    def run_generated(self, command: list[str]) -> None:
        """Runs one of the programs in tests/clients, which makes a topic of its own."""
        said = json.loads(run(command, env=self.env | {"TOPIC_NAME": f"test-{uuid.uuid4()}"}, seconds=60))
        self.stack.topics.append(said["topic"])
        self.made(said["subscription"])
        [arrival] = self.receiver.wait_for(is_streams)
        assert arrival.headers["x-axway-streams-topic-id"] == said["topic"]
        assert arrival.headers["x-axway-streams-event-id"] == said["published"]
        self.check(said["subscription"], said["exchanges"])

    def run_printed(self, command: list[str], cwd: Path = ROOT, seconds: float = 60) -> None:
        """Runs one of the programs of the page, on a topic that is there."""
        topic = self.streams.topic()
        exchanges = json.loads(run(command, cwd, self.env | {"TOPIC": topic}, seconds))
        [arrival] = self.receiver.wait_for(is_streams)
        assert arrival.headers["x-axway-streams-topic-id"] == topic
        subscription = arrival.headers["x-axway-streams-subscription-id"]
        self.made(subscription)
        self.check(subscription, exchanges)

    def made(self, subscription: str) -> None:
        subscriber: Client = self.streams.subscriber
        self.stack.subscriptions_made.append((subscriber, subscription))

    def check(self, subscription: str, exchanges: list[dict]) -> None:
        [arrival] = self.receiver.wait_for(is_streams)
        assert arrival.json() == {"order": 7}
        [exchange] = exchanges
        assert exchange["subscriptionId"] == subscription
        assert exchange["requestUrl"] == self.env["WEBHOOK_URL"]
        assert exchange["pipelineId"] == arrival.headers["webhook-id"]
        assert exchange["responseCode"] == 200


@pytest.fixture
def programs(streams, receiver) -> Programs:
    return Programs(streams, receiver)


def printed(language: str) -> str:
    """The program of the page in this language."""
    [program] = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return program


def calls() -> list[dict]:
    """The operations of the contract."""
    paths = yaml.load(CONTRACT.read_text(), yaml.CSafeLoader)["paths"]
    return [it for path in paths.values() for key, it in path.items() if key != "parameters"]


def snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


@pytest.fixture(scope="module")
def python_client(tmp_path_factory) -> Path:
    """A folder with the package bellwire_client, and the programs that use it."""
    folder = tmp_path_factory.mktemp("python")
    tools = client_tools.python()
    generate = [str(tools / "openapi-python-client"), "generate", "--path", str(CONTRACT), "--meta", "none"]
    generate += ["--config", str(PINS / "openapi-python-client.yaml"), "--output-path", str(folder / "bellwire_client")]
    # A warning would be a call or a schema that the client hasn't got.
    generate += ["--fail-on-warning"]
    # It formats with the ruff beside it.
    run(generate, folder, environment(PATH=f"{tools}{os.pathsep}{os.environ['PATH']}"))
    shutil.copy(PINS / "program.py", folder)
    (folder / "printed.py").write_text(printed("python"))
    return folder


@pytest.fixture(scope="module")
def typescript_client(tmp_path_factory) -> Path:
    """A folder with the compiled programs, whose types are right; the client's are beside them."""
    try:
        tools = client_tools.node()
    except client_tools.Missing as missing:
        pytest.skip(str(missing))
    folder = tmp_path_factory.mktemp("typescript")
    (folder / "node_modules").symlink_to(tools / "node_modules")
    programs = tools / "node_modules" / ".bin"
    run([str(programs / "openapi-typescript"), str(CONTRACT), "-o", "bellwire.ts"], folder)
    shutil.copy(PINS / "package.json", folder)  # says that these are modules
    shutil.copy(PINS / "program.ts", folder)
    (folder / "printed.ts").write_text(printed("ts"))
    options = ["--strict", "--noEmitOnError", "--module", "nodenext", "--target", "es2022", "--types", "node"]
    options += ["--skipLibCheck"]  # of TypeScript's and Node's own declarations; bellwire.ts is checked
    run([str(programs / "tsc"), *options, "program.ts", "printed.ts"], folder)
    return folder


class TestPython:
    def test_it_has_every_call(self, python_client):
        found = {file.stem for file in python_client.glob("bellwire_client/api/*/*.py")} - {"__init__"}
        assert found == {snake_case(it["operationId"]) for it in calls()}

    def test_types(self, python_client):
        mypy = [str(client_tools.python() / "mypy"), "--strict", "--config-file=", "program.py"]
        run([*mypy, "--cache-dir", str(client_tools.TOOLS / "mypy")], python_client)

    def test_wrong_types_are_found(self, python_client):
        wrong = (PINS / "program.py").read_text().replace("(str(topic.id), client=subs", "(topic, client=subs")
        (python_client / "wrong.py").write_text(wrong)
        mypy = [str(client_tools.python() / "mypy"), "--strict", "--config-file=", "wrong.py"]
        with pytest.raises(client_tools.Failed, match=r"arg-type"):
            run([*mypy, "--cache-dir", str(client_tools.TOOLS / "mypy")], python_client)

    def test_it_publishes_and_reads_exchanges(self, programs, python_client):
        programs.run_generated([str(client_tools.python() / "python"), str(python_client / "program.py")])

    def test_the_program_of_the_page(self, programs, python_client):
        programs.run_printed([str(client_tools.python() / "python"), str(python_client / "printed.py")])


class TestTypeScript:
    def test_it_has_every_call(self, typescript_client):
        types = (typescript_client / "bellwire.ts").read_text()
        for operation in calls():
            assert f'operations["{operation["operationId"]}"]' in types

    def test_it_publishes_and_reads_exchanges(self, programs, typescript_client):
        programs.run_generated(["node", str(typescript_client / "program.js")])

    def test_the_program_of_the_page(self, programs, typescript_client):
        programs.run_printed(["node", str(typescript_client / "printed.js")])


class TestOtherPrograms:
    """Those of the page that need no generated client."""

    def test_curl(self, programs, tmp_path):
        if shutil.which("curl") is None:
            pytest.skip("curl is not installed")
        (tmp_path / "printed.sh").write_text(printed("sh"))
        programs.run_printed(["sh", str(tmp_path / "printed.sh")])

    def test_go(self, programs, tmp_path):
        if shutil.which("go") is None:
            pytest.skip("Go is not installed")
        (tmp_path / "main.go").write_text(printed("go"))
        programs.run_printed(["go", "run", "main.go"], tmp_path, seconds=300)

    def test_rust(self, programs, tmp_path):
        if os.environ.get("BELLWIRE_TEST_RUST") != "1":
            pytest.skip("compiles an HTTP client; BELLWIRE_TEST_RUST=1 runs it")
        assert f'version = "{UREQ}"' in PAGE.read_text()
        (tmp_path / "src").mkdir()
        (tmp_path / "src" / "main.rs").write_text(printed("rust"))
        (tmp_path / "Cargo.toml").write_text(f"""
            [package]
            name = "printed"
            edition = "2024"
            [dependencies]
            serde_json = "={SERDE_JSON}"
            # The local stack is http, and TLS is most of what would be compiled.
            ureq = {{ version = "={UREQ}", default-features = false, features = ["json"] }}
        """)
        shutil.copy(ROOT / "rust-toolchain.toml", tmp_path)
        target = client_tools.TOOLS / "rust"
        programs.run_printed(["cargo", "run", "--quiet", "--target-dir", str(target)], tmp_path, seconds=600)


class TestPage:
    @pytest.mark.parametrize("tool", ["openapi-python-client", "openapi-typescript", "openapi-fetch"])
    def test_its_versions_are_the_pinned_ones(self, tool):
        pinned = {it["name"]: it["version"] for it in pinned_tools()}
        [said] = set(re.findall(rf"\b{tool}(?:\]\(\S+\))? (\d\S*\d)", PAGE.read_text()))
        assert said == pinned[tool]

    def test_the_version_of_the_converter_is_the_pinned_one(self):
        pinned = {it["name"]: it["version"] for it in pinned_tools()}
        assert f"openapi-to-postmanv2 {pinned['openapi-to-postmanv2']}." in PAGE.read_text()


def pinned_tools() -> list[dict[str, str]]:
    npm = json.loads((PINS / "package.json").read_text())
    named = npm["dependencies"] | npm["devDependencies"]
    python = re.findall(r"^(\S+)==(\S+) \\$", (PINS / "requirements.txt").read_text(), re.MULTILINE)
    return [{"name": name, "version": version} for name, version in [*named.items(), *python]]


class TestTools:
    def test_node_that_is_missing_is_said(self, monkeypatch, tmp_path):
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(client_tools.Missing, match="not installed"):
            client_tools.node.__wrapped__()

    def test_node_that_is_too_old_is_said(self, monkeypatch, tmp_path):
        for name in ("node", "npm"):
            (tmp_path / name).write_text("#!/bin/sh\necho v18.20.4\n")
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(client_tools.Missing, match="v18"):
            client_tools.node.__wrapped__()

    def test_an_interrupted_installation_is_repeated(self, tmp_path):
        pins, folder, installed = tmp_path / "pins", tmp_path / "tool", []
        pins.write_text("1")

        def fail() -> None:
            (folder / "half").touch()
            raise client_tools.Failed("interrupted")

        with pytest.raises(client_tools.Failed):
            client_tools.once(folder, fail, pins)
        for text in ("1", "1", "2"):
            pins.write_text(text)
            client_tools.once(folder, lambda: installed.append(sorted(folder.iterdir())), pins)
        assert installed == [[], []]

    def test_the_pins_name_no_registry(self):
        locked = json.loads((PINS / "package-lock.json").read_text())["packages"]
        assert all("resolved" not in it and ("integrity" in it or not name) for name, it in locked.items())
        python = (PINS / "requirements.txt").read_text()
        assert "://" not in python
        assert python.count("==") == len(re.findall(r"==\S+ \\\n    --hash=sha256:", python))


def test_a_contract_that_is_none_makes_no_collection(monkeypatch, tmp_path, typescript_client):
    (tmp_path / "openapi.yaml").write_text("openapi: 3.1.0\n")
    (tmp_path / "collection.json").write_text("an older one")
    monkeypatch.setattr(client_tools, "CONTRACT", tmp_path / "openapi.yaml")
    with pytest.raises(client_tools.Failed, match="could not be made"):
        collection.make(tmp_path / "collection.json")
    assert not (tmp_path / "collection.json").exists()


def test_the_collection_has_every_call(tmp_path):
    try:
        collection.make(tmp_path / "collection.json")
    except client_tools.Missing as missing:
        pytest.skip(str(missing))
    made = json.loads((tmp_path / "collection.json").read_text())
    folders = {folder["name"]: folder["item"] for folder in made["item"]}
    assert folders.keys() == {tag for operation in calls() for tag in operation["tags"]}
    assert sum(map(len, folders.values())) == len(calls())
    assert {"baseUrl", "apiKey"} <= set(re.findall(r"{{(\w+)}}", json.dumps(made)))
