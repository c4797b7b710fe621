"""The tables of `journal.sqlite`.

Every row that matters carries a CRC-32 over its key and its value, because SQLite checks none.
"""

from __future__ import annotations

APPLICATION_ID = 0x5477696E  # "Twin"
VERSION = 1  # PRAGMA user_version; raised by every change that an older program cannot read

TABLES = """
CREATE TABLE bounds (      -- one row
    id INTEGER PRIMARY KEY CHECK (id = 1),
    start INTEGER NOT NULL,            -- the first offset that is kept
    letters_dropped INTEGER NOT NULL   -- dead letters that made room for newer ones
);
INSERT INTO bounds VALUES (1, 0, 0);
CREATE TABLE commits (     -- one row for each group commit
    first INTEGER PRIMARY KEY,         -- the offset of its first entry
    count INTEGER NOT NULL,
    committed_ns INTEGER NOT NULL,
    crc32 INTEGER NOT NULL,            -- of first, count, committed_ns and blob
    blob BLOB NOT NULL                 -- MessagePack list of entries
);
CREATE TABLE streams (     -- numbered 1, 2, 3, … without gaps, never removed
    stream INTEGER PRIMARY KEY,
    component TEXT NOT NULL,
    source TEXT NOT NULL,
    boot INTEGER NOT NULL
);
CREATE TABLE marks (       -- short rows, because every commit rewrites many
    stream INTEGER PRIMARY KEY,
    mark BLOB NOT NULL                 -- MessagePack and CRC-32
);
CREATE TABLE catalogue (   -- components, checkpoints, arrays, aliases
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    crc32 INTEGER NOT NULL,            -- of kind, name and body
    body BLOB NOT NULL,                -- MessagePack
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE TABLE letters (     -- dead letters
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    reason TEXT NOT NULL,
    size INTEGER NOT NULL,             -- bytes of body
    crc32 INTEGER NOT NULL,            -- of id and body
    body BLOB NOT NULL                 -- MessagePack
);
"""
