-- Lets PostgreSQL itself prove every foreign key and CHECK of one database on the rows that are
-- there, as for a new constraint. Rolled back: nothing changes. One JSON object.
BEGIN READ WRITE;
SET LOCAL search_path = pg_catalog;
SET LOCAL client_min_messages = error;
CREATE TEMP TABLE chronos_violated (broken text);
DO $$
DECLARE
    found record; checked int := 0;
BEGIN
    FOR found IN
        SELECT c.oid, format('%I.%I', n.nspname, r.relname) AS relation, quote_ident(c.conname) AS name
        FROM pg_constraint c
        JOIN pg_class r ON r.oid = c.conrelid AND r.relkind = 'r'
        JOIN pg_namespace n ON n.oid = r.relnamespace
        WHERE c.contype IN ('f', 'c') AND c.convalidated
            AND n.nspname NOT IN ('pg_catalog', 'information_schema')
        ORDER BY 2, 3
    LOOP
        checked := checked + 1;
        BEGIN
            UPDATE pg_constraint SET convalidated = false WHERE oid = found.oid;
            EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %s', found.relation, found.name);
        EXCEPTION WHEN foreign_key_violation OR check_violation THEN
            INSERT INTO chronos_violated VALUES (format('%s: %s', found.relation, SQLERRM));
        END;
    END LOOP;
    PERFORM set_config('chronos.checked', checked::text, true);
END $$;
SELECT json_build_object('checked', current_setting('chronos.checked')::int, 'violated',
    (SELECT coalesce(json_agg(broken ORDER BY broken), '[]') FROM chronos_violated));
ROLLBACK;
