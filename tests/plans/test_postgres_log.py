"""PostgreSQL's log as a jail reads it: every format, every place, no name that misleads it."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from chronos_ops.facts.postgres import Cluster, Setting
from chronos_ops.facts.postgres_log import Stderr
from chronos_ops.plans.postgres_log import PREFIX, Source, failregex, source, wanted_log

FILE = "/var/log/postgresql/postgresql-17-main.log"
JOURNAL = Source("lines", journal="SYSLOG_IDENTIFIER=postgres")
UNIT = Source("lines", journal="_SYSTEMD_UNIT=postgresql@17-main.service")
CSV = {"logging_collector": "on", "log_filename": "p.log", "log_destination": "csvlog"}
CLUSTER = Cluster("17", "main", 5432, "online", "postgres", "/var/lib/postgresql/17/main")
DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:[.,]\d+)?(?:\s*(?:UTC|GMT|[+-]\d\d:?\d\d))?")
EPOCH = re.compile(r"^\d{10}\.\d{3}")
# As fail2ban puts it in the place of <ADDR>.
ADDRESS = (
    r"\[?(?:(?P<ip4>(?:\d{1,3}\.){3}\d{1,3})|"
    r"(?P<ip6>(?:[0-9a-fA-F]{1,4}::?|:){1,7}(?:[0-9a-fA-F]{1,4}|(?<=:):)))\]?"
)


def address_in(found: Source, prefix: str, line: str) -> str | None:
    """Whom fail2ban would count for this line: it cuts the date out of a file's line first."""
    if found.file:
        line = EPOCH.sub("", line) if EPOCH.match(line) else DATE.sub("", line, count=1)
    match = re.search(failregex(found, prefix).replace("<ADDR>", ADDRESS), line)
    return None if match is None else match["ip4"] or match["ip6"]


_RECORDED = Path(__file__).parent / "recorded" / "postgres_log_lines.tsv"
# Prefix and line, as PostgreSQL 17 wrote it: a new case is a line of this file.
LINES = [line.split("\t") for line in _RECORDED.read_text().splitlines()]
SAID = 'password authentication failed for user "alice"'


@pytest.mark.parametrize(("prefix", "line"), LINES)
def test_a_line_that_the_server_really_logged_is_matched(prefix: str, line: str) -> None:
    assert address_in(Source("lines", file=FILE), prefix, line) == "127.0.0.1"


def test_the_journal_csv_and_json_are_matched() -> None:
    line = f"vm postgres[5769]: [2-1] 2026-11-23 01:51:49.892 UTC [5769] 10.1.2.3 alice@postgres [unknown] FATAL:  {SAID}"  # noqa: E501
    assert address_in(JOURNAL, PREFIX, line) == "10.1.2.3"
    csv = '2026-11-23 01:51:48.855 UTC,"ali""ce","postgres",5751,"10.1.2.3:38546",6b039c34.1677,1,"authentication",2026-11-23 01:51:48 UTC,3/1,0,FATAL,28P01,"password authentication failed for user ""ali""ce"""'  # noqa: E501
    assert address_in(Source("csv", file=FILE), "", csv) == "10.1.2.3"
    json = r'{"timestamp":"2026-11-23 01:51:48.855 UTC","user":"a\"remote_host\":\"9.9.9.9\"","dbname":"postgres","pid":5751,"remote_host":"10.1.2.3","remote_port":38546,"error_severity":"FATAL","state_code":"28P01","message":"x"}'  # noqa: E501
    assert address_in(Source("json", file=FILE), "", json) == "10.1.2.3"


@pytest.mark.parametrize(
    "line",
    [
        '[local] bob@bob [unknown] FATAL:  Peer authentication failed for user "bob"',
        "10.1.2.3 bob@bob [unknown] LOG:  connection authorized: user=bob",
        '10.1.2.3 bob@bob psql ERROR:  relation "FATAL:  role" does not exist',
    ],
)
def test_what_is_no_refused_login_from_outside_is_not(line: str) -> None:
    whole = f"2026-11-23 01:50:00.000 UTC [12] {line}"
    assert address_in(Source("lines", file=FILE), PREFIX, whole) is None


@pytest.mark.parametrize(
    "name",
    [
        'x,db=y,app=z,client=9.9.9.9 FATAL:  password authentication failed for user "q',
        'x,db=y,app=z,client=9.9.9.9 FATAL:  password authentication failed for user "q" ',
        'x,db=y,app=z,client=9.9.9.9 FATAL:  no pg_hba.conf entry for host "h", user "u", x',
        "x,db=y,app=z,client=9.9.9.9 FATAL:  password authentication failed for user ",
    ],
)
def test_a_user_name_cannot_pretend_to_be_an_address(name: str) -> None:
    prefix = "%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h "
    said = f'FATAL:  password authentication failed for user "{name}"'
    line = f"2026-11-23 01:50:00 UTC [12]: [1-1] user={name},db=d,app=a,client=10.1.2.3 {said}"
    assert address_in(Source("lines", file=FILE), prefix, line) != "9.9.9.9"
    line = f"2026-11-23 01:50:00 UTC [12] 10.1.2.3 {name}@d a {said}"
    assert address_in(Source("lines", file=FILE), PREFIX, line) in (None, "10.1.2.3")


LOG = {
    "lc_messages": "C.UTF-8",
    "log_destination": "stderr",
    "log_error_verbosity": "default",
    "log_filename": "postgresql-%Y-%m-%d_%H%M%S.log",
    "log_hostname": "off",
    "log_line_prefix": PREFIX,
    "log_min_messages": "warning",
    "log_timezone": "Etc/UTC",
    "logging_collector": "off",
    "syslog_ident": "postgres",
    "syslog_sequence_numbers": "on",
}


@pytest.mark.parametrize(
    ("changed", "collector", "target", "wanted"),
    [
        ({}, {}, FILE, Source("lines", file=FILE)),
        ({}, {}, "socket:[12]", UNIT),
        ({"log_destination": "syslog"}, {}, FILE, JOURNAL),
        ({}, {}, f"{FILE} (deleted)", JOURNAL),
        ({}, {}, "/dev/null", JOURNAL),
        (
            {"logging_collector": "on"},
            {"stderr": "/d/log/postgresql-2026.log"},
            "pipe:[1]",
            JOURNAL,  # its name changes with time
        ),
        (CSV,
            {"stderr": "/d/log/postgresql.log", "csvlog": "/d/log/postgresql.csv"},
            "pipe:[1]",
            Source("csv", file="/d/log/postgresql.csv"),
        ),
    ],
)  # fmt: skip
def test_the_log_is_looked_for_where_it_goes(
    changed: dict[str, str], collector: dict[str, str], target: str, wanted: Source
) -> None:
    assert source(LOG | changed, CLUSTER, collector, Stderr(target, "Etc/UTC")) == wanted


def rows(**changed: str) -> dict[str, Setting]:
    return {
        name: Setting(name, value, "", "sighup", "configuration file", "", False, None, "")
        for name, value in (LOG | changed).items()
    }


@pytest.mark.parametrize(
    ("changed", "target", "wanted"),
    [
        ({}, FILE, {}),
        ({"log_line_prefix": "%m [%p] %q%u@%d "}, FILE, {"log_line_prefix": PREFIX}),
        ({"log_line_prefix": "< %m > %h "}, FILE, {"log_line_prefix": PREFIX}),
        ({"lc_messages": "de_DE.UTF-8"}, FILE, {"lc_messages": "C"}),
        ({"lc_messages": "en_GB.UTF-8", "log_hostname": "on"}, FILE, {"log_hostname": "off"}),
        ({"log_timezone": "America/Toronto"}, FILE, {"log_timezone": "UTC"}),
        ({}, "/dev/null", {"log_destination": "stderr,syslog"}),
    ],
)
def test_a_log_that_does_not_tell_is_made_to(
    changed: dict[str, str], target: str, wanted: dict[str, str]
) -> None:
    found = wanted_log(rows(**changed), "/conf.d/82", CLUSTER, {}, Stderr(target, "Etc/UTC"))
    assert {item.name: item.value for item in found} == wanted


def test_what_our_drop_in_says_already_stays_in_it() -> None:
    ours = rows(log_line_prefix=PREFIX)
    ours["log_line_prefix"] = replace(
        ours["log_line_prefix"], written=PREFIX, written_in="/conf.d/82"
    )
    found = wanted_log(ours, "/conf.d/82", CLUSTER, {}, Stderr("/dev/null", "Etc/UTC"))
    assert {item.name for item in found} == {"log_line_prefix", "log_destination"}
