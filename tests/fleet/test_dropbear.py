"""What a session promises, where dropbear serves SSH and not OpenSSH: cases of other hosts, played on such a one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fleetdeploy.errors import RemoteCommandFailed
from fleetdeploy.lab.fleet import Lab
from fleetdeploy.remote.fleet import SshFleet
from fleetdeploy.remote.ssh.guard import read_first
from tests.fleet.contract.conftest import server, shared  # noqa: F401  fixtures
from tests.fleet.contract.test_both_files import (  # noqa: F401
    test_a_number_with_other_content_is_refused,
    test_after_a_lost_answer_each_change_may_be_made_again,
    test_staged_versions_are_on_disk,
)
from tests.fleet.contract.test_both_serving import test_the_next_version_takes_over  # noqa: F401
from tests.fleet.contract.test_both_sessions import (  # noqa: F401
    test_a_command_ends_with_its_status_and_words,
    test_a_command_has_its_deadline,
    test_a_command_whose_answer_was_lost_was_carried_out,
    test_a_host_that_is_not_there_is_unreachable,
    test_a_lease_is_seen_read_and_given_back,
    test_a_look_changes_nothing,
    test_a_look_tells_of_the_host,
    test_who_has_no_lease_changes_no_files_of_who_has,
)
from tests.fleet.contract.test_both_watchdog import (  # noqa: F401
    test_not_told_in_time_it_takes_the_container_before,
)
from tests.fleet.dropbear_host import dropbear_lab
from tests.fleet.one_host import HOST, place  # noqa: F401  a fixture
from tests.fleet.remote.conftest import fleet  # noqa: F401  a fixture
from tests.fleet.remote.deploy_user import lab_host
from tests.fleet.remote.test_remote_ends import (  # noqa: F401  with their fixtures
    group,
    hosts,
    no_own_deadline,
    test_a_copy_ends_with_its_controller,
    test_a_group_ends_on_a_host_without_setpriv,
    test_a_group_ends_with_its_controller,
    test_a_group_ends_with_its_deadline,
    test_a_group_ends_with_its_sshd,
)
from tests.fleet.test_lease_contract import test_what_is_on_its_way_ends_with_the_lease  # noqa: F401


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with dropbear_lab() as made:
        yield made


def test_a_long_script_leaves_its_input_alone(lab: Lab, fleet: SshFleet) -> None:  # noqa: F811
    """A script longer than dropbear takes on a command line has its words and each byte of its input."""
    link = fleet.session(lab_host(lab, HOST)).connection
    text = f'# {"long " * 8000}\nprintf \'%s|\' "$0" "$@"; cat'
    sent = bytes(range(256)) * 300
    done = link.script(text, "one", "two words", stdin=sent, deadline_s=30)
    assert done.status == 0
    assert done.stdout == b"fleetdeploy|one|two words|" + sent


def test_a_long_script_that_is_cut_off_starts_nothing(lab: Lab, fleet: SshFleet) -> None:  # noqa: F811
    """What does not arrive whole is not carried out, wherever it was cut off, and is no success."""
    link = fleet.session(lab_host(lab, HOST)).connection
    text, args, stdin = read_first("echo first\necho second", (), b"")
    for length in (0, 11, len(stdin) - 1):
        with pytest.raises(RemoteCommandFailed, match="status 125"):
            link.run(["sh", "-c", text, "x", *args], stdin=stdin[:length], deadline_s=20, check=True)
    assert link.run(["sh", "-c", text, "x", *args], stdin=stdin, deadline_s=20).text == "first\nsecond\n"


def test_both_ways_to_read_a_script_read_no_more(lab: Lab, fleet: SshFleet) -> None:  # noqa: F811
    """Where dd cannot fill a block from a pipe, it reads byte by byte: the rest is still the script's input."""
    link = fleet.session(lab_host(lab, HOST)).connection
    text, args, stdin = read_first("cat", (), b"the rest")
    lacking = 'dd() { case $* in *iflag*) return 1 ;; esac; command dd "$@"; }\n'
    for before in ("", lacking):
        assert link.run(["sh", "-c", before + text, "x", *args], stdin=stdin, deadline_s=20).text == "the rest"
