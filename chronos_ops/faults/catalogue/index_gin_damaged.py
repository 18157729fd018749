"""amcheck looks at no GIN index, and no SELECT of every row reads it."""

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.faults.restoring import RestoredHostFault, damage

_SQL = """
CREATE TABLE words AS
    SELECT to_tsvector('simple', 'word' || g) AS w FROM generate_series(1, 3000) g;
CREATE INDEX words_gin ON words USING gin (w)"""


class IndexGinDamaged(RestoredHostFault):
    id = "index_gin_damaged"
    number = 15
    title = "A page of a GIN index is damaged"
    what = "an index that no B-tree check knows: a query finds out, perhaps a year later"
    finding = "drill.integrity.pages-read"
    strike_after = "recover"

    def strike(self, host: Ssh) -> None:
        damage(host, "words_gin", _SQL)


FAULT = IndexGinDamaged()
