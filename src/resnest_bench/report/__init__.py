"""Tables for readers: captions, rounded values, markup and files."""
