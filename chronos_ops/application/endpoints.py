"""Do the endpoints answer, as seen from here?"""

from urllib.parse import urlsplit

from chronos_ops.application.looking import looked, undeclared
from chronos_ops.connectors import web
from chronos_ops.execution.context import Context
from chronos_ops.model.application import Endpoint
from chronos_ops.model.errors import TransportError
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.outcome import Outcome

_TITLE = "The endpoints answer"


def endpoints(context: Context) -> Outcome:
    """Ask every declared endpoint once, from this machine."""
    declared = context.settings.application.endpoints
    if not declared:
        return looked("endpoints", _TITLE, lambda: [undeclared("endpoints", _TITLE)])
    return looked("endpoints", _TITLE, lambda: [ask(endpoint) for endpoint in declared])


endpoints.probe = True  # type: ignore[attr-defined] # reads only


def ask(endpoint: Endpoint) -> Finding:
    """One GET, or one connection; no answer is a prerequisite that is not met."""
    parts = urlsplit(endpoint.url)
    expected = "a connection" if parts.scheme == "tcp" else f"HTTP {endpoint.status}"
    try:
        if parts.scheme == "tcp":
            web.connects(parts.hostname or "", parts.port or 0)
            passed, observed = True, "it accepts connections"
        else:
            status = web.fetch(endpoint.url, ca_file=endpoint.ca_file).status
            passed, observed = status == endpoint.status, f"HTTP {status}"
    except TransportError as error:
        passed, observed = False, f"{error.noun}: {error.value}"
    return judge(
        f"application.endpoint.{parts.netloc}{parts.path.rstrip('/').replace('/', '.')}",
        f"{endpoint.url} answers",
        passed=passed,
        observed=observed,
        expected=expected,
        hint="is it running, do DNS, firewall and certificate lead to it?",
        requirement="A1",
    )
