"""Rows that point to nothing, past a constraint that counts as valid."""

from chronos_ops.faults.restoring import SourceFault


class ForeignKeyViolated(SourceFault):
    id = "foreign_key_violated"
    title = "A foreign key has orphans"
    what = "rows were loaded with triggers off: a dump of them will not load"
    finding = "drill.integrity.constraints"
    broken_by = """
CREATE TABLE parents (id int PRIMARY KEY);
CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents);
SET session_replication_role = replica;
INSERT INTO children VALUES (1, 99);
"""
    mended_by = "DROP TABLE children, parents;"


FAULT = ForeignKeyViolated()
