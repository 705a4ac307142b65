"""People change their own passwords, reset them by mail, and leave nothing in the browser when they sign out."""

import re
import time
from email import message_from_string
from email.policy import default
from pathlib import Path

import httpx
import pytest

from tests.cast import PASSWORD
from tests.running import CSRF_TOKEN, NO_TLS, PATIENCE, Site, wait_until

NEW = "a-longer-way-home-77"
RESET = "/password/reset/"


def browser(site: Site, session: str = "") -> httpx.Client:
    cookies = {"csrftoken": CSRF_TOKEN} | ({"sessionid": session} if session else {})
    return httpx.Client(
        base_url=site.url, cookies=cookies, headers={"X-CSRFToken": CSRF_TOKEN}, timeout=PATIENCE, verify=NO_TLS
    )


def sign_in(site: Site, password: str, username: str = "assessor") -> httpx.Response:
    with browser(site) as visitor:
        return visitor.post("/login/", data={"username": username, "password": password})


def mails(site: Site) -> list[str]:
    """Return the texts of the mails that were sent, with their heads."""
    files = (site.data_dir / "mail").glob("*") if (site.data_dir / "mail").exists() else []
    # A file is empty until its mail is written.
    found = [message_from_string(text, policy=default) for text in map(Path.read_text, files) if text]
    return [f"{mail['To']} {mail['Auto-Submitted']} {mail['Subject']}\n{mail.get_content()}" for mail in found]


def form(old: str, new: str, again: str = "") -> dict[str, str]:
    return {"old_password": old, "new_password1": new, "new_password2": again or new}


def test_an_assessor_changes_the_password_and_is_signed_out_elsewhere(site: Site) -> None:
    elsewhere = site.sessions["assessor"]
    with browser(site, sign_in(site, PASSWORD).cookies["sessionid"]) as here:
        assert 'href="/password/">Change your password</a>' in here.get("/assessments/").text
        for wrong, words in (
            (form("not mine", NEW), "This is not your password."),
            (form(PASSWORD, NEW, "another"), "The two password fields didn"),
            (form(PASSWORD, "12345678"), "too common"),
        ):
            assert words in here.post("/password/", data=wrong).text
        answer = here.post("/password/", data=form(PASSWORD, NEW))
        assert answer.headers["location"] == "/assessments/"
        assert "Your password is changed. Everywhere else you are signed out." in here.get("/assessments/").text
    with browser(site, elsewhere) as other:
        assert other.get("/assessments/").status_code == 302
    assert [sign_in(site, password).status_code for password in (PASSWORD, NEW)] == [200, 302]


def test_guesses_of_the_old_password_count_as_failures_to_sign_in(site: Site) -> None:
    with browser(site, site.sessions["staff"]) as office:
        # The admin leads to the same page.
        assert office.get("/admin/password_change/").headers["location"] == "/password/"
    with browser(site, site.sessions["assessor"]) as here:
        answers = [here.post("/password/", data=form("a guess", NEW)).status_code for _ in range(10)]
        assert answers == [200] * 9 + [429]
        assert here.post("/password/", data=form(PASSWORD, NEW)).status_code == 429
    assert sign_in(site, PASSWORD).status_code == 429
    assert sign_in(site, PASSWORD, "staff").status_code == 302


def test_a_password_is_reset_by_a_link_that_is_good_once(site: Site) -> None:
    before = site.sessions["assessor"]
    with browser(site) as visitor:
        assert f'href="{RESET}"' in visitor.get("/login/").text
        assert f'href="{RESET}"' in visitor.get("/admin/login/").text
        assert visitor.post(RESET, data={"email": "Assessor@example.org"}).headers["location"] == f"{RESET}sent/"
        wait_until(lambda: mails(site), "no mail is sent")
        text = mails(site)[0]
        assert text.startswith("assessor@example.org auto-replied Your new password for ")
        assert "Your user name is assessor." in text
        link = re.search(rf"{re.escape(site.url)}({RESET}\S+/)\n", text)
        assert link
        page = visitor.get(link[1], follow_redirects=True)
        assert "Choose a new password" in page.text
        # The token is no longer in the address.
        assert page.url.path.endswith("/set-password/")
        answer = visitor.post(page.url.path, data={"new_password1": NEW, "new_password2": NEW})
        assert answer.headers["location"] == "/login/"
        assert "Your password is changed. Sign in with it." in visitor.get("/login/").text
        assert "This link is no longer good" in visitor.get(link[1], follow_redirects=True).text
    with browser(site, before) as old:
        assert old.get("/assessments/").status_code == 302
    assert [sign_in(site, password).status_code for password in (PASSWORD, NEW)] == [200, 302]


def test_the_answer_does_not_tell_who_has_an_account_and_nobody_is_flooded(site: Site) -> None:
    with browser(site) as visitor:
        addresses = ["assessor@example.org"] * 3 + ["nobody@example.org"]
        answers = [visitor.post(RESET, data={"email": address}) for address in addresses]
        seen = {(answer.status_code, answer.headers["location"], answer.text) for answer in answers}
        assert len(seen) == 1
        assert not any(answer.cookies for answer in answers)
        assert "If an account has the address that you wrote" in visitor.get(f"{RESET}sent/").text
    wait_until(lambda: mails(site), "no mail is sent")
    time.sleep(1)
    assert len(mails(site)) == 1


def test_a_link_that_was_changed_is_no_link(site: Site) -> None:
    with browser(site) as visitor:
        for link in ("MQ/x/", "MQ/set-password/", "!/d-0/", "MQ/" + "9" * 500 + "/"):
            page = visitor.get(f"{RESET}{link}")
            assert (page.status_code, "This link is no longer good" in page.text) == (200, True)


@pytest.mark.parametrize("door", ["/logout/", "/admin/logout/"])
def test_a_sign_out_clears_the_browser(site: Site, door: str) -> None:
    with browser(site, site.sessions["staff"]) as here:
        assert "clear-site-data" not in here.get("/assessments/").headers
        assert here.post(door).headers["clear-site-data"] == '"cache", "storage"'


def test_a_session_ends_half_a_day_after_the_sign_in(site: Site) -> None:
    cookie = next(each for each in sign_in(site, PASSWORD).headers.get_list("set-cookie") if "sessionid" in each)
    assert "Max-Age=43200;" in cookie
