-- Reads every page of every relation of one database through shared buffers, where PostgreSQL
-- verifies page headers, and page checksums if they are on. Indexes of every kind, TOAST, catalogs,
-- sequences, visibility maps. The free space map is left out: it is a hint and may be wrong.
-- What is made here is rolled back: nothing stays in the database. One JSON object a line.
BEGIN READ WRITE;
SET LOCAL search_path = pg_catalog;
SET LOCAL client_min_messages = error;
CREATE SCHEMA chronos_read_pages;
CREATE EXTENSION IF NOT EXISTS pg_prewarm SCHEMA chronos_read_pages;
CREATE FUNCTION chronos_read_pages.read(OUT kind text, OUT relation text, OUT pages bigint,
        OUT damage text) RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
    oid_ oid; fork text;
    prewarm text := (SELECT format('SELECT %I.pg_prewarm($1, ''buffer'', $2)', n.nspname)
        FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname = 'pg_prewarm');
BEGIN
    FOR oid_, kind, relation IN
        SELECT c.oid, CASE c.relkind WHEN 'r' THEN 'table' WHEN 'm' THEN 'table'
                   WHEN 't' THEN 'TOAST' WHEN 'S' THEN 'sequence' ELSE a.amname END,
               format('%I.%I', n.nspname, c.relname)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_am a ON a.oid = c.relam
        WHERE c.relkind IN ('r', 'i', 'm', 't', 'S') AND c.relpersistence <> 't'
        ORDER BY c.oid
    LOOP
        pages := 0; damage := NULL;
        BEGIN
            FOREACH fork IN ARRAY ARRAY['main', 'vm', 'init'] LOOP
                IF pg_relation_size(oid_, fork) > 0 THEN
                    EXECUTE prewarm INTO STRICT pages USING oid_, fork;
                END IF;
            END LOOP;
            pages := coalesce(pg_relation_size(oid_), 0) / current_setting('block_size')::int;
        EXCEPTION WHEN OTHERS THEN
            damage := SQLERRM;
        END;
        RETURN NEXT;
    END LOOP;
END $$;
SELECT json_build_object('kind', kind, 'relations', count(*), 'pages', sum(pages),
        'damage', coalesce(json_agg(relation || ': ' || damage) FILTER (WHERE damage IS NOT NULL),
            '[]'))
FROM chronos_read_pages.read() GROUP BY kind ORDER BY kind;
ROLLBACK;
