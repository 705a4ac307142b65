"""The ASGI application."""

import os

from django.core.asgi import get_asgi_application
from django.utils.module_loading import import_string

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django_application = get_asgi_application()
# This module can be imported only after Django is set up.
application = import_string("assessments.server.threads.around")(django_application)
