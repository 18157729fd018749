"""Rules that let the world past UFW, as they are written by hand and by engines."""

import pytest

from chronos_ops.facts.certbot import CHALLENGE_PORT
from chronos_ops.facts.docker_ports import published
from chronos_ops.model.question import ShellAnswer


@pytest.mark.parametrize(
    ("rule", "port", "public"),
    [
        ("-A D ! -d 127.0.0.0/8 -p tcp --dport 8080 -j DNAT --to 172.17.0.2:80", "8080", True),
        ("-A D -d 127.0.0.1/32 -p tcp --dport 8080 -j DNAT --to 172.17.0.2:80", "8080", False),
        ("-A D -p tcp -j DNAT --to-destination 172.17.0.2", "any", True),
    ],
)
def test_a_rule_of_iptables(rule: str, port: str, public: bool) -> None:
    (found,) = published(f"iptables {rule}")
    assert (found.port, found.protocol, found.public) == (port, "tcp", public)


def test_a_map_of_nft_is_a_rule_and_a_chain_s_name_is_none() -> None:
    assert published("nft chain nv_dnat {") == ()
    (found,) = published("nft dnat ip to tcp dport map { 8080 : 10.88.0.2 }")
    assert found.public


def test_two_programs_on_port_80_are_both_named() -> None:
    said = "certbot 0\nlistener apache2\nnginx\nno ufw\n"
    found = CHALLENGE_PORT.parse(ShellAnswer(0, said))
    assert found.taken_by == "apache2, nginx"
    none = CHALLENGE_PORT.parse(ShellAnswer(0, "certbot 0\nlistener \nno ufw\n"))
    assert none.taken_by == ""
