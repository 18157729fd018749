"""An index that does not know a row: it answers, and wrongly."""

from chronos_ops.faults.restoring import SourceFault


class IndexLacksRow(SourceFault):
    id = "index_lacks_row"
    title = "An index lacks a row"
    what = "a query by the index finds nothing, one that reads the table does"
    finding = "drill.integrity.amcheck"
    broken_by = """
CREATE TABLE indexed AS SELECT g AS n FROM generate_series(1, 500) g;
CREATE INDEX indexed_n ON indexed (n);
UPDATE pg_index SET indisready = false WHERE indexrelid = 'indexed_n'::regclass;
INSERT INTO indexed VALUES (501);
UPDATE pg_index SET indisready = true WHERE indexrelid = 'indexed_n'::regclass;
"""
    mended_by = "DROP TABLE indexed;"


FAULT = IndexLacksRow()
