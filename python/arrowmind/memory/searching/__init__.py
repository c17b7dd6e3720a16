"""The way out of a store: by meaning, by words, by links, and what the ranking makes of it.

::

    questions      what is asked, as vectors; recaller: one recall
    vector_search  nearest vectors; text_search: words, in text_index (tantivy) and bm25; terms: text -> terms
    retrieval      what both propose; fusion, ranked: in which order; store_view: the store as ranking sees it
    linking        what belongs together; aligning, calibration: how kinds of content compare
"""
