"""Online migrations on PostgreSQL: while clients of the old version read and write.

`derive` works out from two structures what must be built beside the tables (pure), `engine` builds it, fills it in
batches, exchanges it in one short transaction, or takes it away again.
"""
