"""A bulk request is recorded at once, whatever the workers are at."""

from collections.abc import Callable

import pytest

from .running import Site

# SQLite locks no rows.
pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


def test_a_bulk_request_does_not_wait_for_a_locked_assessment(start_site: Callable[..., Site]) -> None:
    assert start_site().python(BEGIN_BESIDE_A_LOCK) == 3


BEGIN_BESIDE_A_LOCK = """
import threading
from django.contrib.auth.models import User
from django.db import connection, transaction
from assessments.models import Assessment, BulkRequest

def begin():
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '1s'")
    BulkRequest.begin("generate", Assessment.objects.all(), by=User.objects.get(username="staff"))
    connection.close()

with transaction.atomic():
    Assessment.objects.lock(*Assessment.objects.values_list("pk", flat=True))
    other = threading.Thread(target=begin)
    other.start()
    other.join()
print(sum(bulk_request.assessments.count() for bulk_request in BulkRequest.objects.all()))
"""
