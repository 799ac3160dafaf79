"""The console's pages of queries, in a browser."""

import pytest
from playwright.sync_api import expect
from running import Running

pytest_plugins = ["browser"]


@pytest.fixture
def running(stack, client, tables):
    return Running(stack, client)


def test_a_query_is_shown_with_its_first_rows_and_links_to_all(open_console, running, client):
    many = running.finish("SELECT n, rest FROM many")
    failed = running.finish("SELECT nothing FROM orders", "FAILED")
    console = open_console(client)
    console.open("queries")
    rows = console.page.locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text=failed)).to_contain_text("failed")
    console.page.get_by_label("State").select_option("succeeded")
    console.press("Filter")
    expect(rows).to_have_count(1)
    console.follow(many)
    expect(console.heading("Query")).to_be_visible()
    expect(rows).to_have_count(20)
    expect(rows.nth(8)).to_have_text("81")
    expect(console.page.get_by_text("These are the first rows.")).to_be_visible()
    assert console.accessible("a query") == []
    link = console.page.get_by_role("link", name="CSV").get_attribute("href")
    answer = console.context.request.get(str(link))
    assert len(answer.text().splitlines()) == 2501
    console.open(f"queries/{failed}")
    expect(console.page.get_by_text("There is no result.")).to_be_visible()


def test_what_is_no_page_of_the_list_is_said(open_console, client):
    console = open_console(client)
    answer = console.send("GET", "queries?from=nothing")
    assert answer.status == 400
    assert "Pagination_token:" in answer.text()
