"""The groups of the office's people: a person gets one group, in place of a hundred single permissions."""

from django.contrib.auth.models import Group, Permission

# Each group, with the beginning of the names of its permissions.
GROUPS = {"Office": "", "Readers": "view_"}


def make_groups() -> list[str]:
    """Make the groups that are missing; return their names. The office may have changed a group that is there."""
    missing = set(GROUPS) - set(Group.objects.filter(name__in=GROUPS).values_list("name", flat=True))
    ours = Permission.objects.filter(content_type__app_label="assessments")
    for name in missing:
        group, _ = Group.objects.get_or_create(name=name)
        group.permissions.set(ours.filter(codename__startswith=GROUPS[name]))
    return sorted(missing)
