"""Whom a new pg_hba.conf would lock out: every one is a refusal that says what to do (H5).

In doubt it is a refusal: one too many costs a look, a lock-out costs the application.
"""

from collections.abc import Iterator

from chronos_ops.facts.hba import Client, Line, items, name_of, records, strange_lines
from chronos_ops.facts.postgres_access import Login, Visitor
from chronos_ops.model.settings import Settings
from chronos_ops.plans.hba_lines import SOCKET, WEAK, kept, of_another_hand

_BY_PASSWORD = (*WEAK, "scram-sha-256")
_HERE = ("127.0.0.1", "::1")


def locked_out(
    settings: Settings,
    current: str,
    wanted: str,
    logins: tuple[Login, ...],
    visitors: tuple[Visitor, ...],
) -> tuple[str, ...]:
    """Why `wanted` must not take `current`'s place; empty: nobody loses the way in."""
    if current == wanted:
        return (*_superusers(settings, logins), *_old_passwords(settings, (), logins))
    foreign = records(of_another_hand(current))
    now, then = records(current), records(wanted)
    return (
        *_superusers(settings, logins),
        *_lost_visitors(settings, now, then, logins, visitors),
        *(
            f"`{text}` in pg_hba.conf would go, and whom it lets in is not known: write the "
            "lines themselves, or take it out by hand"
            for text in strange_lines(of_another_hand(current))
        ),
        *(
            f"the line `{_shown(line)}` of pg_hba.conf would go: {why}"
            for line in dict.fromkeys(foreign)
            if line.method != "reject" and line not in then and kept(line) is None
            if (why := _not_replaced(line, settings, now, then, logins))
        ),
        *_old_passwords(settings, foreign, logins),
        *_before_socket(now, logins),
    )


def _superusers(settings: Settings, logins: tuple[Login, ...]) -> Iterator[str]:
    """Declared for the way in from outside, and refused there for what they are."""
    declared = {access.role for access in settings.hardening.database_access}
    declared.add(settings.postgres.operator_role)
    for login in logins:
        if login.superuser and login.name in declared:
            yield (
                f"{login.name} is declared to come from outside, and is a superuser: none is let "
                f"in there. ALTER ROLE {login.name} NOSUPERUSER, or take it out of "
                "hardening.database_access (the operators': postgres.operator_role)"
            )


def _lost_visitors(
    settings: Settings,
    now: tuple[Line, ...],
    then: tuple[Line, ...],
    logins: tuple[Login, ...],
    visitors: tuple[Visitor, ...],
) -> Iterator[str]:
    """Clients of this moment that could not come again."""
    known = {login.name: login for login in logins}
    for v in visitors:
        login = known.get(v.role)
        if login is None or (v.role == settings.postgres.operator_role and not v.tls):
            continue  # it may not log in any more; or it looks whether it is let in without TLS
        client = Client(v.role, v.database, v.address, v.tls, v.replication, login.groups)
        why = _loss(client, login, now, then)
        if why is not None:
            tls = "over TLS" if v.tls else "without TLS"
            where = f"from {v.address} {tls}" if v.address else "over the unix socket"
            yield (
                f"the role {v.role} is connected to {v.database} {where} and could not come "
                f"again{why}: declare it in hardening.database_access, let it use TLS, or end it"
            )


def _loss(
    client: Client, login: Login, now: tuple[Line, ...], then: tuple[Line, ...]
) -> str | None:
    """Why a client could not come again ("": no line lets it in); None: it could."""
    was = next((line for line in now if line.fits(client) is not False), None)
    stays = kept(was) if was else None
    will = next((line for line in then if line == stays or line.fits(client)), None)
    if will is None or will.method == "reject":
        return ""
    if stays and (will.method, will.options) == (stays.method, stays.options):
        return None  # a password that scram cannot use is told of on its own
    if was is not None and (was.method not in _BY_PASSWORD or will.method != "scram-sha-256"):
        return f" (`{_shown(was)}` lets it in now, `{_shown(will)}` would decide)"
    if login.password != "scram":
        return f" (its password is kept as {login.password}, and scram is asked)"
    return None


def _not_replaced(
    line: Line,
    settings: Settings,
    now: tuple[Line, ...],
    then: tuple[Line, ...],
    logins: tuple[Login, ...],
) -> str:
    """What to do before a line may go; "": declared lines do what it did."""
    if line.kind == "local" or line.loopback:
        return f"{line.method} is not kept; make it peer or scram-sha-256, or take it out by hand"
    if line.kind in ("hostnossl", "hostgssenc"):
        return "from outside TLS is asked; once its clients use TLS, make it hostssl by hand"
    if line.network is None and line.address != "all":
        return "from where it lets in is not known; write its networks, or take it out by hand"
    operator = settings.postgres.operator_role
    roles = _let_in(line, logins, operator)
    if lost := [r.name for r in roles if not _declared(line, r, then)]:
        where = f"{operator} comes from postgres.operator_networks; " if operator in lost else ""
        return (
            f"{', '.join(lost)} could not come by it again; {where}declare each role with its "
            "database and network in hardening.database_access (with a scram password, never a "
            "superuser), or write the line by hand without those who do not need it"
        )
    if near := [r.name for r in roles if r.name != operator and not _at_home(line, r, now, then)]:
        return (
            f"{', '.join(near)} could not come from this machine itself again; write lines for "
            "127.0.0.1/32 and ::1/128 before it"
        )
    return ""


def _let_in(line: Line, logins: tuple[Login, ...], operator: str) -> list[Login]:
    """Who may use a line now, and whoever is written in it; the operator only if written."""
    written = {name_of(item) for item in items(line.user) if item[0] not in "+@/"} - {"all"}
    found = {name: Login(name, superuser=False, password="none") for name in sorted(written)}
    for login in logins:
        usable = line.method not in _BY_PASSWORD or login.password != "none"
        fits = line.names_role(login.name, login.groups) is not False
        if login.name in written or (fits and usable and login.name != operator):
            found[login.name] = login
    return list(found.values())


def _declared(line: Line, role: Login, then: tuple[Line, ...]) -> bool:
    """Each of its databases is declared for the role, from a network that is (of) the line's."""
    if role.superuser or (line.method not in _BY_PASSWORD and role.password != "scram"):
        return False
    ours = {
        name_of(other.database)
        for other in then
        if other.kind == "hostssl" and not other.loopback and name_of(other.user) == role.name
        if _overlap(line, other)
    }
    everywhere = "all" in ours
    return all(
        bool(ours - {"replication"})
        if item == "all"
        else name_of(item) in ours or (everywhere and item != "replication")
        for item in items(line.database)
    )


def _overlap(line: Line, other: Line) -> bool:
    if line.address == "all":
        return True
    mine, its = line.network, other.network
    if mine is None or its is None or mine.version != its.version:
        return False
    return mine.overlaps(its)


def _at_home(line: Line, role: Login, now: tuple[Line, ...], then: tuple[Line, ...]) -> bool:
    """Whom the line lets in from this machine itself, another line does."""
    for address in _HERE:
        for item in items(line.database):
            database = "postgres" if item == "all" else name_of(item)
            tls, walsender = line.kind == "hostssl", item == "replication"
            client = Client(role.name, database, address, tls, walsender, role.groups)
            if line.fits(client) is not False and _loss(client, role, now, then) is not None:
                return False
    return True


def _old_passwords(
    settings: Settings, foreign: tuple[Line, ...], logins: tuple[Login, ...]
) -> Iterator[str]:
    """Roles of whom scram would be asked, and whose password is of an older kind."""
    declared = {access.role for access in settings.hardening.database_access}
    declared.add(settings.postgres.operator_role)
    turned = [line for line in foreign if line.method in WEAK and kept(line)]
    for login in logins:
        lines = [li for li in turned if li.names_role(login.name, login.groups) is not False]
        if login.password in ("scram", "none") or not (lines or login.name in declared):
            continue
        by = f" (`{_shown(lines[0])}` would ask scram)" if lines else ""
        yield (
            f"the password of {login.name} is kept as {login.password}, and scram cannot use "
            f"it{by}: set it anew (\\password {login.name}, with password_encryption = "
            "scram-sha-256)"
        )


def _before_socket(now: tuple[Line, ...], logins: tuple[Login, ...]) -> Iterator[str]:
    """What lets postgres in over the socket now, and would come after our own first line."""
    password = any(login.name == "postgres" and login.password != "none" for login in logins)
    for line in now:
        stays = kept(line) if line.kind == "local" else None
        fits = line.names_role("postgres")
        if stays is None or fits is False or stays.method == "reject":
            continue
        if (stays.method, stays.options) == (SOCKET.method, SOCKET.options):
            if fits and "all" in items(line.database):
                return
        elif line.database != "replication" and (password or stays.method != "scram-sha-256"):
            yield (
                f"`{_shown(line)}` lets postgres in over the unix socket, and `{_shown(SOCKET)}` "
                "would come before it: write that line first by hand, once nobody needs the "
                "other way"
            )


def _shown(line: Line) -> str:
    return " ".join(line.text().split())
