"""The generators, by the kind of document that each makes."""

from importlib import import_module
from pathlib import Path

from .contract import Generator, Made, Progress
from .snapshot import Snapshot

MODULES = tuple(f"{__name__}.{module}" for module in ("report", "estimate", "photos_pdf", "photos_zip"))
# What a fork server imports, in this order, before it forks the processes that run generators.
PRELOAD = (*MODULES, f"{__name__}.warm")


def _generator_in(module: str) -> Generator:
    """The ``generate`` of a module that is imported at its first call.

    The web process and the worker import this package too, and must not import WeasyPrint with it: that makes Pillow
    accept truncated images from then on, and costs each of them its memory.
    """

    def generate(snapshot: Snapshot, work_folder: Path, progress: Progress) -> Made:
        generator: Generator = import_module(module).generate
        return generator(snapshot, work_folder, progress)

    return generate


GENERATORS: dict[str, Generator] = dict(
    zip(("report", "estimate", "photos-pdf", "photos-zip"), map(_generator_in, MODULES), strict=True)
)
