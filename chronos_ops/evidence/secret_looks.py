"""What a secret looks like: rules over text, tuned so that our own notebooks never match (R5)."""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_MASKS = re.compile(r"\*{3,}|<[^<>]*>|\$\{?[\w({]|\{\{?|%[sdr(]|x{4,}|\.{3}|…|&lt;|EXAMPLE")


@dataclass(frozen=True)
class Look:
    """One rule. `hints`: texts (lower case) without one of which the pattern is not tried.

    The found text is the group `secret` of the pattern, or of `then`, which is tried where a
    pattern of lower case ends: that is how one scans a megabyte in no time.
    """

    rule: str
    what: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    judge: Callable[[str], bool] = lambda _text: True
    then: re.Pattern[str] | None = None


def entropy(text: str) -> float:
    """Shannon's, bits a character."""
    size = len(text)
    return -sum(n / size * math.log2(n / size) for n in (text.count(c) for c in set(text)))


def _no_mask(text: str) -> bool:
    return not _MASKS.search(text)


_PATH = re.compile(r"[./~]|arn:|https?:")
_CODE = re.compile(r"[A-Za-z_][\w.]*[(\[].*")
_WORDS = re.compile(r"(?i:[a-z]+|\d{1,4})(?:[-_.:/+](?i:[a-z]+|\d{1,4}))*")  # aes-256-cbc
_MOMENT = re.compile(r"\d{4}-?\d\d-?\d\dT\d\d.*")  # a stamp, a run's id


def _random(text: str) -> bool:
    """Looks drawn by lot: not a name, a path, words, a moment or code."""
    text = text.rstrip(".:;!?")
    if len(text) < 8 or not _no_mask(text) or _PATH.match(text):
        return False
    if any(shape.fullmatch(text) for shape in (_CODE, _WORDS, _MOMENT)):
        return False
    letters, digits = re.search("[A-Za-z]", text), re.search(r"\d", text)
    others = re.search(r"[^\w\s.:-]", text)
    return bool(letters and (digits or others)) and entropy(text) >= 3.0


def _key_of_40(text: str) -> bool:
    """An AWS secret key: 40 characters of base64, of all kinds, evenly spread."""
    kinds = all(re.search(kind, text) for kind in ("[a-z]", "[A-Z]", r"\d"))
    return kinds and entropy(text) >= 4.2 and not re.search(r"[a-z]{9}|/[a-z]+/", text)


_QUOTE = r"""(?:\\*["']|&quot;|&#x27;|&#39;)?"""
_NAME = (
    r"(?:password|passwd|pgpassword|pwd|passphrase|cipher[-_]?pass|secret|token|api[-_]?key|"
    r"access[-_]?key|key[-_]?secret|s3[-_]key|private[-_]?key|credentials?)"
)
LOOKS = (
    Look(
        "aws-access-key",
        "an AWS access key",
        ("akia", "asia"),
        re.compile(r"(?<![A-Za-z0-9])(?P<secret>(?:AKIA|ASIA)[A-Z0-9]{16})(?![A-Za-z0-9])"),
        lambda text: not text.endswith("EXAMPLE"),
    ),
    Look(
        "aws-secret-key",
        "an AWS secret key",
        ("aws", "secret", "key"),
        re.compile(
            r"""(?i:secret|aws|key)[^\n]{0,40}?(?<![A-Za-z0-9/+=._-])"""
            r"""(?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=._-])"""
        ),
        _key_of_40,
    ),
    Look(
        "private-key",
        "a private key",
        ("private key",),
        re.compile(
            r"(?P<secret>-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
            r"(?:\s|\\[nr]|&#10;|<br>|[\"',]|[A-Za-z-]+: [^\n]*)*[A-Za-z0-9+/]{16})"
        ),
    ),
    Look(
        "url-password",
        "a password in a URL",
        ("://",),
        re.compile(
            r"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/:@\"'<>]{0,64}:(?P<secret>[^\s/@\"'<>]{3,128})@"
            r"[A-Za-z0-9\[]"
        ),
        _no_mask,
    ),
    Look(
        "assignment",
        "a value given to a secret's name",
        (*("passw", "pwd", "passphrase", "pass", "secret", "token", "key", "credential"),),
        re.compile(_NAME),
        _random,
        re.compile(
            rf"{_QUOTE}[ \t]{{0,3}}(?:=>|:=|=|:)[ \t]{{0,3}}{_QUOTE}"
            r"(?P<secret>[^\s\"'\\,;&<>(){}\[\]]{8,200})"
        ),
    ),
    Look(
        "authorization",
        "an Authorization header",
        ("authorization",),
        re.compile(
            r"(?i:authorization)[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?i:basic|bearer)\s+"
            r"(?P<secret>[A-Za-z0-9+/=._~-]{8,})"
        ),
        _no_mask,
    ),
    Look(
        "signed-url",
        "a signed URL",
        ("x-amz-signature=",),
        re.compile(r"(?i:x-amz-signature)=(?P<secret>[0-9a-f]{64})"),
    ),
    Look(
        "token",
        "a token",
        ("gh", "glpat-", "xox", "eyj", "sk_live", "npm_", "pypi-", "aiza"),
        re.compile(
            r"(?<![A-Za-z0-9_/+-])(?P<secret>gh[pousr]_[A-Za-z0-9]{36,}|"
            r"github_pat_[A-Za-z0-9_]{40,}|"
            r"glpat-[\w-]{20,}|xox[baprs]-[0-9A-Za-z-]{20,}|sk_live_[0-9A-Za-z]{20,}|"
            r"npm_[A-Za-z0-9]{36}|pypi-AgEI[\w-]{40,}|AIza[0-9A-Za-z_-]{35}|"
            r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,})"
        ),
    ),
    Look(
        "password-hash",
        "a stored password",
        ("scram-sha-256$", "md5", "$6$", "$y$", "$5$"),
        re.compile(
            r"(?P<secret>SCRAM-SHA-256\$\d+:[A-Za-z0-9+/=]{8,}\$[A-Za-z0-9+/=:]{20,}|"
            r"\bpassword[^\n]{0,20}\bmd5[0-9a-f]{32}\b|"
            r"\$(?:6|5|y)\$[^\s$:]{1,40}\$[A-Za-z0-9./]{20,}(?:\$[A-Za-z0-9./]{20,})?)",
            re.IGNORECASE,
        ),
    ),
)


def looks_in(text: str) -> Iterator[tuple[Look, int, str]]:
    """Rule, offset and found text of whatever looks like a secret."""
    lower = text.lower()
    if len(lower) != len(text):  # a few letters grow
        lower = "".join(c.lower() if c.isascii() else c for c in text)
    for look in LOOKS:
        if not any(hint in lower for hint in look.hints):
            continue
        for match in _matches(look, text, lower):
            found = match["secret"]
            if look.judge(found):
                yield look, match.start("secret"), found


def _matches(look: Look, text: str, lower: str) -> Iterator[re.Match[str]]:
    if look.then is None:
        yield from look.pattern.finditer(text)
        return
    for name in look.pattern.finditer(lower):
        match = look.then.match(text, name.end())
        if match:
            yield match
