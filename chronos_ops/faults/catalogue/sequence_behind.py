"""A sequence that gives out what is taken."""

from chronos_ops.faults.restoring import SourceFault


class SequenceBehind(SourceFault):
    id = "sequence_behind"
    title = "A sequence is behind its column"
    what = "the next INSERT collides with a row that is there"
    finding = "drill.integrity.sequences"
    broken_by = """
CREATE TABLE numbered (id serial PRIMARY KEY, n int);
INSERT INTO numbered (n) SELECT generate_series(1, 50);
SELECT setval('numbered_id_seq', 10);
"""
    mended_by = "DROP TABLE numbered;"


FAULT = SequenceBehind()
