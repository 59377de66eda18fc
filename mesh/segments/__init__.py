"""Shared memory for large buffers between processes of one host.

A large buffer is copied once, into a *segment*: memory without a name (memfd) that belongs to the process that sends.
Whoever receives opens it as ``/proc/<pid>/fd/<n>`` and maps it privately, so it reads what was sent and may write what
it likes. What is left of a process that was killed is nothing.

Files: ``buffer`` is what a large buffer is to those who carry it, ``pool`` the segments of this process, ``copying``
the way into them, ``opening`` and ``view`` segments of other processes, ``sharing`` what one session knows of both.
"""
