"""Files of a new version.

What a person has to decide is marked: a statement ``raise NotImplementedError("fill in: ...")``, the name ``FILL_IN``
in a schema file, or the word ``FILL_IN`` in test data.  `registrytool.check.rules.unfinished_revision` finds every
mark.
"""
