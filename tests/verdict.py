"""Fails the tests whose exchanges with the API or with receivers are not in openapi.yaml, and a whole run in which an
operation of the document was never called; a plugin of pytest.

What the processes of pytest-xdist have seen comes together in the one that started them.
"""

from collections.abc import Generator

import exchanges
import pytest
from contract import Contract
from settings import ROOT

# What the processes that run tests send to the one that started them.
SEEN = "exchanges_seen"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    result = yield
    judge()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, object, object]:
    # What has come since, or what the test left when it failed by itself.
    result = yield
    judge()
    return result


def judge() -> None:
    if problems := exchanges.found():
        lines = "\n".join(f"- {problem}" for problem in dict.fromkeys(problems))
        pytest.fail(f"openapi.yaml and what was sent are not the same:\n{lines}", pytrace=False)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node) -> None:
    exchanges.CONTRACT.seen |= {(name, status) for name, status in getattr(node, "workeroutput", {}).get(SEEN, [])}


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput"):
        session.config.workeroutput[SEEN] = sorted(exchanges.CONTRACT.seen)  # type: ignore[attr-defined]
    elif is_whole(session) and uncalled(exchanges.CONTRACT) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    session = terminalreporter._session
    if session is None or not is_whole(session):
        return
    terminalreporter.section("openapi.yaml")
    for name, statuses in unanswered(exchanges.CONTRACT).items():
        terminalreporter.line(f"{name}: no test has seen {', '.join(statuses)}")
    common = exchanges.CONTRACT.common - {status for _, status in exchanges.CONTRACT.seen}
    if common:
        terminalreporter.line(f"of no operation: {', '.join(sorted(common))}")
    for name in uncalled(exchanges.CONTRACT):
        terminalreporter.line(f"{name}: FAILED, no test has called or received it", red=True)


def is_whole(session: pytest.Session) -> bool:
    """Whether all tests were to run, and none was left out after a failure."""
    config = session.config
    everything = config.args_source == pytest.Config.ArgsSource.TESTPATHS or config.args == [str(ROOT / "tests")]
    chosen = any(config.getoption(it, None) for it in ("keyword", "markexpr", "deselect", "collectonly"))
    return everything and not chosen and not session.shouldstop and not session.shouldfail


def uncalled(contract: Contract) -> list[str]:
    """The operations that nobody has called, and the webhooks that nobody has received."""
    return sorted(contract.operations().keys() - {name for name, _ in contract.seen})


def unanswered(contract: Contract) -> dict[str, list[str]]:
    """Of the operations that were called, the documented statuses that were not among the responses; without those
    that all operations have, and those of an operator that acts for a client (tests/test_callers.py)."""
    found = {}
    for name, operation in contract.operations().items():
        seen = {status for of, status in contract.seen if of == name}
        acting = {status for status, it in operation.responses.items() if it.get("x-bellwire-acting")}
        left = operation.responses.keys() - contract.common - {"405"} - acting - seen
        if left and seen and "" not in seen:
            found[name] = sorted(left)
    return found
