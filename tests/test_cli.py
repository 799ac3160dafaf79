"""`bellwire`: for people a table, for scripts JSON."""

import json
import os
import subprocess

import pytest
from build import CLI
from settings import environment


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
        "name",
        "publisher",
        "operator",
        "created_at",
        "key_rotated_at",
        "disabled_at",
    }
    assert found["disabled_at"] is not None


def test_rotate_key_prints_the_new_key(stack, client):
    done = stack.cli("clients", "rotate-key", client.client_id, "--json")
    rotated = json.loads(done.stdout)
    assert set(rotated) == {"client_id", "api_key"}
    assert rotated["api_key"] != client.api_key
    assert "bwk_" in stack.cli("clients", "rotate-key", client.client_id).stdout


@pytest.mark.parametrize("command", ["disable", "enable", "delete", "rotate-key", "rotate-secret"])
@pytest.mark.parametrize("client_id", ["nobody", "cl_" + "b" * 24, ""])
def test_a_client_that_is_none(stack, command, client_id):
    done = stack.cli("clients", command, client_id)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip() == f"bellwire: there is no client {client_id}".strip()


@pytest.mark.parametrize("name", ["", "  ", "x" * 101])
def test_a_name_that_is_none(stack, name):
    done = stack.cli("clients", "create", name)
    assert done.returncode == 1 and "1 to 100 characters" in done.stderr


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
