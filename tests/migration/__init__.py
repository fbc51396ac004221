"""Claims about the content: schemas, steps and releases."""
