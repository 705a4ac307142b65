"""A fork server that loads this module has its first two forks refused, as by a kernel with no room for a process."""

import errno
import os

fork = os.fork
refusals = iter([errno.EAGAIN, errno.ENOMEM])


def refused_at_first() -> int:
    for number in refusals:
        raise OSError(number, os.strerror(number))
    return fork()


os.fork = refused_at_first
