"""Maintenance of what a registry holds: collections, dataset types, datasets, calibrations, dimension records.

Nothing here changes the schema; everything works on each supported state, on both databases.
"""
