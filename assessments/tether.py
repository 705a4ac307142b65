"""Ties the fork server to the worker that started it. Imported by the fork server, and by nothing else.

Left alone, a fork server lives for as long as any of its children, and they with it: a killed worker would leave
behind a renderer that makes a document for nobody. Ctrl-C in a terminal is for the process that started it: that one
ends its children as it sees fit.
"""

import os
import signal

from .processes import die_with_parent

die_with_parent(os.getppid())
signal.signal(signal.SIGINT, signal.SIG_IGN)
