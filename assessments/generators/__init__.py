"""The generators, by the kind of document that each makes."""

# Each by its dotted name: the web process and the worker must not import WeasyPrint with them. It makes Pillow accept
# truncated images from then on, and costs each process its memory.
GENERATORS = {
    kind: f"{__name__}.{module}:generate"
    for kind, module in {
        "report": "report",
        "estimate": "estimate",
        "photos-pdf": "photos_pdf",
        "photos-zip": "photos_zip",
    }.items()
}
