"""Confines this process for the rest of its life. No privilege is needed.

Landlock limits the files that it can open. seccomp refuses system calls: no network, no program, no other process.
Where the kernel lacks one of them, the other still holds, and the log says so.
"""

import ctypes
import errno
import logging
import os
import resource
import stat
import struct
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

try:
    import pyseccomp
except RuntimeError:
    # The C library libseccomp is not installed.
    pyseccomp = None  # type: ignore[assignment]

from assessments.processes import PR_SET_PDEATHSIG, prctl

from .work import ROOT, Work

logger = logging.getLogger(__name__)

HOME = Path(os.environ.get("HOME", "/nonexistent"))
# Programs, templates and fonts. Not ROOT as a whole, because the data folder is in it.
READABLE = (
    ROOT / "assessments",
    ROOT / "templates",
    *{Path(sys.prefix), Path(sys.base_prefix)} - {Path("/usr")},
    *(Path(entry) for entry in sys.path if entry and Path(entry).resolve() != ROOT),
    *map(Path, ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/usr/share", "/usr/local/share")),
    *map(Path, ("/etc/fonts", "/etc/mime.types", "/etc/localtime", "/var/cache/fontconfig")),
    *(HOME / name for name in (".fonts", ".local/share/fonts", ".cache/fontconfig", ".config/fontconfig")),
    *(Path(os.environ[name]) for name in ("FONTCONFIG_FILE", "FONTCONFIG_PATH") if name in os.environ),
)
OPEN_FILES = 128

_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2


def confine(work: Work) -> None:
    limits = {
        resource.RLIMIT_AS: address_space() + work.memory,
        resource.RLIMIT_FSIZE: work.disk,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    for limit, most in limits.items():
        hard = resource.getrlimit(limit)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (most, most))
    os.nice(work.niceness)
    if landlock:
        restrict_files(work)
    if seccomp:
        restrict_calls(seccomp)


def address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


# Landlock ---------------------------------------------------------------------------------------------------------

# Landlock's system calls have the same numbers on all machines. Each of its rights is a bit.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
CREATE_RULESET_VERSION = RULE_PATH_BENEATH = 1
WRITE_FILE, READ_FILE, READ_DIR, REMOVE_FILE, MAKE_REG, TRUNCATE = (1 << bit for bit in (1, 2, 3, 5, 8, 14))
READ = READ_FILE | READ_DIR
# Plain files can be made; folders, links, pipes and sockets cannot.
WRITE = READ | WRITE_FILE | REMOVE_FILE | MAKE_REG | TRUNCATE
OF_A_FILE = READ_FILE | WRITE_FILE | TRUNCATE
# How many rights on files each version of Landlock knows; later versions know at least 16.
RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}


def restrict_files(work: Work) -> None:
    known = (1 << RIGHTS.get(landlock, 16)) - 1
    # Newer versions also refuse TCP, and signals and abstract sockets of other processes.
    attributes = struct.pack("QQQ", known, 3 if landlock >= 4 else 0, 3 if landlock >= 6 else 0)
    ruleset = call(CREATE_RULESET, attributes, len(attributes), 0)
    allow(ruleset, (*READABLE, *work.reads), READ & known)
    if work.folder:
        allow(ruleset, [work.folder], WRITE & known)
    control(PR_SET_NO_NEW_PRIVS, 1)
    call(RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def allow(ruleset: int, paths: Iterable[Path], rights: int) -> None:
    for path in paths:
        try:
            handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            # The path does not exist here, or this user cannot reach it.
            continue
        whole = stat.S_ISDIR(os.fstat(handle).st_mode)
        rule = struct.pack("=Qi", rights if whole else rights & OF_A_FILE, handle)
        call(ADD_RULE, ruleset, RULE_PATH_BENEATH, rule, 0)
        os.close(handle)


def call(number: int, *arguments: int | bytes | None) -> int:
    result: int = _libc.syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


# seccomp ----------------------------------------------------------------------------------------------------------

# Network; programs and new processes; other processes; owners, modes and times of files, which Landlock does not guard;
# shared memory; and rare system calls that only make the kernel easier to attack.
REFUSED = (
    *("socket", "socketpair", "connect", "bind", "listen", "accept", "accept4"),
    *("execve", "execveat", "fork", "vfork"),
    *("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_open", "pidfd_getfd"),
    *("pidfd_send_signal", "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp"),
    *("setpriority", "ioprio_set", "sched_setscheduler", "sched_setparam", "sched_setattr", "sched_setaffinity"),
    *("chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat", "utime", "utimes", "utimensat"),
    *("futimesat", "setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr"),
    *("truncate", "mknod", "mknodat", "open_by_handle_at", "name_to_handle_at", "unshare", "setns", "chroot"),
    *("mount", "umount2", "pivot_root", "move_mount", "open_tree", "fsopen", "fsmount", "fsconfig", "fspick"),
    *("mount_setattr", "quotactl", "acct", "swapon", "swapoff", "fanotify_init"),
    *("shmget", "shmat", "shmctl", "msgget", "semget", "mq_open", "migrate_pages", "move_pages"),
    *("io_uring_setup", "io_uring_enter", "io_uring_register", "userfaultfd", "bpf", "perf_event_open"),
    *("keyctl", "add_key", "request_key", "init_module", "finit_module", "delete_module", "kexec_load"),
    *("kexec_file_load", "reboot", "syslog", "settimeofday", "clock_settime", "adjtimex", "clock_adjtime"),
    *("sethostname", "setdomainname", "iopl", "ioperm", "modify_ldt", "vhangup", "lookup_dcookie"),
)
# The C library works without these system calls when the kernel does not know them.
UNKNOWN = ("clone3", "openat2")
# System calls of newer kernels, some of which change modes of files. The numbers are the same on all machines.
NEWER = range(451, 512)
CLONE_THREAD = 0x10000
TIOCSTI = 0x5412


def program() -> bytes:
    refuse = pyseccomp.ERRNO(errno.EPERM)
    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    for name in REFUSED:
        rules.add_rule(refuse, name)
    for unknown in (*UNKNOWN, *NEWER):
        rules.add_rule(pyseccomp.ERRNO(errno.ENOSYS), unknown)
    rules.add_rule(refuse, "prlimit64", pyseccomp.Arg(0, pyseccomp.NE, 0))
    # A child may start threads, but no processes.
    rules.add_rule(refuse, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, CLONE_THREAD, 0))
    # A child must not type into the terminal of the site, nor outlive its parent.
    rules.add_rule(refuse, "ioctl", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, 0xFFFFFFFF, TIOCSTI))
    rules.add_rule(refuse, "prctl", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, 0xFFFFFFFF, PR_SET_PDEATHSIG))
    # Before its third version, Landlock does not prevent the emptying of a file that is opened for reading.
    for name, argument in (("open", 1), ("openat", 2)):
        emptied = pyseccomp.Arg(argument, pyseccomp.MASKED_EQ, os.O_ACCMODE | os.O_TRUNC, os.O_TRUNC)
        rules.add_rule(refuse, name, emptied)
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()


def restrict_calls(refusing: bytes) -> None:
    control(PR_SET_NO_NEW_PRIVS, 1)
    kept = ctypes.create_string_buffer(refusing)
    steps = struct.pack("HP", len(refusing) // 8, ctypes.addressof(kept))
    control(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, steps)


def control(option: int, *arguments: int | bytes) -> None:
    if prctl(option, *arguments, *[0] * (4 - len(arguments))):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


# Means of this kernel ---------------------------------------------------------------------------------------------

# The version of the kernel's Landlock, and the program for seccomp. The program is made once, before there are
# children: making it takes several milliseconds.
landlock, seccomp = 0, b""
try:
    landlock = call(CREATE_RULESET, None, 0, CREATE_RULESET_VERSION)
except OSError as error:
    logger.warning("Children can read and write what this user can, secrets included: no Landlock (%s)", error.strerror)
if pyseccomp:
    seccomp = program()
else:
    logger.warning("Children can reach the network and start programs: libseccomp is not installed")
