#!/usr/bin/env python
"""Run administrative tasks; a bad setting ends the start with one line."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    # Other users of this machine read none of the files that this process makes.
    os.umask(0o077)
    try:
        import config.settings  # noqa: F401

        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.stderr.write(f"Cannot start: {error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
