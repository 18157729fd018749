-- The database whose name wants quoting everywhere.
CREATE TABLE "Ordner & Akten" ("№" serial PRIMARY KEY, "Titel ""kurz""" text NOT NULL);
INSERT INTO "Ordner & Akten" ("Titel ""kurz""")
    SELECT 'Akte ' || g || ' — geprüft' FROM generate_series(1, 500) g;
SELECT lo_from_bytea(0, decode(repeat('c0ffee', 3000), 'hex'));

-- Quiet in truth: a first read sets hint bits, which page checksums turn into a flood of WAL that
-- would close segments during the drill and shorten its archive window.
VACUUM (FREEZE, ANALYZE);
