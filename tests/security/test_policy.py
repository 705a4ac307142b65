"""The content security policy, in a browser: no page of the site violates the policy."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.cast import YEAR
from tests.running import Site

OpenPage = Callable[..., Page]
OWN = f"ASM-{YEAR}-001"
# Pages look the same on every database.
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

OF_ASSESSORS = ["/assessments/", f"/assessments/{OWN}/", f"/assessments/{OWN}/documents/photos-pdf/retry/"]
OF_THE_OFFICE = [
    "/admin/",
    "/admin/assessments/",
    "/admin/assessments/assessment/",
    "/admin/assessments/assessment/add/",
    "/admin/assessments/assessment/1/change/",
    "/admin/assessments/assessment/1/history/",
    "/admin/assessments/estimate/",
    "/admin/assessments/estimate/1/change/",
    "/admin/assessments/client/1/delete/",
    "/admin/assessments/document/1/change/",
    "/admin/assessments/auditentry/",
    "/admin/assessments/bulkrequest/",
    "/admin/password_change/",
]


def opened(page: Page, path: str) -> None:
    answer = page.goto(path)
    assert answer, path
    assert answer.status == 200, path


def shown(page: Page, heading: str) -> None:
    page.get_by_role("heading", name=heading, level=1).wait_for()


def test_no_page_violates_the_policy(site: Site, open_page: OpenPage) -> None:
    """``open_page`` fails the test for each violation that the browser reports; this test opens all pages."""
    page = open_page(site, "assessor", OF_ASSESSORS[0])
    for path in OF_ASSESSORS[1:]:
        opened(page, path)
    # Documents in the making, with their stream and their buttons.
    page.goto(f"/assessments/{OWN}/")
    page.get_by_role("button", name="Generate all documents").click()
    page.locator('[data-document][data-status="success"]').first.wait_for()
    office = open_page(site, "staff", OF_THE_OFFICE[0])
    for path in OF_THE_OFFICE[1:]:
        opened(office, path)
    # The live page of the assessments chosen in the list.
    office.goto("/admin/assessments/assessment/")
    office.locator("#action-toggle").check()
    office.locator("select[name=action]").select_option("generate_documents")
    office.get_by_role("button", name="Run").click()
    office.locator('#now [data-document][data-status="success"]').first.wait_for()


def test_no_error_page_violates_the_policy(site: Site, open_page: OpenPage) -> None:
    page = open_page(site, "staff", "/nowhere/")
    shown(page, "There is no such page")
    page.goto("/admin/auth/user/")
    shown(page, "You may not do this")
    page.goto("/assessments/")
    page.context.add_cookies([{"name": "csrftoken", "value": "y" * 32, "url": site.url}])
    page.get_by_role("button", name="Sign out").click()
    shown(page, "This page was open for too long")
    page.goto("/assessments/")
    # More fields than any form of the site has.
    page.evaluate(
        """() => {
            const form = document.querySelector("header form");
            form.append(...Array.from({length: 40_001}, (_, number) => {
                const field = document.createElement("input");
                return Object.assign(field, {type: "hidden", name: `field-${number}`});
            }));
            form.submit();
        }"""
    )
    shown(page, "That could not be taken")
    rename = "from django.db import connection; connection.cursor().execute('ALTER TABLE {} RENAME TO {}')"
    site.python(rename.format("assessments_vehicle", "away"))
    page.goto("/assessments/")
    shown(page, "Something went wrong here")
    site.python(rename.format("away", "assessments_vehicle"))


def test_failed_sign_ins_do_not_violate_the_policy(site: Site, open_page: OpenPage) -> None:
    site.python(
        "from axes.models import AccessAttempt;"
        "AccessAttempt.objects.create(username='assessor', ip_address='127.0.0.1', failures_since_start=8)"
    )
    for path, heading in (("/login/", "Sign in"), ("/admin/login/", "Wait before signing in")):
        page = open_page(site, None, path)
        page.locator("#id_username").fill("assessor")
        page.locator("#id_password").fill("a wrong guess")
        page.locator("#id_password").press("Enter")
        shown(page, heading)
