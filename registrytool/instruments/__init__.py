"""Instruments as data: definitions, their registration, and what is checked of them.

No module here remembers an instrument or a filter: a definition is a value that whoever needs it holds.
"""
