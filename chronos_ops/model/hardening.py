"""What a target declares about its hardening (H): who may come, by which name, what is accepted."""

import datetime
import ipaddress
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

ANYWHERE = ("0.0.0.0/0", "::/0")


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Firewall(_Strict):
    """Both firewalls are made from this: the host's UFW and Lightsail's own (H1)."""

    ssh_networks: tuple[str, ...] = ANYWHERE
    database_networks: tuple[str, ...] | None = None  # None: postgres.operator_networks
    https_networks: tuple[str, ...] = ANYWHERE

    @field_validator("ssh_networks", "database_networks", "https_networks")
    @classmethod
    def _networks(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for text in value or ():
            ipaddress.ip_network(text)
        return value


class SshKeys(_Strict):
    """Ways in by SSH key beside ~/.ssh/authorized_keys; what is not named here fails (H3)."""

    key_files: tuple[str, ...] = ()  # AuthorizedKeysFile, AuthorizedPrincipalsFile, as sshd has it
    commands: tuple[str, ...] = ()  # AuthorizedKeysCommand, AuthorizedPrincipalsCommand, likewise
    authorities: tuple[str, ...] = ()  # SHA256:... of each whose certificates open accounts


class Bans(_Strict):
    """fail2ban (H2). The operators' networks are never banned; `ignore_networks` adds to them."""

    max_retry: int = Field(5, ge=1)
    find_seconds: int = Field(600, ge=1)
    ban_seconds: int = Field(3600, ge=1)
    ignore_networks: tuple[str, ...] = ()

    @field_validator("ignore_networks")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            ipaddress.ip_network(text)
        return value


class Certificate(_Strict):
    """The host's certificate, by ACME (H4). The first name is the subject."""

    names: tuple[str, ...] = Field(min_length=1)
    email: str = ""
    directory_url: str = "https://acme-v02.api.letsencrypt.org/directory"
    directory_ca_file: str | None = None  # CA of the directory's own HTTPS; None: the system's
    trusted_ca_file: str | None = None  # CA that clients trust for what is served; None: system's
    challenge: Literal["http-01", "dns-01"] = "http-01"
    # dns-01: an executable on this machine, copied to the host and called `HOOK auth|cleanup` with
    # certbot's CERTBOT_DOMAIN and CERTBOT_VALIDATION. It is shown: it must hold no secret itself.
    dns_hook: str | None = None
    dns_server: str | None = None  # ADDRESS[:PORT] asked before a challenge; None: the system's
    dns_delegation: str | None = None  # dns-01: what each _acme-challenge.NAME is a CNAME of
    # How a renewal is proven while none is due: by Let's Encrypt's own staging, or by a real one.
    renewal_proof: Literal["dry-run", "renew"] = "dry-run"
    warn_days: int = Field(21, ge=1)  # fewer days left than this is a finding

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.challenge == "http-01" and any(name.startswith("*.") for name in self.names):
            raise ValueError("a wildcard name needs `challenge: dns-01`")
        if self.challenge == "dns-01" and not self.dns_hook:
            raise ValueError("`challenge: dns-01` needs `dns_hook`")
        return self


class DatabaseAccess(_Strict):
    """A role that may come from `networks` to one database, over TLS and with scram (H5).

    `database` may be `all`, or `replication`: the keyword of pg_hba.conf, which `all` does not
    stand for. The operators' role needs no entry.
    """

    role: str = Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    database: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,62}$")
    networks: tuple[str, ...] | None = None  # None: firewall.database_networks

    @field_validator("networks")
    @classmethod
    def _networks(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for text in value or ():
            ipaddress.ip_network(text)
        return value


class Updates(_Strict):
    """Security updates come by themselves; what is held waits for a maintenance window (H6)."""

    held: tuple[str, ...] = ("postgresql*", "libpq5", "pgbackrest")
    max_pending_days: int = Field(7, ge=0)  # a held security update older than this is a finding
    reboot_at: str | None = Field(None, pattern=r"^([01]\d|2[0-3]):[0-5]\d$")  # HH:MM; None: never


class AcceptedException(_Strict):
    """A control, or a linter's rule, knowingly not met (H7). After `expires` it fails again."""

    control: str
    accepted: datetime.date
    expires: datetime.date
    reason: str = Field(min_length=10)
    by: str = Field(min_length=1)

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.expires <= self.accepted:
            raise ValueError("`expires` must be later than `accepted`")
        return self


class Hardening(_Strict):
    """`hardening:` in the parameter file. Without a certificate its steps say so, and fail."""

    firewall: Firewall = Firewall()
    ssh: SshKeys = SshKeys()
    bans: Bans = Bans()
    certificate: Certificate | None = None
    database_access: tuple[DatabaseAccess, ...] = ()  # the applications' roles
    updates: Updates = Updates()
    exceptions: tuple[AcceptedException, ...] = ()
    guard_seconds: int = Field(60, ge=10)  # after which an unconfirmed change reverts (H9)
    static_ip: str | None = None  # the address that the names must resolve to; None: host.address
