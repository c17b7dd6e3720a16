"""What a store holds, and how its files come about: the catalogue, segments, cold files, blobs.

::

    catalogue   SQLite, the one commit point; schema, tables, lifecycle_tables, links: what is in it
    rows        memories as columns; segment, cold_file: as files; cold_rows: the latter as the former
    snapshot    what a reader sees; blocks, directory, numbering: where to look in it
    flushing    out of the catalogue into segments; compaction: segments into others; settling: cold files
    blobs       images and sounds; attachments: whose they are
"""
