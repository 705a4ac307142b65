"""An administrator removes an assessment of a running site while its documents are being made and watched."""

import json
from pathlib import Path

from tests.cast import YEAR
from tests.running import Site, wait_until

OWN, NEXT = f"ASM-{YEAR}-001", f"ASM-{YEAR}-003"
ADMINISTRATOR = """
import json
from django.contrib.auth.models import User
from assessments.models import Assessment
from tests import cast
pk = Assessment.objects.get(number={number!r}).pk
print(json.dumps([cast.session_of(User.objects.create_superuser("administrator")), pk]))
"""
LEFT = """
import json
from assessments.models import Assessment, Attempt, Batch, Document, DocumentVersion, Photo
number = {number!r}
left = [Assessment.objects.filter(number=number), Photo.objects.filter(assessment__number=number)]
left += [model.objects.exclude(document__assessment__number=None).filter(document__assessment__number=number)
         for model in (Attempt, DocumentVersion)]
print(json.dumps(sum(rows.count() for rows in left)))
"""


def test_a_removal_ends_the_making_and_the_watching(site: Site) -> None:
    session, pk = site.python(ADMINISTRATOR.format(number=OWN))
    site.sessions["administrator"] = session
    with site.login("assessor") as client, site.login("administrator") as office:
        told: list[dict[str, object]] = []
        with client.stream("POST", "/api/generate-all-documents", json={"assessmentId": OWN}) as batch:
            for line in batch.iter_lines():
                if line.startswith("data: "):
                    told.append(json.loads(line.removeprefix("data: ")))
                    if len(told) == 1:
                        address = f"/admin/assessments/assessment/{pk}/delete/"
                        assert office.post(address, data={"post": "yes"}).status_code == 302
        assert told[-1]["status"] == "error"
        assert client.get(f"/assessments/{OWN}/").status_code == 404
        # The worker is free for the next assessment.
        client.post(f"/assessments/{NEXT}/documents/report/retry/")
        wait_until(lambda: site.statuses(NEXT)["report"] == "success", "the next report is not made")
    wait_until(lambda: not files_of(site.data_dir / "media"), "files of the removed assessment are left")
    assert site.python(LEFT.format(number=OWN)) == 0
    assert not files_of(site.data_dir / "work")
    with site.login("staff") as staff:
        assert "Removed with all its data" in staff.get("/admin/assessments/auditentry/").text


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if OWN in str(path)]
