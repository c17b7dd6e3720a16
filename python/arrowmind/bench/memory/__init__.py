"""Whether the memory finds what it was told: conversations with questions whose answers are known.

::

    conversations   LoCoMo: turns, sessions, questions, and the turns that answer them
    telling         a conversation as a store remembers it
    measures        found or not, of one question; their means
    asking          every question to the store
    mixed           one kind of content asked for by another
    crowd           a great many memories, the same on every run
    building        the store of them, built further where it was cut off
    large           how long recall takes among them
    beside          how long it waits while another process consolidates
    tuning          weights learned on the other conversations
    report          tables
    targets         the numbers we hold ourselves to
    command         `arrowmind bench memory`
"""
