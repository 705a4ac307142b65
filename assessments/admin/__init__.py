"""The office's side: all data of an assessment on one page, and bulk requests for documents."""

from django.contrib import admin

from . import assessment, audit, bulk_requests, companies, documents, estimate, heartbeats, office

admin.site.site_header = admin.site.site_title = "Vehicle damage assessments"
