-- Reads one database whole; every line of the answer is one JSON object.
-- The session's settings make the text of a value the same on every host.
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET intervalstyle = 'postgres';
SET extra_float_digits = 1;
SET bytea_output = 'hex';
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SET enable_indexonlyscan = off;
SET search_path = 'pg_catalog';

-- Every row of every table, as text: so PostgreSQL detoasts each value.
SELECT format(
    'SELECT json_build_object(''table'', %L, ''unlogged'', %L::boolean, ''rows'', count(*),
        ''digest'', coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text)
     FROM ONLY %I.%I t',
    n.nspname || '.' || c.relname, c.relpersistence = 'u', n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
    AND (c.relkind = 'r' OR c.relispopulated)
    AND n.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY 1 \gexec

SELECT json_build_object('objects', count(*), 'digest',
    coalesce(sum(hashtextextended(encode(lo_get(oid), 'hex'), 0)::numeric), 0)::text)
FROM pg_largeobject_metadata;

-- A sequence that feeds a column must be ahead of what the column holds.
SELECT format(
    'SELECT json_build_object(''sequence'', %L, ''column'', %L,
        ''next'', CASE WHEN s.is_called THEN s.last_value::numeric + %s ELSE s.last_value END,
        ''max'', (SELECT max(%I) FROM %I.%I))
     FROM %I.%I s',
    sn.nspname || '.' || s.relname, n.nspname || '.' || c.relname || '.' || a.attname,
    q.seqincrement, a.attname, n.nspname, c.relname, sn.nspname, s.relname)
FROM (
    SELECT objid AS sequence, refobjid AS relation, refobjsubid AS number FROM pg_depend
    WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
        AND deptype IN ('a', 'i')
    UNION  -- and one that a default asks, without being owned by the column
    SELECT d.refobjid, e.adrelid, e.adnum FROM pg_depend d JOIN pg_attrdef e ON e.oid = d.objid
    WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
) f
JOIN pg_class s ON s.oid = f.sequence AND s.relkind = 'S'
JOIN pg_sequence q ON q.seqrelid = s.oid
JOIN pg_namespace sn ON sn.oid = s.relnamespace
JOIN pg_class c ON c.oid = f.relation
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = f.number
    AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype)
WHERE q.seqincrement > 0 AND NOT q.seqcycle
    AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND s.relpersistence = 'p'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY 1 \gexec

-- Every ascending sequence, also one that feeds no column: what it gives out next.
SELECT format(
    'SELECT json_build_object(''counter'', %L,
        ''next'', CASE WHEN is_called THEN last_value::numeric + %s ELSE last_value END) FROM %I.%I',
    n.nspname || '.' || c.relname, q.seqincrement, n.nspname, c.relname)
FROM pg_sequence q JOIN pg_class c ON c.oid = q.seqrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE q.seqincrement > 0 AND NOT q.seqcycle AND c.relpersistence = 'p'
ORDER BY 1 \gexec
