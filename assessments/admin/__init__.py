"""The office's side: all data of an assessment on one page, and bulk requests for documents."""

from . import assessment, audit, bulk_requests, companies, documents, estimate, heartbeats, office, people
