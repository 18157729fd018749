"""A line of pg_hba.conf fits a client as the server would see it; in doubt it is not known."""

import pytest

from chronos_ops.facts.hba import Client, records, strange_lines

APP = Client("app", "appdb", "203.0.113.9", tls=True, groups=("staff",))
SOCKET = Client("app", "appdb", "")
STANDBY = Client("standby", "replication", "203.0.113.9", replication=True)


@pytest.mark.parametrize(
    ("line", "client", "fits"),
    [
        ("local all all peer", SOCKET, True),
        ("local all all peer", APP, False),
        ("host all all all scram-sha-256", SOCKET, False),
        ("local sameuser all peer", SOCKET, False),
        ("local samerole all peer", Client("a", "staff", "", groups=("staff",)), True),
        ("host appdb,other +staff 203.0.113.0 255.255.255.0 md5", APP, True),
        ("host appdb +others 203.0.113.0/24 md5", APP, False),
        ('host "all" all 203.0.113.0/24 md5', APP, False),
        ('host all "app" 203.0.113.0/24 md5', APP, True),
        ("host all x,/^a 203.0.113.0/24 md5", APP, None),
        ("host @dbs app 203.0.113.0/24 md5", APP, None),
        ("host @dbs other 203.0.113.0/24 md5", APP, False),
        ("host all all client.example md5", APP, None),
        ("host all all localhost md5", APP, False),
        ("host all all samehost md5", Client("app", "appdb", "::1"), True),
        ("host all all samehost md5", APP, None),
        ("host all all ::/0 md5", APP, False),
        ("hostnossl all all 0.0.0.0/0 md5", APP, False),
        ("hostssl all all 0.0.0.0/0 md5", STANDBY, False),
        ("host all all 0.0.0.0/0 md5", STANDBY, False),
        ("host all,replication standby 0.0.0.0/0 md5", STANDBY, True),
        ("hostgssenc all all 0.0.0.0/0 gss", APP, False),
        ("hostgssenc all all 0.0.0.0/0 gss", Client("app", "appdb", "203.0.113.9"), None),
    ],
)
def test_a_line_fits_a_client_or_not_or_it_is_not_known(
    line: str, client: Client, fits: bool | None
) -> None:
    (record,) = records(line)
    assert record.fits(client) is fits


def test_what_is_no_record_is_strange_and_a_comment_is_nothing() -> None:
    text = "# host all\ninclude more.conf\nhost all all\nlocal all all peer # so\n\n"
    assert strange_lines(text) == ("include more.conf", "host all all")
    assert len(records(text)) == 1
