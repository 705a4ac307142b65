"""The generators: each makes the file of one kind of document from a snapshot."""
