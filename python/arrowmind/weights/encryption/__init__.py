"""AES-256-GCM at rest for weight files and model folders; docs/formats/encrypted.md is the specification.

::

    header    the first 112 bytes of a file: how its key is derived; bounds on that; no cryptography
    secret    keys and passphrases: from the environment, files of mode 600, the system keyring
    cipher    from a secret and a header to the chunks of one file, each sealed in its place
    file      one file, in constant memory
    index     which files an encrypted folder has; itself encrypted
    model     `encrypt_model` and `decrypt_model`: files and folders, published whole

Nothing here is imported before it is asked for: encoding does without the package `cryptography`.
"""
