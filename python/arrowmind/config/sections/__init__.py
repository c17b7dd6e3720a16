"""The sections of the settings, a file for those that go together; a new key is one line in one of them."""
