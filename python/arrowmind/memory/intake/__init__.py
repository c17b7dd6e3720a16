"""The way into a store: what callers give, checked, with vectors, and stored.

::

    drafts      memories before they have vectors; media: images and sounds
    embedding   makes the vectors that are not given
    receiving   stores: a few in the catalogue, many as segments
"""
