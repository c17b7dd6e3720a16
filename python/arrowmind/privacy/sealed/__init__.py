"""Encryption of a store in use: no file of it holds a text, a vector or a word in the clear.

::

    key_file      the key of a store, sealed with the secret of its owner
    cipher        what is derived from it: keys of files and databases, names of blobs
    files         files in the format of encrypted files, opened into memory that has no name on any disk
    pages         the pages of an encrypted database, for who looks for what was forgotten

Nothing here is imported before a store is encrypted: the others do without the package `cryptography`.
"""
