"""Who may do what, generated from the live host and account, with what has changed (H8)."""

import difflib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from chronos_ops.evidence.folder import write_text
from chronos_ops.execution.context import Context
from chronos_ops.facts import iam
from chronos_ops.facts.access_rights import (
    Grant,
    OpenPorts,
    access_rights,
    iam_users,
    lightsail_rules,
)
from chronos_ops.facts.audit import Readings
from chronos_ops.facts.audit_access import Account, Password, SudoRights
from chronos_ops.facts.audit_network import Listener, Ufw
from chronos_ops.facts.audit_postgres import DatabaseRole, HbaRule
from chronos_ops.facts.ssh_access import EVERYONE, SshAccess
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.finding import Finding, Status, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.question import Fact

FILE = "access.md"
_MARK = "<!-- what follows is compared with the last run -->\n"
Row = Sequence[object]


def access_document(context: Context) -> Outcome:
    """Write who has access to what, from the live host and account; show what has changed."""
    context.say("reading who has access to what …")
    broken: dict[str, str] = {}
    host = context.ask(access_rights(context.settings))
    broken |= host.missing
    broken |= _keys_unread(host)
    body = "".join((*_host_sections(host), *_account_sections(context, broken)))
    head = (
        f"# Access control: {context.settings.target}\n\n"
        f"Generated from the live host and account by run `{context.run_id}`.\n\n"
    )
    write_text(context.folder / FILE, head + _MARK + body)
    earlier = _last(context.folder)
    changes = _differences(earlier, body)
    changed = sum(line[:1] in "+-" for line in changes)
    if earlier is None:
        said = "The first of this target: there is nothing to compare with."
    else:
        run, _ = earlier
        said = f"{changed or 'No'} lines differ from run `{run}`."
    return Outcome(
        summary=f"`{FILE}`: who may do what, on the host, in the database, in the account. {said}",
        findings=[_complete(broken)],
        text="\n".join(changes) or body,
        measures={"access_document": {"lines": body.count("\n"), "changed": changed}},
    )


access_document.probe = True  # type: ignore[attr-defined] # writes into the run's folder alone


def _keys_unread(host: Readings) -> dict[str, str]:
    access: SshAccess | None = host.values.get("ssh_access")
    return {"SSH keys": ", ".join(access.unread)} if access and access.unread else {}


def _complete(broken: Mapping[str, str]) -> Finding:
    identifier, title = "access.document", "The access control document is complete"
    if broken:
        return Finding(
            id=identifier,
            status=Status.ERROR,
            title=title,
            observed="; ".join(f"{name}: {why}" for name, why in broken.items())[:600],
            expected="every part could be read",
            hint="does the profile have iam:List*, iam:Get* and lightsail:GetInstancePortStates?",
            requirement="H8",
        )
    return judge(
        identifier,
        title,
        passed=True,
        observed="every part was read",
        expected="every part could be read",
        requirement="H8",
    )


# -- what was there at the last run


def _last(folder: Path) -> tuple[str, str] | None:
    """The newest earlier document of this target: its run, its text."""
    found = sorted(
        path for path in folder.parent.glob(f"*/{FILE}") if path.parent.name < folder.name
    )
    if not found:
        return None
    return found[-1].parent.name, found[-1].read_text(encoding="utf-8").partition(_MARK)[2]


def _differences(earlier: tuple[str, str] | None, body: str) -> list[str]:
    if earlier is None:
        return []
    lines = difflib.unified_diff(earlier[1].splitlines(), body.splitlines(), lineterm="", n=1)
    return [line for line in list(lines)[2:] if not line.startswith("@@")]


# -- the sections


def _table(title: str, columns: Sequence[str], rows: Iterable[Row]) -> str:
    lines = [f"## {title}", "", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    listed = [f"| {' | '.join(_cell(value) for value in row)} |" for row in rows]
    return "\n".join([*lines, *(listed or [f"| none |{' |' * (len(columns) - 1)}"])]) + "\n\n"


def _cell(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
    return text.replace("|", "\\|").replace("\n", " ") or "-"


def _host_sections(host: Readings) -> list[str]:
    """One section a reading; one that could not be had says so."""
    makers: dict[str, tuple[tuple[str, ...], Callable[[Mapping[str, Any]], str]]] = {
        "Accounts that may log in": (("passwd", "shadow", "groups"), _accounts),
        "SSH keys": (("ssh_access",), _keys),
        "sudo": (("sudo",), _sudo),
        "sudoers files": (("sudoers",), _sudoers),
        "Firewall of the host": (("ufw", "chains"), _firewall),
        "What listens on the network": (("listening",), _listening),
        "pg_hba.conf": (("pg_hba",), _hba),
        "Roles": (("pg_roles",), _roles),
        "Grants": (("pg_grants",), _grants),
    }
    sections = []
    for title, (needs, make) in makers.items():
        gone = [name for name in needs if name not in host.values]
        if gone:
            sections.append(f"## {title}\n\nCould not be read.\n\n")
        else:
            sections.append(make(host.values))
    return sections


def _accounts(values: Mapping[str, Any]) -> str:
    accounts: dict[str, Account] = values["passwd"]
    shadow: dict[str, Password] = values["shadow"]
    groups: dict[str, tuple[int, tuple[str, ...]]] = values["groups"]
    names = {gid: name for name, (gid, _) in groups.items()}

    def of(account: Account) -> list[str]:
        more = [name for name, (_, members) in groups.items() if account.name in members]
        return sorted({names.get(account.gid, str(account.gid)), *more})

    rows = [
        (a.name, a.uid, of(a), shadow[a.name].kind if a.name in shadow else "?", a.shell)
        for a in sorted(accounts.values(), key=lambda account: account.uid)
        if a.may_log_in
    ]
    return _table(
        "Accounts that may log in", ("account", "uid", "groups", "password", "shell"), rows
    )


def _keys(values: Mapping[str, Any]) -> str:
    access: SshAccess = values["ssh_access"]
    keys = sorted(
        (
            _whom(k.account),
            f"{k.kind} {k.bits}" + (", by its certificates" if k.authority else ""),
            k.fingerprint,
            k.comment,
            k.file,
        )
        for k in (*access.keys, *access.authorities)
    )
    rows = [*keys, *(("not known", "not read", "?", "", text) for text in access.unread)]
    ways = [(way.keyword, way.value, [_whom(name) for name in way.accounts]) for way in access.ways]
    return _table("SSH keys", ("opens", "kind", "fingerprint", "comment", "file"), rows) + _table(
        "Where sshd looks for keys", ("setting", "value", "for"), ways
    )


def _whom(account: str) -> str:
    return "every account" if account == EVERYONE else account


def _sudo(values: Mapping[str, Any]) -> str:
    rights: dict[str, SudoRights] = values["sudo"]
    rows = [(name, right.rules) for name, right in sorted(rights.items()) if right.rules]
    return _table("sudo", ("account", "may run"), rows)


def _sudoers(values: Mapping[str, Any]) -> str:
    return _table("sudoers files", ("file", "line"), values["sudoers"])


def _firewall(values: Mapping[str, Any]) -> str:
    ufw: Ufw = values["ufw"]
    rows: list[Row] = [(r.to, r.action, r.source, "v6" if r.v6 else "v4") for r in ufw.rules]
    state = (
        f"{'active' if ufw.active else 'INACTIVE'}: {ufw.incoming} (incoming), "
        f"{ufw.outgoing} (outgoing), {ufw.routed} (routed)"
    )
    policies = ", ".join(f"{k} {v}" for k, v in sorted(values["chains"].items()))
    table = _table("Firewall of the host", ("to", "action", "from", "family"), rows)
    return table + f"UFW is {state}.\n\nPolicies of the kernel's chains: {policies or 'none'}.\n\n"


def _listening(values: Mapping[str, Any]) -> str:
    listeners: list[Listener] = values["listening"]
    rows = sorted({(i.protocol, i.port, i.address, i.process) for i in listeners if i.public})
    return _table("What listens on the network", ("protocol", "port", "address", "process"), rows)


def _hba(values: Mapping[str, Any]) -> str:
    rules: list[HbaRule] = values["pg_hba"]
    rows = [
        (r.type, r.databases, r.users, r.address, f"{r.method} {' '.join(r.options)}".strip())
        for r in rules
    ]
    return _table("pg_hba.conf", ("type", "databases", "roles", "address", "method"), rows)


def _roles(values: Mapping[str, Any]) -> str:
    roles: dict[str, DatabaseRole] = values["pg_roles"]

    def attributes(role: DatabaseRole) -> list[str]:
        named = {
            "LOGIN": role.login,
            "SUPERUSER": role.superuser,
            "CREATEROLE": role.create_role,
            "CREATEDB": role.create_db,
            "REPLICATION": role.replication,
            "BYPASSRLS": role.bypass_rls,
        }
        return [name for name, has in named.items() if has]

    rows = [(r.name, attributes(r), r.member_of, r.password) for r in roles.values()]
    return _table("Roles", ("role", "attributes", "member of", "password"), rows)


def _grants(values: Mapping[str, Any]) -> str:
    grants: list[Grant] = values["pg_grants"]
    rows = [(g.database, g.kind, g.objects, g.grantee, g.privileges) for g in grants]
    return _table("Grants", ("database", "on", "which", "to", "privileges"), rows)


# -- the account


def _account_sections(context: Context, broken: dict[str, str]) -> list[str]:
    def asked(fact: Fact[Any], name: str) -> Any:
        try:
            return context.ask(fact)
        except ChronosError as error:
            broken[name] = error.text()[:300]
            return None

    rules: list[OpenPorts] | None = asked(
        lightsail_rules(context.settings.host.instance), "Lightsail's firewall"
    )
    sections = [
        _table(
            "Firewall of Lightsail",
            ("protocol", "ports", "from"),
            sorted((r.protocol, r.ports, r.sources) for r in rules or ()),
        )
    ]
    rows: list[Row] = []
    documents: list[str] = []
    for user in asked(iam_users(), "IAM users") or ():
        keys = asked(iam.access_keys(user), f"keys of {user}") or []
        inline = asked(iam.inline_policy_names(user), f"policies of {user}") or []
        attached = asked(iam.attached_policies(user), f"policies of {user}") or []
        groups = asked(iam.groups(user), f"groups of {user}") or []
        shown = [f"…{key.id[-4:]} {'active' if key.active else 'inactive'}" for key in keys]
        rows.append((user, shown, inline, attached, groups))
        for name in inline:
            document = asked(iam.inline_policy(user, name), f"policy {name} of {user}")
            text = json.dumps(document, indent=1, sort_keys=True)
            documents.append(f"### {user}: {name}\n\n```json\n{text}\n```\n\n")
    columns = ("user", "access keys", "own policies", "managed policies", "groups")
    return [*sections, _table("IAM users", columns, rows), *documents]
