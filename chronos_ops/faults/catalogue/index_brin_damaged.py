"""amcheck looks at no BRIN index, and no SELECT of every row reads it."""

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.faults.restoring import RestoredHostFault, damage

_SQL = """
CREATE TABLE days AS SELECT g AS d FROM generate_series(1, 3000) g;
CREATE INDEX days_brin ON days USING brin (d)"""


class IndexBrinDamaged(RestoredHostFault):
    id = "index_brin_damaged"
    number = 15
    title = "A page of a BRIN index is damaged"
    what = "an index that no B-tree check knows: a query finds out, perhaps a year later"
    finding = "drill.integrity.pages-read"
    strike_after = "recover"

    def strike(self, host: Ssh) -> None:
        damage(host, "days_brin", _SQL)


FAULT = IndexBrinDamaged()
