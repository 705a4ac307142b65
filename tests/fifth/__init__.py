"""A fifth kind of document, as a site could add one: an entry, a generator, a template and a migration."""
