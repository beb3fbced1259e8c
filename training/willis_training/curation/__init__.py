"""Turns public atlases and label maps into heads that carry the ASPECTS regions."""
