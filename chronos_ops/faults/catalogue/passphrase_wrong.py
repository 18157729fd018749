"""The host writes with a passphrase that nobody else knows."""

from chronos_ops.facts.pgbackrest import CONFIG_PATH
from chronos_ops.faults.archiver import wait_for_archiver
from chronos_ops.faults.fault import Fault
from chronos_ops.faults.site import Site

_SED = "s/^\\(repo1-cipher-pass=\\).*/\\1other/"


class PassphraseWrong(Fault):
    id = "passphrase_wrong"
    number = 6
    title = "The host has another passphrase"
    what = "repo1-cipher-pass on the host is not the one that the repository was made with"
    finding = "backup.passphrase-outside"

    def inject(self, site: Site) -> None:
        site.ssh.run(["sed", "-i.kept", _SED, CONFIG_PATH], sudo=True)

    def undo(self, site: Site) -> None:
        site.ssh.run(["mv", f"{CONFIG_PATH}.kept", CONFIG_PATH], sudo=True)
        wait_for_archiver(site)


FAULT = PassphraseWrong()
