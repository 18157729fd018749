"""An index that PostgreSQL leaves aside: no query uses it, and no check of indexes looks at it."""

from chronos_ops.faults.restoring import SourceFault


class IndexInvalid(SourceFault):
    id = "index_invalid"
    title = "An index is invalid"
    what = "CREATE INDEX CONCURRENTLY has failed: no query uses the index, and nobody was told"
    finding = "drill.integrity.indexes"
    broken_by = """
CREATE TABLE half_indexed AS SELECT g AS n FROM generate_series(1, 500) g;
CREATE INDEX half_indexed_n ON half_indexed (n);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'half_indexed_n'::regclass;
"""
    mended_by = "DROP TABLE half_indexed;"


FAULT = IndexInvalid()
