"""`bellwire`: for people a table, for scripts JSON."""

import json
import os
import re
import subprocess
import tomllib
import uuid

import pytest
from build import CLI
from settings import ROOT, environment


def test_create_for_a_script_prints_one_object(stack):
    done = stack.cli("clients", "create", "scripted", "--json")
    assert done.returncode == 0 and done.stderr == ""
    created = json.loads(done.stdout)
    assert set(created) == {"client_id", "name", "publisher", "operator", "api_key", "client_secret"}
    stack.clients.append(created["client_id"])
    assert (created["name"], created["publisher"]) == ("scripted", False)
    # 32 random bytes each: 43 characters and a prefix.
    assert len(created["api_key"]) == len(created["client_secret"]) == 47


def test_create_for_people_says_that_it_is_shown_once(stack):
    done = stack.cli("clients", "create", "for people", "--publisher")
    assert done.returncode == 0
    for word in ("client id", "cl_", "publisher", "bwk_", "bws_", "can't be shown again"):
        assert word in done.stdout
    stack.clients.append(done.stdout.split()[2])


def test_list_shows_every_client_and_no_secret(stack, client):
    stack.cli("clients", "disable", client.client_id)
    table = stack.cli("clients", "list").stdout
    [row] = [line for line in table.splitlines() if client.client_id in line]
    assert client.name in row and "subscriber" in row and row.rstrip().endswith("disabled")
    assert table.splitlines()[0].split() == ["CLIENT", "ID", "NAME", "ROLE", "CREATED", "STATE"]
    listed = json.loads(stack.cli("clients", "list", "--json").stdout)
    [found] = [it for it in listed if it["client_id"] == client.client_id]
    assert set(found) == {
        "client_id",
        "external_id",
        "name",
        "labels",
        "publisher",
        "operator",
        "created_at",
        "key_rotated_at",
        "disabled_at",
        "deleting_since",
    }
    assert found["disabled_at"] is not None


def test_rotate_key_prints_the_new_key(stack, client):
    done = stack.cli("clients", "rotate-key", client.client_id, "--json")
    rotated = json.loads(done.stdout)
    assert set(rotated) == {"client_id", "api_key"}
    assert rotated["api_key"] != client.api_key
    assert "bwk_" in stack.cli("clients", "rotate-key", client.client_id).stdout


def test_a_client_with_an_id_of_the_provider_s_and_several_keys(stack):
    external_id = f"customer-{uuid.uuid4()}"
    options = ["--external-id", external_id, "--label", "plan:gold", "--label", "eu", "--json"]
    created = json.loads(stack.cli("clients", "create", external_id, *options).stdout)
    stack.clients.append(created["client_id"])
    assert created["external_id"] == external_id
    again = stack.cli("clients", "create", "another name", *options)
    assert again.returncode == 1 and f"the external id {external_id} already" in again.stderr
    made = json.loads(stack.cli("clients", "keys", "create", external_id, "--name", "second", "--json").stdout)
    assert stack.call("GET", "/v1/hello", headers={"x-api-key": made["api_key"]}).status_code == 200
    table = stack.cli("clients", "keys", "list", external_id).stdout
    assert table.splitlines()[0].split() == ["KEY", "ID", "NAME", "ENDS", "WITH", "USED", "ON"]
    assert made["id"] in table and made["api_key"][-4:] in table and made["api_key"] not in table
    assert stack.cli("clients", "keys", "revoke", external_id, made["id"]).returncode == 0
    gone = stack.cli("clients", "keys", "revoke", external_id, made["id"])
    assert gone.returncode == 1 and f"has no key {made['id']}" in gone.stderr
    updated = stack.cli("clients", "update", created["client_id"], "--name", "Acme", "--no-labels", "--json")
    assert json.loads(updated.stdout)["name"] == "Acme"
    shown = json.loads(stack.cli("clients", "show", external_id, "--json").stdout)
    assert (shown["name"], shown["labels"], len(shown["keys"])) == ("Acme", [], 1)
    assert "Acme" in stack.cli("clients", "show", external_id).stdout
    found = stack.cli("clients", "list", "--search", f"external_id:{external_id}", "--json").stdout
    assert [it["client_id"] for it in json.loads(found)] == [created["client_id"]]


def test_an_update_of_nothing_and_a_label_that_is_none(stack, client):
    for options, said in (
        ([], "nothing to change"),
        (["--label", "A B"], "lower-case"),
        (["--name", ""], "a name must"),
    ):
        done = stack.cli("clients", "update", client.client_id, *options)
        assert done.returncode == 1 and said in done.stderr
    done = stack.cli("clients", "list", "--search", "(")
    assert done.returncode == 1 and "--search must" in done.stderr


@pytest.mark.parametrize("command", ["show", "disable", "enable", "delete", "rotate-key", "rotate-secret"])
@pytest.mark.parametrize("client_id", ["nobody", "cl_" + "b" * 24, ""])
def test_a_client_that_is_none(stack, command, client_id):
    done = stack.cli("clients", command, client_id)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip() == f"bellwire: there is no client {client_id}".strip()


@pytest.mark.parametrize("name", ["", "  ", "x" * 129, "a\nb"])
def test_a_name_that_is_none(stack, name):
    done = stack.cli("clients", "create", name)
    assert done.returncode == 1 and "1 to 128 characters" in done.stderr


def test_a_stack_that_is_none(stack):
    done = stack.cli("clients", "list", "--stack", "no-such-stack")
    assert done.returncode == 1
    assert done.stderr.startswith("bellwire: the stack no-such-stack could not be read")
    assert len(done.stderr.splitlines()) == 1


def test_no_command_and_wrong_options_show_how_to_call_it(stack):
    for arguments in ([], ["clients"], ["clients", "create"], ["clients", "create", "x", "--admin"]):
        done = stack.cli(*arguments)
        assert done.returncode == 2 and "Usage: bellwire" in done.stderr


def test_a_name_is_given_once(stack, client):
    done = stack.cli("clients", "create", client.name)
    assert (done.returncode, done.stdout) == (1, "")
    expected = f"bellwire: there is a client of the name {client.name} already: {client.client_id}"
    assert done.stderr.strip() == expected


@pytest.mark.parametrize("arguments", [["clients", "list"], ["clients", "list", "--json"], ["--help"]])
def test_whoever_stops_reading_stops_it_quietly(stack, client, arguments):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [str(CLI), *arguments],
            env=environment(**stack.env),
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def commands(stack, *path: str) -> list[tuple[str, ...]]:
    """All commands under this one, without those that have commands of their own."""
    text = stack.cli(*path, "--help").stdout
    listed = re.search(r"^Commands:\n(.*?)(?:\n\n|\Z)", text, re.DOTALL | re.MULTILINE)
    if not listed:
        return [path]
    names = re.findall(r"^  ([a-z-]+)", listed[1], re.MULTILINE)
    return [it for name in names if name != "help" for it in commands(stack, *path, name)]


def test_every_command_is_documented(stack):
    page = (ROOT / "docs" / "cli.md").read_text()
    found = commands(stack)
    assert len(found) > 25
    assert [" ".join(it) for it in found if f"    bellwire {' '.join(it)}" not in page] == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "elvish", "powershell"])
def test_a_shell_completes_the_commands(stack, shell):
    done = stack.cli("completions", shell)
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("dead-letters", "doctor", "rotate-secret", "idempotency-key"):
        assert word in done.stdout


def test_what_a_shell_is_told_it_understands(stack):
    script = stack.cli("completions", "bash").stdout
    asked = 'COMP_WORDS=(bellwire dead); COMP_CWORD=1; _bellwire bellwire dead bellwire; echo "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", f"{script}\n{asked}"], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("dead-letters", "")


def test_command_and_stack_are_of_one_version(stack):
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    assert stack.outputs["Version"] == version
    assert stack.cli("--version").stdout == f"bellwire {version}\n"
