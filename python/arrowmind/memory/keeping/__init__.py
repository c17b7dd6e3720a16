"""Work on a whole store: forgetting, copies, checks, changes of what is kept how.

::

    keeper        files put in order, under the lock
    forgetting    from the commit on; erasing: to the last byte, with a receipt
    lifecycle     derived memories and tiers; derivation_journal: what consolidation noted of them
    backup        copies in use; transfer, importing: Parquet out and in; verification: is it whole
"""
