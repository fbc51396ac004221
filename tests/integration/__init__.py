"""Tests with databases: each on SQLite and on PostgreSQL, or of the PostgreSQL server itself."""
