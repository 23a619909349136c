"""Words of Ansible's playbooks that are not ours, and what to do instead.

See Ansible's "Playbook Keywords" and its index of builtin modules.
"""

from __future__ import annotations

from typing import Final

_INVENTORY = "how hosts are reached is said in the inventory: set {} there"
_BECOME = _INVENTORY.format("`ansible_become`")
_NO_LOOP = "a task is done once on each host: write it once for each item"
_NO_RETRY = "tasks wait for what they start by themselves; `timeout` of a task says how long, where it has one"
_FAILURE = "`max_fail_percentage` of the play says how many hosts may fail, `on_failure` what is done about it"
_NO_ROLES = "there are no roles: `include_tasks` takes tasks from a file"
_NO_HANDLERS = "there are no handlers: put a `run` where it shall happen; it runs on hosts that this run changes"
_RUN = 'use `run`, with the command as a list of words: `run: {argv: ["systemctl", "reload", "exporter"]}`'
_VARIABLES = "set variables in `vars` of the play, in group_vars or with -e"
_FILES = "`stage` copies models, and `template` of a service names its model.config; no other files are kept in order"

_BOTH = {
    **dict.fromkeys(("become", "become_user", "become_method", "become_flags", "become_exe"), _BECOME),
    "remote_user": _INVENTORY.format("`ansible_user`"),
    "port": _INVENTORY.format("`ansible_port`"),
    "connection": "hosts are reached by ssh only: remove it",
    **dict.fromkeys(("ignore_errors", "ignore_unreachable"), _FAILURE),
    "no_log": "remove it: secrets are taken out of every output",
    **dict.fromkeys(("check_mode", "diff"), "leave it out, and use `deploy --check` or `--diff`"),
    **dict.fromkeys(("module_defaults", "collections", "debugger"), "remove it: no module of Ansible is run"),
    "throttle": "`serial` and `max_unavailable` of the play, and `--forks`, say how many hosts at a time",
}
PLAY: Final = {
    **_BOTH,
    "roles": _NO_ROLES,
    "pre_tasks": "put them first in `tasks`",
    "post_tasks": "put them last in `tasks`",
    **dict.fromkeys(("handlers", "force_handlers"), _NO_HANDLERS),
    "vars_files": "write them into `vars`, or into group_vars/ beside the playbook",
    "vars_prompt": "give variables with -e; a secret is a variable with `!secret` in the inventory",
    **dict.fromkeys(
        ("gather_facts", "gather_subset", "gather_timeout", "fact_path"), "remove it: each host is looked at anyway"
    ),
    **dict.fromkeys(("strategy", "run_once"), "`serial` says how many hosts go through the tasks together"),
    "block": "tasks stand in `tasks`, with `rescue` and `always` beside it",
    "delegate_to": "it stands beside a task",
}
"""Keys of a play."""
TASK: Final = {
    **_BOTH,
    "block": "there are no blocks: put the tasks into a file for `include_tasks`, with its `when` and `tags`",
    **dict.fromkeys(("rescue", "always"), "it is a key of the play, beside `tasks`"),
    "register": "no task's result is kept: `when` looks at variables and at what was seen on the host",
    **dict.fromkeys(
        ("changed_when", "failed_when"), "a command fails by its exit status; `changes` of `run` says more"
    ),
    **dict.fromkeys(("loop", "loop_control"), _NO_LOOP),
    **dict.fromkeys(("until", "retries", "delay", "async", "poll"), _NO_RETRY),
    **dict.fromkeys(("vars", "args"), "a task's arguments stand below its name; variables are in `vars` of the play"),
    "local_action": "use `notify`, which runs a command or posts to a webhook on this machine",
    "any_errors_fatal": "it is a key of the play",
    "listen": _NO_HANDLERS,
}
"""Keys beside a task's name."""
_MODULES = {
    **dict.fromkeys(("command", "shell", "raw", "script", "service", "systemd", "systemd_service"), _RUN),
    **dict.fromkeys(("include_role", "import_role"), _NO_ROLES),
    **dict.fromkeys(("copy", "template", "synchronize", "file", "get_url", "unarchive", "lineinfile"), _FILES),
    **dict.fromkeys(("set_fact", "include_vars"), _VARIABLES),
    "include": "use `include_tasks`",
    "debug": "`notify` tells people; `fleetdeploy inventory explain HOST KEY` shows a variable",
    **dict.fromkeys(
        ("assert", "fail", "setup", "gather_facts", "ping"),
        "`preflight` looks whether a host is fit; a `run` whose command fails stops it there",
    ),
    **dict.fromkeys(("uri", "wait_for"), "`verify` waits for the server and its answers; `notify` posts to a webhook"),
    "wait_for_connection": "hosts are waited for with --timeout",
    **dict.fromkeys(("docker_container", "docker_image"), "`activate` starts the container, `pull_image` its image"),
    "meta": _NO_HANDLERS,
}


def instead_of(word: str) -> str:
    """What to do instead of a module or keyword in a list of tasks; empty for a word that Ansible has not either."""
    if word.startswith("with_"):
        return _NO_LOOP
    module = word.rpartition(".")[2] if word.startswith(("ansible.", "community.")) else word
    return TASK.get(word) or _MODULES.get(module, "")
