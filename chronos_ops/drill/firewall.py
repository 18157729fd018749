"""The drill host's own firewall: closed to all but the operators before any data is there (D4)."""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.model.errors import Refused
from chronos_ops.model.finding import Finding, judge

PATH = "/etc/nftables.conf"
PROBED = (80, 443, 6432, 9100)  # none of them is anybody's on a drill host
_SILENT = "no answer"
_PROBE_SECONDS = 2.0


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


def check_closed(address: str, admitted: int, probed: Sequence[int] = PROBED) -> Finding:
    """Asked from outside: one port answers, the others do not, not even to refuse (D4)."""
    with ThreadPoolExecutor(max_workers=len(probed) + 1) as pool:
        ports = (admitted, *probed)
        return judge_closed(
            admitted, dict(zip(ports, pool.map(_knock(address), ports), strict=True))
        )


def judge_closed(admitted: int, answers: dict[int, str]) -> Finding:
    """A firewall drops; a host without one refuses, even where nobody listens."""
    leaking = {p: said for p, said in answers.items() if p != admitted and said != _SILENT}
    shown = ", ".join(f"{port}: {said}" for port, said in answers.items())
    return judge(
        "drill.host.firewall",
        "seen from outside, the drill host's firewall lets nothing else through",
        passed=False if leaking else True if answers[admitted] == "open" else None,
        observed=shown,
        expected=f"{admitted}: open, all others: {_SILENT}",
        hint="delete this host: it is open before its data are there",
        requirement="D4",
    )


def _knock(address: str) -> Callable[[int], str]:
    def knock(port: int) -> str:
        try:
            with socket.create_connection((address, port), timeout=_PROBE_SECONDS):
                return "open"
        except ConnectionRefusedError:
            return "refused"
        except OSError:  # timed out, or unreachable
            return _SILENT

    return knock
