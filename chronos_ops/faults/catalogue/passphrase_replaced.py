"""On the host all works; what is kept outside opens nothing."""

from chronos_ops.faults.fault import Fault
from chronos_ops.faults.site import Site
from chronos_ops.model.secret import Secret


class PassphraseReplaced(Fault):
    id = "passphrase_replaced"
    number = 6
    title = "The secret store holds another passphrase"
    what = "the passphrase was rotated in the store alone: with the host the only right one is lost"
    finding = "backup.passphrase-outside"

    def inject(self, site: Site) -> None:
        name = site.settings.backup.cipher_secret
        site.kept["own"] = site.aws.get_secret(name)
        site.context.journal.keep_secret(site.kept["own"])
        site.aws.put_secret(name, Secret("another one"), overwrite=True)

    def undo(self, site: Site) -> None:
        name = site.settings.backup.cipher_secret
        site.aws.put_secret(name, site.kept["own"], overwrite=True)


FAULT = PassphraseReplaced()
