"""A page of a table whose checksum does not fit."""

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.faults.restoring import LOSS, RestoredHostFault, damage


class PageChecksumBroken(RestoredHostFault):
    id = "page_checksum_broken"
    number = 15
    title = "A page's checksum is broken after the restore"
    what = "the disk of the new host has changed some bytes of a table"
    finding = "drill.integrity.page-checksums"
    parameters = LOSS  # whose primary has page checksums
    strike_after = "recover"

    def strike(self, host: Ssh) -> None:
        damage(host, "shop.documents")


FAULT = PageChecksumBroken()
