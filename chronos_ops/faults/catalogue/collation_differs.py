"""Another C library sorts text in another way: indexes on text are wrong."""

from chronos_ops.faults.restoring import SourceFault


class CollationDiffers(SourceFault):
    id = "collation_differs"
    number = 14
    title = "The collation version differs"
    what = "the new host's C library is another one than the source's: text may sort differently"
    finding = "drill.integrity.collations"
    broken_by = """
CREATE DATABASE sorted TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de' LOCALE 'C.UTF-8';
UPDATE pg_database SET datcollversion = '1.0' WHERE datname = 'sorted';
"""
    mended_by = "DROP DATABASE sorted;"


FAULT = CollationDiffers()
