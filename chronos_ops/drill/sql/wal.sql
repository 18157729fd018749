-- WAL without growth: the same rows again and again (4.6 MB a round), vacuumed in between.
INSERT INTO chronos_drill.commits (seq, payload, client_at)
    SELECT -n, '', now() FROM generate_series(1, 4096) n;
SELECT statement
FROM generate_series(1, :rounds) round, (VALUES
    (1, $$UPDATE chronos_drill.commits c SET payload = (
        SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 30) WHERE c.seq < 0)
        WHERE seq < 0$$),
    (2, 'VACUUM chronos_drill.commits')) s (position, statement)
ORDER BY round, position \gexec
