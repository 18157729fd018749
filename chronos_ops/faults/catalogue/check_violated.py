"""A CHECK that was declared valid and does not hold."""

from chronos_ops.faults.restoring import SourceFault


class CheckViolated(SourceFault):
    id = "check_violated"
    title = "A CHECK does not hold"
    what = "a function in it was changed later, and the rows of before break it"
    finding = "drill.integrity.constraints"
    broken_by = """
CREATE FUNCTION agreed(n int) RETURNS boolean IMMUTABLE LANGUAGE sql RETURN n > 0;
CREATE TABLE checked (n int CHECK (agreed(n)));
INSERT INTO checked VALUES (1);
CREATE OR REPLACE FUNCTION agreed(n int) RETURNS boolean IMMUTABLE LANGUAGE sql RETURN n > 1;
"""
    mended_by = "DROP TABLE checked; DROP FUNCTION agreed;"


FAULT = CheckViolated()
