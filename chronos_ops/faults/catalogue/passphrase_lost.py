"""It exists only on the host that may be lost."""

from chronos_ops.faults.fault import Fault
from chronos_ops.faults.site import Site


class PassphraseLost(Fault):
    id = "passphrase_lost"
    number = 6
    title = "The passphrase is not in the secret store"
    what = "the parameter was deleted: the only copy is on the host, and goes with it"
    finding = "backup.passphrase-outside"

    def inject(self, site: Site) -> None:
        name = site.settings.backup.cipher_secret
        site.kept["own"] = site.aws.get_secret(name)
        site.context.journal.keep_secret(site.kept["own"])
        site.aws.call("ssm", "delete_parameter", Name=name)

    def undo(self, site: Site) -> None:
        site.aws.put_secret(site.settings.backup.cipher_secret, site.kept["own"])


FAULT = PassphraseLost()
