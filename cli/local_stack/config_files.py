"""The configuration files of Redis and of the supervisor."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

#: Longer than a worker's own grace period, so that a worker that is finishing its tasks is not killed.
_STOP_TIMEOUT_S = 30

# It requires a password, as other users of the machine reach its port, too.
_REDIS = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir {folder}
appendonly yes
save ""
maxmemory-policy noeviction
loglevel warning
"""

_SUPERVISOR = """\
[supervisord]
nodaemon = true
logfile = /dev/null
logfile_maxbytes = 0
loglevel = warn
pidfile = {runtime}/supervisord.pid
{user}
[unix_http_server]
file = {socket}
chmod = 0700
username = cascade
password = {password}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""

# Exit status 0 is an ordered stop, 2 a setting that must be corrected; after any other the process is restarted.
_PROGRAM = """
[program:{name}]
command = {command}
priority = {priority}
startsecs = 0
autorestart = unexpected
exitcodes = 0,2
stopwaitsecs = {stop_timeout}
stdout_logfile = {log}
stdout_logfile_maxbytes = 0
redirect_stderr = true
"""


def redis_config(port: int, password: str, folder: Path) -> str:
    """The configuration of a Redis server that keeps its data in `folder`."""
    quoted = json.dumps(str(folder), ensure_ascii=False)  # Redis quotes as JSON does
    return _REDIS.format(port=port, password=password, folder=quoted)


def supervisor_config(
    runtime: Path, socket: Path, password: str, commands: Mapping[str, str], logs: Mapping[str, Path]
) -> str:
    """The configuration of a supervisor that runs `commands` and writes their output to `logs`, both by name.

    Redis starts first and stops last, since workers return the tasks that they hold to it. The others form one group,
    so that they stop at the same time.
    """
    user = "user = root" if os.geteuid() == 0 else ""
    sections = [_SUPERVISOR.format(runtime=runtime, socket=socket, password=password, user=user)]
    for name, command in commands.items():
        sections.append(
            _PROGRAM.format(
                name=name,
                command=command.replace("%", "%%"),
                priority=1 if name == "redis" else 2,
                stop_timeout=_STOP_TIMEOUT_S,
                log=logs[name],
            )
        )
    services = ",".join(name for name in commands if name != "redis")
    sections.append(f"\n[group:services]\nprograms = {services}\npriority = 2\n")
    return "".join(sections)


def write_secret(path: Path, text: str) -> None:
    """Write a file that only this user can read."""
    path.touch(mode=0o600)
    path.write_text(text)
