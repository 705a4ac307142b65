"""Decodes each photo in a confined child process of its own. A decoder that crashes or hangs costs that one photo."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import get_type_hints

from django.conf import settings

from . import sandbox
from .generators.print_image import NotAPhoto, TooManyPixels, Undecodable, UnreadablePhoto

logger = logging.getLogger(__name__)

MEBIBYTE = 2**20
ADVICE = "Save it as a new JPEG, then upload that."
# The most characters of a reason that a photo's row holds.
REASON = 200
KINDS = {kind.__name__: kind for kind in (NotAPhoto, TooManyPixels, Undecodable)}


class TooSlow(Undecodable):
    """Decoding the photo took longer than one may."""


def develop[Result](work: Callable[..., Result], source: Path, *arguments: Path | int) -> Result:
    """Return what a function of print_image makes of the photo ``source``, in a child.

    The function writes the files of all further paths, which are in one folder. Raises the UnreadablePhoto or OSError
    that the function raises, and Undecodable when the child ends early: TooSlow at its deadline.
    """
    targets = [path for path in arguments if isinstance(path, Path)]
    task = sandbox.Work(
        function=f"{work.__module__}.{work.__name__}",
        arguments=(source, *arguments),
        memory=settings.PHOTO_MEMORY,
        # A copy of the photo may be in the folder, too.
        disk=2 * settings.PHOTO_MAX_BYTES,
        reads=(source,),
        folder=targets[0].parent if targets else None,
    )
    try:
        result: Result = sandbox.run(task, get_type_hints(work)["return"], settings.PHOTO_DEADLINE)
        for path in targets:
            sandbox.made_file(path, path.parent).close()
    except sandbox.Refused as refused:
        kind = KINDS.get(refused.kind, UnreadablePhoto)
        raise kind.__new__(kind, str(refused)[:REASON]) from None
    except sandbox.OutOfMemory:
        limit = settings.PHOTO_MEMORY // MEBIBYTE
        raise Undecodable(f"It needs more memory than the {limit} MiB allowed for a photo. {ADVICE}") from None
    except sandbox.Broken as broken:
        logger.error("A photo could not be decoded:\n%s", broken)
        raise Undecodable(f"Its content is not what a photo's should be. {ADVICE}") from None
    except sandbox.Crashed as crashed:
        logger.error("The process that decodes photos ended: %s", crashed)
        raise Undecodable(f"The program that reads photos broke off over it. {ADVICE}") from None
    except sandbox.TooSlow:
        raise TooSlow(f"Reading it took longer than {settings.PHOTO_DEADLINE} seconds. {ADVICE}") from None
    return result
