"""What starts ``sync`` again and again: units of systemd, or a line of a crontab, printed for the command at hand."""

from __future__ import annotations

import argparse
import getpass
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from fleetdeploy.cli import options

KINDS = ("service", "timer", "cron")
EVERY_S = 300.0
_OWN = ("--print-unit", "--every")
_OF_TIMER = ("--splay",)
"""What the service leaves to its timer: both would delay it, one after the other."""
_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108  named in a unit
_SERVICE = """\
# /etc/systemd/system/fleetdeploy-sync.service
[Unit]
Description=Make the fleet match its inventory
Documentation=man:fleetdeploy(1)
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
User={user}
WorkingDirectory={directory}
{environment}{secrets}# What it writes to has to be there before it is made writable.
{made}ExecStart={command}
# Locked by another run, or frozen with something to do: no failure.
SuccessExitStatus=6 10
Nice=10
TimeoutStartSec=6h
# A stop lets the hosts at hand come to a safe end; ssh and rsync are not told.
KillMode=mixed
KillSignal=SIGTERM
TimeoutStopSec=30min

ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths={writable}
{private_tmp}PrivateDevices=yes
NoNewPrivileges=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
"""
_NO_SECRETS = """\
# Secrets are read from {names}, and a {kind} has nothing of what a shell exports.
"""
_SERVICE_SECRETS = """\
# Write {names} into a file that only root may read, one NAME=VALUE a line, and name it here:
# EnvironmentFile=/etc/fleetdeploy/sync.env
"""
_CRON_SECRETS = """\
# Read them from files that only {user} may read, `!secret {{file: PATH}}`, or set them in a line above.
"""
_TIMER = """\
# /etc/systemd/system/fleetdeploy-sync.timer
[Unit]
Description=Make the fleet match its inventory, again and again

[Timer]
OnCalendar={calendar}
RandomizedDelaySec={delay}
FixedRandomDelay=yes
AccuracySec=1s
Persistent=yes

[Install]
WantedBy=timers.target
"""
_CRON = """\
# crontab -e; cron mails what is printed, and only news is
MAILTO={user}
{environment}{secrets}{minutes} {hours} * * * cd {directory} && {command}
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Of the command that is to be started again and again."""
    group = parser.add_argument_group("again and again")
    group.add_argument(
        "--print-unit", choices=KINDS, metavar="KIND", help=f"print what starts this command: {', '.join(KINDS)}"
    )
    group.add_argument(
        "--every", type=_every, default=EVERY_S, metavar="TIME", help="how often, for --print-unit (default: 5m)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print one unit. Raises InputError where inventory, settings or playbook cannot be read."""
    from fleetdeploy.cli.binding.project import read_inventory, read_playbook, read_settings
    from fleetdeploy.config.playbook.selection import Selection

    # A unit that fails every five minutes is no use to anybody; and all that is read tells of secrets.
    read_inventory(arguments)
    arguments.playbook = arguments.playbook or read_settings(arguments).sync.playbook
    read_playbook(arguments, Selection())
    sys.stdout.write(text_of(arguments))
    return 0


def text_of(arguments: argparse.Namespace) -> str:
    """The text of a unit, or of lines for a crontab."""
    from fleetdeploy.cli.binding.project import read_settings

    words = [_program(), *_words(arguments, less=_OF_TIMER if arguments.print_unit == "service" else ())]
    directory, user = Path.cwd(), getpass.getuser()
    splay_s = read_settings(arguments).sync.splay_s
    if arguments.print_unit == "service":
        words += ["--splay", "0s"] if splay_s else []  # what the settings say is the timer's as well
        own = _own(arguments)
        written = dict.fromkeys([*own, *_others(arguments)])
        needed = [directory, Path(words[0]), *_named(arguments), *written]
        # A private /tmp is empty: what is needed would not be there. What is not private is read-only otherwise.
        shared = any(path.is_relative_to(top) for path in needed for top in _TEMPORARY)
        # Without the dash nothing is started while one is not there, not even what makes it.
        writable = [f"-{path}" for path in [*written, *(_TEMPORARY if shared else ())]]
        return _SERVICE.format(
            user=user,
            directory=_escaped(str(directory)),
            environment="".join(f"Environment={_listed(f'{name}={path}')}\n" for name, path in _homes()),
            secrets=_secrets(arguments, _SERVICE_SECRETS, kind="service", user=user),
            made="".join(f"ExecStartPre=+{' '.join(map(_quoted, argv))}\n" for argv in _making(own, user)),
            command=" ".join(map(_quoted, words)),
            writable=" ".join(map(_listed, writable)),
            private_tmp="" if shared else "PrivateTmp=yes\n",
        )
    minutes, hours = _times(arguments.every)
    if arguments.print_unit == "timer":
        calendar = f"*-*-* {hours.replace('*/', '00/')}:{minutes.replace('*/', '00/')}:00"
        return _TIMER.format(calendar=calendar, delay=int(arguments.splay or splay_s or min(30.0, arguments.every / 2)))
    line = shlex.join(words)
    place = shlex.quote(str(directory))
    environment = "".join(f'{name}="{path}"\n' for name, path in _homes())
    secrets = _secrets(arguments, _CRON_SECRETS, kind="line of cron", user=user)
    return _CRON.format(user=user, environment=environment, secrets=secrets, minutes=minutes, hours=hours,
                        directory=place.replace("%", r"\%"), command=line.replace("%", r"\%"))  # fmt: skip


def _every(text: str) -> float:
    """An argparse type: whole minutes that go into an hour, or whole hours that go into a day."""
    every_s = options.seconds(text)
    minutes, rest = divmod(every_s, 60)
    if rest or not minutes:
        raise argparse.ArgumentTypeError(f"{text!r} is not whole minutes from 1m, as cron has them; write 1m or 5m")
    if 60 % minutes and (minutes % 60 or 1440 % minutes):
        raise argparse.ArgumentTypeError(
            f"{text!r} does not go into an hour or a day without a rest; write something like 5m or 2h"
        )
    return every_s


def _times(every_s: float) -> tuple[str, str]:
    """Minutes and hours as cron writes them."""
    minutes = round(every_s / 60)
    if minutes < 60:
        return ("*" if minutes == 1 else f"*/{minutes}"), "*"
    hours = minutes // 60
    return "0", ("*" if hours == 1 else "0" if hours == 24 else f"*/{hours}")


def _program() -> str:
    """The absolute path of the program that runs now."""
    named = Path(sys.argv[0])
    if named.name == "fleetdeploy" and (found := shutil.which(str(named))):
        return str(Path(found).absolute())  # not resolved: a link may be what stays
    beside = Path(sys.executable).parent / "fleetdeploy"
    return str(beside if beside.exists() else shutil.which("fleetdeploy") or beside)


def _words(arguments: argparse.Namespace, less: Sequence[str] = ()) -> list[str]:
    """The command line as typed, less what asks for the unit, and what is said elsewhere."""
    from fleetdeploy.cli.changing.called import words_of

    left, skip = [], False
    for word in words_of(arguments):
        if skip or word.partition("=")[0] in (*_OWN, *less):
            skip = not skip and word in (*_OWN, *less)
            continue
        left.append(word)
    return left


def _own(arguments: argparse.Namespace) -> list[Path]:
    """Where the command keeps what is its own."""
    places = [options.state_home(), options.cache_home(), arguments.state_dir]
    return list(dict.fromkeys(place.absolute() for place in places))


def _others(arguments: argparse.Namespace) -> list[Path]:
    """Directories of others that it writes a file into."""
    from fleetdeploy.cli.binding.project import read_settings

    files = [arguments.textfile, arguments.events, read_settings(arguments).textfile]
    return [file.absolute().parent for file in files if file]


def _making(places: Sequence[Path], user: str) -> Iterator[list[str]]:
    """Command lines for root that make these directories where they are not there yet."""
    theirs = [place for place in places if _may_make(place)]
    if theirs:  # what lies above them is the user's as well then
        yield ["/usr/sbin/runuser", "-u", user, "--", "/bin/mkdir", "-p", "-m", "0700", *map(str, theirs)]
    for place in places:
        if place not in theirs:  # one that is there may be anybody's: its owner stays
            yield ["/bin/sh", "-c", 'test -d "$0" || install -d -m 0700 -o "$1" "$0"', str(place), user]


def _may_make(place: Path) -> bool:
    """Whether the user of now may make the directory: in the home, and where the nearest one that is there lets it."""
    there = next(path for path in (place, *place.parents) if path.exists())
    return place.is_relative_to(Path.home()) or os.access(there, os.W_OK)


def _homes() -> Iterator[tuple[str, Path]]:
    """What says where the own places are; neither systemd nor cron hands on what a shell has."""
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        if given := os.environ.get(name):
            yield name, Path(given).expanduser().absolute()


def _secrets(arguments: argparse.Namespace, what_to_do: str, *, kind: str, user: str) -> str:
    """Comments on the variables that secrets are read from, if any."""
    from fleetdeploy.cli.binding.opening import store_of

    names = ", ".join(sorted(store_of(arguments).variables))
    return (_NO_SECRETS + what_to_do).format(names=names, kind=kind, user=user) if names else ""


def _named(arguments: argparse.Namespace) -> list[Path]:
    """Where what is read lies: the project, the inventory, the playbook."""
    from fleetdeploy.cli.binding.project import sources_of

    given = [arguments.project, arguments.playbook or arguments.project, *sources_of(arguments)]
    return [Path(path).absolute() for path in given]


def _escaped(text: str) -> str:
    """``%`` begins a specifier in every value of a unit."""
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    """One word of a command line of a unit, where ``$`` begins a variable."""
    return _listed(word).replace("$", "$$")


def _listed(word: str) -> str:
    """One word of a list of a unit."""
    plain = _escaped(word.replace("\\", "\\\\").replace('"', '\\"'))
    return f'"{plain}"' if not word or set(word) & set(" \t'\";\\$") else plain
