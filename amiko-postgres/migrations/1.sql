-- Everything that Amiko keeps is in this schema.
CREATE SCHEMA IF NOT EXISTS amiko;

-- The migrations that were made.
CREATE TABLE IF NOT EXISTS amiko.migration (
    version integer PRIMARY KEY,
    made timestamptz NOT NULL DEFAULT now()
);

-- A node: how far its journal goes, and who leads. The epoch grows with each leader, and is the fence: whoever writes names
-- the epoch in which it leads.
CREATE TABLE amiko.node (
    name text PRIMARY KEY,
    epoch bigint NOT NULL DEFAULT 0,
    last bigint NOT NULL DEFAULT 0,
    holder text,
    address text,
    -- By the clock of the server that was started then: after a failover another one's clock may show anything.
    expires timestamptz,
    clock timestamptz,
    lease interval
) WITH (fillfactor = 10);
-- Each commit updates the row of its node, in place as long as there is room in its page.

-- The records that were made durable together, a line for each, as in the files of a directory.
-- (Without a foreign key: each insert comes with an update of the node's row, and would look it up once more.)
CREATE TABLE amiko.journal_group (
    node text NOT NULL,
    first bigint NOT NULL,
    last bigint NOT NULL,
    epoch bigint NOT NULL,
    lines text NOT NULL,
    committed timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (node, last)
);

-- Snapshots: the pieces of each draft, in order, are one document. It counts once its last piece says that it is complete.
CREATE TABLE amiko.snapshot (
    node text NOT NULL REFERENCES amiko.node (name),
    draft bigint NOT NULL,
    seq bigint NOT NULL,
    piece integer NOT NULL,
    text text NOT NULL,
    checksum text NOT NULL,
    complete boolean NOT NULL DEFAULT false,
    epoch bigint NOT NULL,
    written timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (node, draft, piece)
);

-- What the programs that wrote a node have said of their classes: `classes.json` in a directory.
CREATE TABLE amiko.classes (
    node text PRIMARY KEY REFERENCES amiko.node (name),
    text text NOT NULL
);

-- JSON as PostgreSQL can take it apart: it has no character 0, so that is shown as U+FFFD.
CREATE FUNCTION amiko.readable(text text) RETURNS json LANGUAGE sql IMMUTABLE AS
$$ SELECT regexp_replace(text, '(?<!\\)((\\\\)*)\\u0000', '\1\\uFFFD', 'g')::json $$;

-- For people: a row for each record.
CREATE VIEW amiko.record AS
SELECT node,
       (line.record ->> 'seq')::bigint AS seq,
       to_timestamp((line.record ->> 'time')::double precision / 1000) AS time,
       line.record -> 'cause' AS cause,
       line.record ->> 'rejected' AS rejected,
       line.record -> 'patch' AS patch,
       epoch,
       committed
FROM amiko.journal_group, LATERAL (
    SELECT amiko.readable(text) AS record FROM regexp_split_to_table(rtrim(lines, E'\n'), E'\n') AS text
) AS line;

-- A row for each change: which event set what to which value.
CREATE VIEW amiko.change AS
SELECT node, seq, time, cause, change ->> 'op' AS op, change ->> 'path' AS path, change -> 'value' AS value
FROM amiko.record, LATERAL json_array_elements(patch) AS change;

-- The newest snapshot of each node, as one document.
CREATE VIEW amiko.document AS
SELECT DISTINCT ON (node) node, seq, document
FROM (
    SELECT node, seq, draft, amiko.readable(string_agg(text, '' ORDER BY piece)) AS document
    FROM amiko.snapshot
    GROUP BY node, seq, draft
    HAVING bool_or(complete)
) AS complete
ORDER BY node, seq DESC, draft DESC;

INSERT INTO amiko.migration (version) VALUES (1);
