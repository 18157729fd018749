"""The drill host's own firewall: closed to all but the operators before any data is there (D4)."""

import ipaddress

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.model.errors import Refused

PATH = "/etc/nftables.conf"


def ruleset(networks: tuple[str, ...], ports: tuple[int, ...]) -> str:
    """nftables: only `networks` reach `ports`, over IPv4 and IPv6; all else is dropped."""
    listed = ", ".join(str(port) for port in ports)
    admitted = [
        f"    {'ip6' if ':' in network else 'ip'} saddr {network} tcp dport {{ {listed} }} accept"
        for network in networks
    ]
    lines = [
        "#!/usr/sbin/nft -f",
        "table inet chronos_drill",
        "delete table inet chronos_drill",
        "table inet chronos_drill {",
        "  chain input {",
        "    type filter hook input priority -10; policy drop;",
        '    iif "lo" accept',
        "    ct state established,related accept",
        "    meta l4proto { icmp, ipv6-icmp } accept",
        "    udp sport 67 udp dport 68 accept",
        "    udp sport 547 udp dport 546 accept",
        *admitted,
        "  }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def close(ssh: Ssh, networks: tuple[str, ...], pg_port: int) -> None:
    """Close the host. Raises Refused before that if it would shut this operator out too."""
    client = ssh.run(["sh", "-c", 'echo "${SSH_CONNECTION%% *}"']).stdout.strip()
    if not _within(client, networks):
        raise Refused(
            "the operators' networks do not hold the address we come from",
            f"{client} is not in {', '.join(networks)}",
            hint="add it to postgres.operator_networks in the parameter file",
        )
    ssh.put(PATH, ruleset(networks, (ssh.address.port, pg_port)))
    ssh.run(["sh", "-c", f"nft -f {PATH} && systemctl enable -q nftables"], sudo=True)


def _within(address: str, networks: tuple[str, ...]) -> bool:
    try:
        ip = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    except ValueError:
        return False
    return any(ip in ipaddress.ip_network(network) for network in networks)
