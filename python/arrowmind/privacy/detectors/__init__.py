"""One kind of private data per file: a module that names `DETECTORS`. Adding one is adding its file.

Patterns begin with the characters a find may begin with, then look behind for its boundary: so a search skips
to the next such character without trying the pattern at each. No repetition is without an upper bound unless
what follows cannot begin inside it, so that time is linear in the text.
"""
