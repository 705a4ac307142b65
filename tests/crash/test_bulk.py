"""A bulk request is recorded at once, also while workers lock rows."""

import pytest

from tests.running import Site

# SQLite locks no rows.
pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


def test_a_bulk_request_does_not_wait_for_a_locked_assessment(site: Site) -> None:
    assert site.python(BEGIN_BESIDE_A_LOCK) == 3


BEGIN_BESIDE_A_LOCK = """
from concurrent.futures import ThreadPoolExecutor
from django.contrib.auth.models import User
from django.db import connection, transaction
from assessments.models import Assessment, BulkRequest

def begin():
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '1s'")
    BulkRequest.begin("generate", Assessment.objects.all(), by=User.objects.get(username="staff"))
    connection.close()

with transaction.atomic(), ThreadPoolExecutor(1) as other:
    Assessment.objects.lock(*Assessment.objects.values_list("pk", flat=True))
    other.submit(begin).result()
print(BulkRequest.objects.get().assessments.count())
"""
