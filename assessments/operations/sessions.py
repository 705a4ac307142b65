"""Sessions that expire by the database's clock: a web whose clock is wrong must neither end nor prolong them."""

from datetime import timedelta
from typing import Any

from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.db.models.functions import Now

from assessments.models.lease import FromNow


class SessionStore(db.SessionStore):
    """Replaces the two steps of Django's that ask the clock of the machine. Both steps are in Django twice."""

    def _get_session_from_db(self) -> Session | None:
        return self.checked(self.valid().first())

    async def _aget_session_from_db(self) -> Session | None:
        return self.checked(await self.valid().afirst())

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        row: Any = super().create_model_instance(data)
        row.expire_date = FromNow(timedelta(seconds=self.get_expiry_age()))
        return row

    async def acreate_model_instance(self, data: dict[str, Any]) -> Any:
        row: Any = await super().acreate_model_instance(data)
        row.expire_date = FromNow(timedelta(seconds=await self.aget_expiry_age()))
        return row

    def valid(self) -> Any:
        return self.model.objects.filter(session_key=self.session_key, expire_date__gt=Now())

    def checked(self, row: Session | None) -> Session | None:
        if row is None:
            self._session_key = None
        return row
