"""A person's own password: changed by its owner, or reset by a link in a mail."""

import logging
from contextvars import copy_context
from datetime import datetime
from functools import partial
from threading import BoundedSemaphore, Thread
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import authenticate, user_logged_out, views
from django.contrib.auth.forms import PasswordChangeForm, PasswordResetForm
from django.contrib.auth.models import User
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.contrib.messages.views import SuccessMessageMixin
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.db import connections
from django.dispatch import receiver
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import path, reverse_lazy
from django.utils import timezone

from assessments.models import ResetMail
from assessments.models.lease import database_now

logger = logging.getLogger(__name__)

# Mails that one web process sends at the same time.
AT_ONCE = BoundedSemaphore(8)


class OwnPasswordForm(PasswordChangeForm):
    """Counts a wrong old password as a failure to sign in: an open session must not let a passer-by guess."""

    def __init__(self, request: HttpRequest, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.request = request

    def clean_old_password(self) -> str:
        given: str = self.cleaned_data["old_password"]
        if authenticate(self.request, username=self.user.get_username(), password=given) != self.user:
            raise ValidationError("This is not your password.", code="password_incorrect")
        return given


class Change(SuccessMessageMixin[OwnPasswordForm], views.PasswordChangeView):  # type: ignore[misc]
    form_class = OwnPasswordForm
    # The admin has pages of the usual names.
    template_name = "account/change.html"
    success_url = reverse_lazy("assessments:list")
    success_message = "Your password is changed. Everywhere else you are signed out."

    def get_form_kwargs(self) -> dict[str, Any]:
        return {"request": self.request, **super().get_form_kwargs()}


class Tokens(PasswordResetTokenGenerator):
    """The tokens of links: one machine may make a token, and another one check its age."""

    def _now(self) -> datetime:
        return timezone.make_naive(database_now())


@receiver(user_logged_out)
def say_goodbye(request: HttpRequest, **options: Any) -> None:
    # A script that ends a session has no page to show this.
    messages.success(request, "You are signed out.", fail_silently=True)


class ResetForm(PasswordResetForm):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["email"].label = "E-mail address"

    def save(self, *args: Any, **options: Any) -> None:
        """Look for the accounts and mail their links in a thread: the answer is the same, and as quick, without one."""
        if not AT_ONCE.acquire(blocking=False):
            logger.warning("A mail to reset a password was not sent, because too many are being sent")
            return
        # The thread is a daemon: a mail server that hangs must not hold up the end of this process.
        Thread(target=copy_context().run, args=[self.mail_links], name="reset-mail", daemon=True).start()

    def mail_links(self) -> None:
        try:
            super().save(domain_override="this site", extra_email_context={"site": settings.SITE_URL})
        except Exception:
            logger.exception("A mail to reset a password could not be sent")
        finally:
            connections.close_all()
            AT_ONCE.release()

    def get_users(self, email: str) -> Any:
        return [user for user in super().get_users(email) if ResetMail.take(user)]

    def send_mail(
        self, subject_template_name: str, email_template_name: str, context: dict[str, Any], *args: Any, **options: Any
    ) -> None:
        user: User = context["user"]
        # The wait for the mail server holds no connection to the database.
        connections.close_all()
        try:
            EmailMessage(
                subject="Your new password for Vehicle assessments",
                body=render_to_string("mails/reset.txt", context),
                to=[user.email],
                headers={"Auto-Submitted": "auto-replied"},
            ).send()
        except Exception:
            # The person may ask again at once.
            ResetMail.objects.filter(user=user).update(mailed_at=None)
            raise
        logger.info("A link to reset the password was mailed to user %s", user.pk)


class SetNew(SuccessMessageMixin[Any], views.PasswordResetConfirmView):
    template_name = "account/set.html"
    token_generator = Tokens()
    success_url = reverse_lazy("login")
    success_message = "Your password is changed. Sign in with it."


reset = partial(
    views.PasswordResetView.as_view,
    form_class=ResetForm,
    template_name="account/reset.html",
    token_generator=SetNew.token_generator,
)
sent = partial(views.PasswordResetDoneView.as_view, template_name="account/reset_sent.html")

urlpatterns = [
    path("", Change.as_view(), name="password_change"),
    # The admin's own sign-in page leads to the page of this name.
    path("reset/", reset(), name="admin_password_reset"),
    path("reset/sent/", sent(), name="password_reset_done"),
    path("reset/<uidb64>/<token>/", SetNew.as_view(), name="password_reset_confirm"),
]
