"""Runs one of our functions in a confined child process.

Decoders and renderers are large programs in C that read what strangers wrote. Such a program may crash, hang, use up
memory or be taken over by a stranger; that costs one document or one photo. The child is a fork of a server process
that has loaded the libraries and holds none of the site's secrets (forkserver.py). The kernel confines it
(confinement.py). It answers in JSON, which its parent checks (messages.py, parent.py).
"""

from .messages import Broken, Number, OutOfMemory, Progressed, Refusal, Refused, Returned, Text, shaped
from .parent import Child, Crashed, TooSlow, made_file, run, warm_up
from .work import Work
