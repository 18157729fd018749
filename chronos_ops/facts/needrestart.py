"""needrestart: which services it would restart after an update, by its own configuration (H6)."""

from dataclasses import dataclass

from chronos_ops.facts.reading import lines
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion

# Its configuration is Perl, and is read as needrestart itself reads it. Of several entries that
# match a service, needrestart before 3.7 takes any one (Perl's order of keys): all must say no.
_SCRIPT = r"""
our $LOGPREF = '[needrestart]';
our %nrconf = (verbosity => 0, restart => 'i', defno => 0, override_rc => {}, blacklist_rc => []);
my $file = '/etc/needrestart/needrestart.conf';
print 'installed ', (-x '/usr/sbin/needrestart' ? 'yes' : 'no'), "\n";
if(-e $file) {
  eval do { local(@ARGV, $/) = $file; <> };
  (my $error = "$@") =~ s/\s+/ /g;
  print "error $error\n" if($error);
  print "mode $nrconf{restart}\n";
  chomp(my @units = qx(systemctl list-units --all --plain --no-legend --type=service @ARGV));
  foreach my $unit (map { (split)[0] } @units) {
    my $ignored = grep { $unit =~ /$_/ } @{$nrconf{blacklist_rc}};
    my @said = map { $nrconf{override_rc}{$_} ? 1 : 0 }
               grep { $unit =~ /$_/ } keys %{$nrconf{override_rc}};
    my $may = @said ? scalar(grep { $_ } @said) : !$nrconf{defno};
    print 'restarts ', ($may && !$ignored ? 'yes' : 'no'), " $unit\n";
  }
}
"""


@dataclass(frozen=True)
class Needrestart:
    """What it does. `mode`: l(ist), i(nteractive), a(utomatically)."""

    installed: bool
    error: str  # its configuration cannot be read
    mode: str
    restarts: dict[str, bool]  # service: whether it may be restarted


def _read(answer: ShellAnswer) -> Needrestart:
    said = [line.split(" ", 1) for line in lines(answer)]
    if not said or said[0] not in (["installed", "yes"], ["installed", "no"]):
        raise UnreadableAnswer("needrestart's configuration", answer.stdout[:200])
    values = {words[0]: words[-1] for words in said}
    restarts = [words[1].split() for words in said if words[0] == "restarts"]
    return Needrestart(
        installed=values["installed"] == "yes",
        error=values.get("error", "").strip(),
        mode=values.get("mode", ""),
        restarts={unit: may == "yes" for may, unit in restarts},
    )


def needrestart(*patterns: str) -> Fact[Needrestart]:
    """Whether it may restart the services that fit (quoted for a shell, as `'postgresql*'`)."""
    return Fact("needrestart", ShellQuestion(("perl", "-e", _SCRIPT, *patterns), sudo=True), _read)
