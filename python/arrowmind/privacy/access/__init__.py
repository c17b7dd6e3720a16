"""The access log: who did what, when and why, in a chain of hashes.

::

    entry     one access, as a line and back; the hash that chains it to the line before
    files     the files of a log, their ends, and what a killed writer left there
    writer    entries wait for one write and one fsync
    log       `AccessLog`
    check     `verify_log`, `read_log`
"""
