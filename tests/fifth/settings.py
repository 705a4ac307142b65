from config.settings import *  # noqa: F403

EXTRA_DOCUMENT_KINDS = ["tests.fifth.kinds.LETTER"]
# The migrations of the application, and one more.
MIGRATION_MODULES = {"assessments": "tests.fifth.migrations"}
